"""Leaks: questions of the exam, or of a guard, that show in what a challenger was tuned on (decision.md 5.6,
contamination).

Signs are those of `eval.audit.overlap`: the same question, one nearly the same, a run of words or characters, a source
document. Rows that `train.exclude` takes out taught nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache

from eval.audit.overlap import CODE, Overlap, overlap
from eval.sheet import Key
from eval.task import Task
from eval.verdict.evidence import Evidence
from finetune.card import Row
from finetune.card.likeness import normalise
from finetune.files import cache_folder, digest_of, remember
from finetune.recipe import data_root

SIGNS = ("same", "near", "runs", "source")
LEAKED = ("same", "near", "runs")  # another question on a document that training shows is in distribution, not leaked
LONG = 1.0  # seconds of a search from which on its end is kept
BREAK = "\n"  # between task and id; neither holds one


@dataclass(frozen=True)
class Leaks:
    """Questions by sign; `taught` names cards and splits, `unknown` challengers of which nobody here knows the data."""

    taught: tuple[str, ...]
    unknown: tuple[str, ...]
    signs: dict[str, frozenset[Key]]

    def of(self, *signs: str) -> frozenset[Key]:
        """Questions that show any of these signs."""
        return frozenset[Key]().union(*(self.signs[sign] for sign in signs))


def leaks(evidence: Evidence) -> Leaks:
    """What the tuning of every challenger that is confirmed has in common with the exam's judged questions."""
    return _leaks(evidence, evidence.challengers, evidence.benchmark.tasks)


def guard_leaks(evidence: Evidence, challenger: str, tasks: Sequence[Task]) -> frozenset[Key]:
    """Questions of its guards that one challenger was tuned on: its own rows alone, since only they flatter it."""
    return _leaks(evidence, (challenger,), tasks).of(*LEAKED)


def _leaks(evidence: Evidence, names: Sequence[str], tasks: Sequence[Task]) -> Leaks:
    recipe, root = evidence.recipe, data_root()
    lines = [each for name in names for each in recipe.lineage(name)]
    uses = list({(use.card.digest(root), use.split): use for n in lines for use in recipe.data_of(n)}.items())
    uses = [(key, use) for key, use in uses if use not in recipe.train.exclude]
    barred = [(use.card.digest(root), use.split) for use in recipe.train.exclude]
    asked_of = [[task.name, task.items_digest, task.card.digest(root)] for task in tasks]
    digest = digest_of([CODE, sorted(key for key, _ in uses), sorted(barred), asked_of])

    def read() -> tuple[list[Row], list[Row]]:
        out = {normalise(row.asked) for use in recipe.train.exclude for row in use.card.rows(root, use.split)} - {""}
        taught = [row for _, use in uses for row in use.card.rows(root, use.split)]
        asked = [
            row.model_copy(update={"id": f"{task.name}{BREAK}{row.id}"})
            for task in tasks for row in task.rows if task.part(row) == "test"
        ]  # fmt: skip
        return [row for row in taught if normalise(row.asked) not in out], asked

    found = _found(_Asked(digest, read)) if uses and tasks else None
    signs = {sign: _keys(getattr(found, sign) if found else ()) for sign in SIGNS}
    unknown = tuple(name for name in names if not recipe.contenders[name].method)
    return Leaks(tuple(f"{use.card.name}#{use.split}" for _, use in uses), unknown, signs)


@dataclass(frozen=True)
class _Asked:
    """Rows by the digest of all that they come from, so that judging again reads nothing again."""

    digest: str
    read: Callable[[], tuple[list[Row], list[Row]]] = field(compare=False)


@lru_cache(maxsize=16)
def _found(asked: _Asked) -> Overlap:
    """What took long is kept in the cache, known by the contents of both sides."""
    note = cache_folder() / "overlap" / f"{asked.digest}.json"
    with suppress(OSError, ValueError):  # none, or a spoilt one
        return Overlap.model_validate_json(note.read_bytes())
    began = time.perf_counter()
    taught, exam = asked.read()
    found = overlap(taught, exam, ("training", "exam"))
    if time.perf_counter() - began > LONG:
        remember(note, found.model_dump_json())
    return found


def _keys(ids: Sequence[str]) -> frozenset[Key]:
    pairs = (each.partition(BREAK) for each in ids)
    return frozenset((task, number) for task, _, number in pairs)
