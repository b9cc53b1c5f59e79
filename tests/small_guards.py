"""Guard sets on disk, and a study worth it by its gain whose contenders answer them, for the tests of guards."""

from __future__ import annotations

import json
from pathlib import Path

from judged_run import CLEAR, finished
from written_exam import _task

SETS = {"general": ("zh", 900, 1), "reading": ("zh", 400, 1), "foreign": ("en", 500, 1)}
SAME = dict.fromkeys(SETS, 0.6)


def shelved(folder: Path, *names: str) -> list[str]:
    """Guard sets on disk, questions of their own documents; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        _task(folder / name, name, *SETS[name])
    return [str(folder / name) for name in names]


def guarding(
    folder: Path, rates: dict[str, dict[str, float]] | None = None, terms: str = "", sit=None, **kinds: list[str]
):
    """A study worth it by its gain, whose contenders answer the guard sets at these rates, else alike."""
    named = {kind: shelved(folder, *names) for kind, names in kinds.items()}
    told = {who: dict.fromkeys(("letters", "numbers"), rate) | SAME for who, rate in CLEAR.items()}
    told = {who: each | (rates or {}).get(who, {}) for who, each in told.items()}
    change = "{" + ", ".join(
        [*(f"{kind}: {json.dumps(paths)}" for kind, paths in named.items()), *filter(None, [terms])]
    )
    return finished(folder, f"rule.guards={change}}}", rates=told, sit=sit)
