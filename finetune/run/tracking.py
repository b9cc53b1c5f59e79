"""What training and judging agree on before a tracker: whether W&B is online, and what an adapter is called there.

wandb is an extra (`tuneworth[track]`), imported inside the functions: a tracker is a sink, never the record.
"""

from __future__ import annotations

import hashlib
import netrc
import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from finetune.recipe import Recipe

if TYPE_CHECKING:
    from finetune.run import SeedDir

EXTRA = ("wandb", "tensorboard")  # of pyproject's `track`
WANDB = "https://api.wandb.ai"
ODD = re.compile(r"[^A-Za-z0-9_.-]")  # W&B takes none of these in a name


def remedy(tracker: str) -> str:
    """What installs its package."""
    return "pip install 'tuneworth[track]'" if tracker in EXTRA else f"pip install {tracker}"


def wandb_mode() -> str:
    """As WANDB_MODE says; without it offline, where there is no key: W&B would end the run at once."""
    return os.environ.get("WANDB_MODE") or ("online" if _wandb_key() else "offline")


def _wandb_key() -> bool:
    """Whether W&B would find a key to log in with."""
    try:
        stored = urlsplit(os.environ.get("WANDB_BASE_URL") or WANDB).hostname in netrc.netrc().hosts
    except (OSError, netrc.NetrcParseError):
        stored = False
    return stored or bool(os.environ.get("WANDB_API_KEY"))


def wandb_settings() -> dict[str, Any]:
    """Nothing of the machine that nobody asked for: no command line, path, user, code, diff, terminal."""
    return {"console": "off", "disable_git": True, "disable_code": True, "x_disable_meta": True,
            "x_save_requirements": False, "silent": True}  # fmt: skip


def artifact_name(*parts: object) -> str:
    """The parts in a name that W&B takes; whatever that changes is told apart by a digest."""
    whole = "-".join(map(str, parts))
    plain = ODD.sub("_", whole)
    return plain if plain == whole else f"{plain}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"


def adapter_artifact(recipe: Recipe, contender: str, seed: int, place: SeedDir, digest: str) -> Any:
    """A trained adapter as W&B's artifact, the same bytes whoever makes it: so its uses are found by its contents.

    Only train.json where it holds whole weights, or was tuned on a private card, whose rows it may give back.
    """
    import wandb

    uses = [use for name in recipe.lineage(contender) for use in recipe.data_of(name)]
    private, method = any(use.card.private for use in uses), recipe.methods[contender].kind
    bare = private or method == "full"
    made = wandb.Artifact(
        artifact_name(recipe.name, contender, f"seed-{seed}"), type="adapter",
        metadata={"adapter_sha256": digest, "method": method, "weights": not bare, "private_data": private},
    )  # fmt: skip
    made.add_file(str(place.train_manifest), name="train.json", policy="immutable")
    for path in [] if bare else sorted(path for path in place.adapter.iterdir() if path.is_file()):
        made.add_file(str(path), name=f"adapter/{path.name}", policy="immutable")
    return made
