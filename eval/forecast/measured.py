"""How well memory was planned: predicted against measured peaks of the runs at hand, and what probes measured.

What cannot be read here (torn, or another version's) measures nothing, and stands in no plan's way.
"""

import json
from pathlib import Path

from pydantic import ValidationError
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from finetune.mistakes import BadInput
from finetune.recipe import Recipe
from finetune.run import Probed, RunDir, RunManifest


def probed(recipe: Recipe, out: Path) -> RenderableType | None:
    """What `python -m finetune.train ... --probe` measured of this recipe's contenders; None where nothing did."""
    found = []
    for name in recipe.contenders:
        one = _taken(RunDir(out / recipe.name).probe(name))
        if one is not None:
            hours = one.run_tokens / one.tokens * one.seconds / 3600
            off = one.predicted_peak_bytes / one.peak_memory_bytes - 1
            found.append(
                Text(
                    f"{name}, one step measured on {one.devices} x {one.device}: {one.seconds:.2f} s for {one.tokens} "
                    f"tokens, so {hours:.2f} hours a seed; peak {one.peak_memory_bytes / 2**30:.1f} GiB, "
                    f"planned {off:+.0%} of it"
                )
            )
    return Group(*found) if found else None


def measured(out: Path) -> Table | None:
    """Predicted against measured peaks of the runs in `out`, by method; None where none has both."""
    found: dict[str, list[float]] = {}
    for path in sorted(out.glob("*/*/seed-*/train.json")):
        done = _manifest(path)
        kind = _kind(path.parents[2] / "recipe.json", done.contender) if done else None
        if kind is None or done is None or done.training is None or not done.training.predicted_peak_bytes:
            continue
        ratio = done.training.predicted_peak_bytes / done.training.peak_memory_bytes - 1
        found.setdefault(f"{kind} on {done.hardware.device}", []).append(ratio)
    if not found:
        return None
    table = Table(title=f"Predicted against measured peak memory, runs in {out}", title_justify="left")
    for head in ("method", "runs", "predicted is off by"):
        table.add_column(head)
    for kind, errors in found.items():
        spread = f"{min(errors):+.0%}" if len(errors) == 1 else f"{min(errors):+.0%} to {max(errors):+.0%}"
        table.add_row(kind, str(len(errors)), spread)
    return table


def _taken(path: Path) -> Probed | None:
    try:
        return Probed.model_validate_json(path.read_text("utf-8")) if path.is_file() else None
    except (ValidationError, UnicodeDecodeError):
        return None


def _manifest(path: Path) -> RunManifest | None:
    try:
        return RunManifest.read(path)
    except BadInput:
        return None


def _kind(recipe: Path, contender: str) -> str | None:
    """Of a contender's method, in the recipe that its run keeps; None where none is read there."""
    try:
        found: str = json.loads(recipe.read_text("utf-8"))["recipe"]["contenders"][contender]["method"]["kind"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found
