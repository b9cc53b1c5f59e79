"""Dated questions: delta on those younger than every deciding model beside delta on those that one may have seen.

Whoever has seen old questions does better on them than on young ones, and the other side does not: the difference of
the two deltas says how much, and its sign who (decision.md 5.6, contamination 4). Questions of one task are compared
with each other alone, since tasks differ in more than their dates.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from eval.gates import DatedFact
from eval.paired import Floats, apart
from eval.pairing import Pair
from eval.sheet import Key, Question
from eval.verdict.contest import Contest
from eval.verdict.dates import Bound
from eval.verdict.evidence import Evidence
from eval.verdict.part import Part, part_of

FROZEN = ConfigDict(frozen=True, extra="forbid")
Mask = NDArray[np.bool_]


class DatedTask(BaseModel):
    """How many judged questions of a task lie where; `first` and `last` day of all that are dated."""

    model_config = FROZEN
    task: str
    items: int
    dated: int
    old: int = Field(description="Public by the newest day that a deciding model can have learned from")
    young: int = Field(description="Public after it")
    first: date | None
    last: date | None


class Side(BaseModel):
    """Mean scores of one contender on the same tasks, old questions and young."""

    model_config = FROZEN
    contender: str
    old: float
    young: float


class Apart(BaseModel):
    """Delta on young questions minus delta on old ones, over the tasks that have both."""

    model_config = FROZEN
    tasks: tuple[str, ...]
    n: int
    clusters: int
    gain: float
    low: float
    high: float
    sides: tuple[Side, Side] = Field(description="Challenger, incumbent")


class Dated(BaseModel):
    """Delta by date: the lead challenger against the incumbent."""

    model_config = FROZEN
    challenger: str
    incumbent: str
    newest: date | None = Field(description="None: of some deciding contender it is not known")
    bounds: tuple[Bound, ...]
    tasks: tuple[DatedTask, ...]
    old: Part | None = Field(description="None: no such question, or too few clusters for an interval")
    young: Part | None = Field(description="As `old`")
    apart: Apart | None = Field(description="None: no task has two clusters of each")

    def total(self, part: str) -> int:
        """Of items, dated, old or young, over the tasks."""
        return sum(getattr(task, part) for task in self.tasks)

    @property
    def fact(self) -> DatedFact:
        """What the gate asks."""
        unknown, span = tuple(bound.contender for bound in self.bounds if bound.until is None), self.apart
        return DatedFact(
            self.challenger, self.incumbent, self.total("items"), self.total("dated"), self.total("old"),
            self.total("young"), self.newest, unknown, (span.gain, span.low, span.high) if span else None,
        )  # fmt: skip


def dated(evidence: Evidence, contest: Contest, challenger: str) -> Dated | None:
    """None where no card dates its questions."""
    line, pair = contest.timeline, contest.pairs[challenger][0]
    if not line.spans:
        return None
    rows = list(pair.challenger.questions.values())
    old, young = (_mask(rows, keys) for keys in (line.old, line.young))
    parts = [
        part_of(evidence, contest, challenger, mask.tolist()) if mask.any() else None
        for mask in (_judgeable(rows, old), _judgeable(rows, young))
    ]
    return Dated(
        challenger=challenger, incumbent=pair.incumbent.name, newest=line.newest, bounds=line.bounds,
        tasks=_counted(evidence, contest), old=parts[0], young=parts[1],
        apart=_apart(pair, rows, old, young, evidence.weights, evidence.recipe.rule.confidence),
    )  # fmt: skip


def _mask(rows: Sequence[Question], keys: Collection[Key]) -> Mask:
    return np.array([(row.task, row.id) in keys for row in rows])


def _judgeable(rows: Sequence[Question], wanted: Mask) -> Mask:
    """Without the questions of tasks of which fewer than two clusters are wanted."""
    clusters: dict[str, set[str]] = {}
    for row, keep in zip(rows, wanted.tolist(), strict=True):
        if keep:
            clusters.setdefault(row.task, set()).add(row.cluster)
    return wanted & np.array([len(clusters.get(row.task, ())) > 1 for row in rows])


def _counted(evidence: Evidence, contest: Contest) -> tuple[DatedTask, ...]:
    line, found = contest.timeline, []
    old, young = line.old, line.young
    for task, items in evidence.sheets[evidence.recipe.rule.incumbent].asked.items():
        spans = {key: span for key, span in line.spans.items() if key[0] == task}
        found.append(DatedTask(
            task=task, items=items, dated=len(spans), old=len(old & spans.keys()), young=len(young & spans.keys()),
            first=min((span.first for span in spans.values()), default=None),
            last=max((span.last for span in spans.values()), default=None),
        ))  # fmt: skip
    return tuple(found)


def _apart(
    pair: Pair, rows: Sequence[Question], old: Mask, young: Mask, weights: dict[str, float], confidence: float
) -> Apart | None:
    """Over the tasks that have two clusters of each."""
    old, young = _judgeable(rows, old), _judgeable(rows, young)
    shared = {row.task for row, keep in zip(rows, old.tolist(), strict=True) if keep}
    shared &= {row.task for row, keep in zip(rows, young.tolist(), strict=True) if keep}
    if not shared:
        return None
    kept = (old | young) & np.array([row.task in shared for row in rows])
    asked = [row for row, keep in zip(rows, kept.tolist(), strict=True) if keep]
    clusters, tasks, new = [row.cluster for row in asked], [row.task for row in asked], young[kept]
    gain, low, high = apart(pair.differences[:, kept], clusters, tasks, new.tolist(), weights, confidence=confidence)
    sides = [
        Side(contender=sheet.name, **_means(sheet.scores[:, kept], np.array(tasks), new, weights))
        for sheet in (pair.challenger, pair.incumbent)
    ]
    return Apart(
        tasks=tuple(dict.fromkeys(tasks)), n=len(asked), clusters=len(set(clusters)), gain=gain, low=low, high=high,
        sides=(sides[0], sides[1]),
    )  # fmt: skip


def _means(scores: Floats, tasks: NDArray[np.str_], new: Mask, weights: dict[str, float]) -> dict[str, float]:
    """Weighted mean over tasks of scores [S, n] on each side of the day."""
    values, names, found = scores.mean(axis=0), sorted(set(tasks.tolist())), {}
    for side, mask in (("old", ~new), ("young", new)):
        means = [values[mask & (tasks == name)].mean() for name in names]
        found[side] = float(np.average(means, weights=[weights[name] for name in names]))
    return found
