"""Guards: which sets stand together against which harm, and how many questions each needs to be told (decision.md 5.6).

A guard is one harm in one language: the mean over its sets within one margin, and, where there are several, each set
within a wider one. None passes by being too small to fail.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from eval.benchmark import Benchmark, Task
from eval.power import power
from finetune.card import Row
from finetune.mistakes import BadInput
from finetune.recipe import Recipe
from finetune.recipe.guards import KINDS, GuardKind

PSI, RHO = 0.15, 0.2  # tuned and own base agree more than strangers do: assumed share of questions on which they differ


@dataclass(frozen=True)
class Guard:
    """One non-inferiority test: the questions of one language in these tasks, and the loss that is borne."""

    kind: GuardKind
    lang: str
    tasks: tuple[Task, ...]
    margin: float
    whole: bool  # the mean over all sets of this harm and language; else one of several

    def rows(self, task: Task) -> list[Row]:
        """The questions of one of its tasks."""
        return [row for row in task.rows if row.lang == self.lang and task.part(row) == "test"]

    @property
    def guess_rate(self) -> float:
        """What blind guessing would score: the mean over its tasks."""
        return sum(task.guess_rate for task in self.tasks) / len(self.tasks)


@dataclass(frozen=True)
class Reach:
    """What a guard can tell before anything has run: true losses that 80 of 100 such guards would tell from its
    margin, and the questions of its kind with which that would be the margin itself."""

    items: int
    clusters: int
    mde: float
    needed: int


def guards(recipe: Recipe, benchmark: Benchmark) -> tuple[Guard, ...]:
    """Every guard of a recipe. BadInput: a task's questions in one language lie in one cluster."""
    terms = recipe.rule.guards
    if terms is None:
        return ()
    found: list[Guard] = []
    for kind in KINDS:
        named = [_task(benchmark, task) for task in terms.of(kind)]
        for lang in sorted({row.lang for task in named for row in task.rows}):
            tasks = tuple(task for task in named if any(row.lang == lang for row in task.rows))
            found.append(Guard(kind, lang, tasks, terms.margin, whole=True))
            single = terms.single_margin
            found += [Guard(kind, lang, (task,), single, whole=False) for task in tasks if len(tasks) > 1]
    _refuse_unjudgeable(found)
    return tuple(found)


def reach(guard: Guard, confidence: float) -> Reach:
    """By the assumed PSI and RHO. About 2,950 questions for 2 points, each a document of its own."""
    sizes = {task.name: Counter(task.cluster(row) for row in guard.rows(task)) for task in guard.tasks}
    seen = power(sizes, psi=PSI, rho=RHO, confidence=confidence)
    return Reach(seen.n, seen.clusters, seen.mde80, math.ceil(seen.n * (seen.mde80 / guard.margin) ** 2))


def unguarded(recipe: Recipe, found: Sequence[Guard]) -> Iterator[str]:
    """A line for each harm that would go unseen."""
    if not found:
        yield "No guard is declared: what tuning forgets will not be seen; rule.guards: {tasks: [suite:guard_zh]}"
        return
    taught = {lang for use in recipe.data_used for lang in use.card.languages}
    other = {"zh": "en", "en": "zh"}[taught.pop()] if len(taught) == 1 else None
    if other and not any(each.kind == "language" and each.lang == other for each in found):
        yield f"Tuned in one language alone, and no guard of finance in {other}: name its tasks in rule.guards.language"


def _task(benchmark: Benchmark, named: str) -> Task:
    """A guard's task, which may be the exam's own."""
    name = Path(named).name
    return next(task for task in benchmark.carded if task.name == name)


def _refuse_unjudgeable(found: Sequence[Guard]) -> None:
    for guard in found:
        for task in guard.tasks:
            if len({row.cluster for row in guard.rows(task)}) < 2:
                raise BadInput(
                    f"rule.guards: task {task.name} has its questions in {guard.lang} in one cluster, so no interval "
                    f"can be had; name their documents in the column `cluster` of card {task.card.name}, or leave it "
                    f"out"
                )
