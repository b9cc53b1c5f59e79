"""The clean subset of the exam: its verdict beside that on all questions, and what was left out, task by task."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from eval.gates import CleanFact
from eval.verdict.contest import Contest
from eval.verdict.evidence import Evidence
from eval.verdict.leaks import LEAKED, SIGNS
from eval.verdict.ruling import Call, headline, overall
from eval.verdict.sensitivity import ruled
from eval.verdict.variants import kept_questions

FROZEN = ConfigDict(frozen=True, extra="forbid")


class Part(BaseModel):
    """Delta on some of the questions: the lead challenger against the incumbent, and the rule's word."""

    model_config = FROZEN
    n: int
    clusters: int
    gain: float
    low: float
    high: float
    call: Call


class Shown(BaseModel):
    """Questions of one task that show in the training rows, by sign; one may show several."""

    model_config = FROZEN
    task: str
    items: int
    same: int
    near: int
    runs: int
    source: int = Field(description="On a document that training shows: in distribution, and not left out for it")
    shown: int = Field(description="The same, nearly the same or a run: what the clean subset leaves out")


class Contamination(BaseModel):
    """Delta on the clean subset beside delta on all. No card dates its items, so none is known to be younger."""

    model_config = FROZEN
    taught: tuple[str, ...] = Field(description="card#split of what the challengers were tuned on here")
    unknown: tuple[str, ...] = Field(description="Challengers whose training data nobody here knows")
    challenger: str
    incumbent: str
    tasks: tuple[Shown, ...]
    all: Part
    clean: Part | None = Field(description="None: nothing is left out, or what is left cannot be judged")

    @property
    def fact(self) -> CleanFact:
        """What the gate asks."""
        items, shown = sum(task.items for task in self.tasks), sum(task.shown for task in self.tasks)
        left = self.clean
        return CleanFact(
            items, shown, self.taught, self.unknown, self.all.call, (self.all.gain, self.all.low, self.all.high),
            left.call if left else None, (left.gain, left.low, left.high) if left else None,
        )  # fmt: skip


def contamination(evidence: Evidence, contest: Contest) -> Contamination:
    """What the training of the challengers shows of the exam, and what the rule says without it."""
    call, incumbent = overall(contest.rulings), evidence.recipe.rule.incumbent
    lead = headline(contest.rulings, call)
    found, seen = contest.find("delta", lead.challenger), contest.leaks
    low = lead.lows[found.incumbent]
    return Contamination(
        taught=seen.taught, unknown=seen.unknown, challenger=lead.challenger, incumbent=incumbent,
        tasks=_shown(evidence, contest),
        all=Part(n=found.n, clusters=found.clusters, gain=found.gain, low=low, high=found.high, call=call),
        clean=_clean(evidence, contest, lead.challenger) if seen.of(*LEAKED) else None,
    )  # fmt: skip


def _shown(evidence: Evidence, contest: Contest) -> tuple[Shown, ...]:
    seen, rows = contest.leaks, []
    for task, items in evidence.sheets[evidence.recipe.rule.incumbent].asked.items():
        counts = {sign: sum(key[0] == task for key in seen.of(sign)) for sign in SIGNS}
        shown = sum(key[0] == task for key in seen.of(*LEAKED))
        rows.append(Shown(task=task, items=items, shown=shown, **counts))
    return tuple(rows)


def _clean(evidence: Evidence, contest: Contest, challenger: str) -> Part | None:
    """The same rule on the questions that are left."""
    pair = contest.pairs[challenger][0]
    rows = list(pair.challenger.questions.values())
    left = np.array([(row.task, row.id) not in contest.leaks.of(*LEAKED) for row in rows])
    change = kept_questions(left, rows, evidence.weights)
    if change is None:
        return None
    pairs = {name: [change(each) for each in found] for name, found in contest.pairs.items()}
    rulings, bounds = ruled(evidence, contest, pairs, evidence.recipe.rule.margin, evidence.recipe.costs)
    mine = next(ruling for ruling in rulings if ruling.challenger == challenger)
    span = next(each for each in bounds[challenger] if each.incumbent == pair.incumbent.name)
    return Part(
        n=int(left.sum()), clusters=len({row.cluster for row, keep in zip(rows, left, strict=True) if keep}),
        gain=span.gain, low=mine.lows[span.incumbent], high=span.high, call=overall(rulings),
    )  # fmt: skip
