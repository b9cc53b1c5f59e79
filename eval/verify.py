"""Whether verdict.json still is what item logs, manifests and recipe say: it is reached again and laid beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from eval import pledge
from eval.verdict import Verdict, judge
from finetune.run import RunDir

CLOSE = 1e-9  # relative: another machine may add in another order
NOTHING = "nothing"


@dataclass(frozen=True)
class Differs:
    """One place of verdict.json that is not reached again."""

    place: str  # contenders.lora.score
    kept: Any
    found: Any


@dataclass(frozen=True)
class Verified:
    """How many values were reached again, and which were not."""

    same: int
    differs: tuple[Differs, ...]


def verify(run: RunDir) -> Verified:
    """Judge again by the recipe of record. BadInput: a part of the run, or of what it rests on, is not at hand."""
    kept = Verdict.read(run.verdict).model_dump(mode="json")
    found = judge(pledge.restored(run), run).model_dump(mode="json")
    pairs = list(_pairs("", kept, found))
    differs = tuple(Differs(*pair) for pair in pairs if not _equal(*pair[1:]))
    return Verified(len(pairs) - len(differs), differs)


def _pairs(place: str, kept: Any, found: Any) -> Iterator[tuple[str, Any, Any]]:
    """Every value of both with its place; what has a name is found by it."""
    if isinstance(kept, dict) and isinstance(found, dict):
        for key in dict.fromkeys([*kept, *found]):
            yield from _pairs(f"{place}.{key}" if place else key, kept.get(key, NOTHING), found.get(key, NOTHING))
    elif isinstance(kept, list) and isinstance(found, list):
        for at in range(max(len(kept), len(found))):
            ours, theirs = (side[at] if at < len(side) else NOTHING for side in (kept, found))
            yield from _pairs(f"{place}[{_name(ours, at)}]", ours, theirs)
    else:
        yield place, kept, found


def _name(entry: Any, at: int) -> str:
    """What an entry of a list is called: its name where it has one, else its place."""
    name = entry.get("name") or entry.get("task") if isinstance(entry, dict) else None
    return name if isinstance(name, str) else str(at)


def _equal(kept: Any, found: Any) -> bool:
    if isinstance(kept, float) and isinstance(found, float):
        return math.isclose(kept, found, rel_tol=CLOSE, abs_tol=1e-12)
    return bool(kept == found)
