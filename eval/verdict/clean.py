"""The clean subset of the exam: its verdict beside that on all questions, and what was left out, task by task."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from eval.gates import CleanFact
from eval.verdict.contest import Contest
from eval.verdict.dated import Dated, dated
from eval.verdict.evidence import Evidence
from eval.verdict.leaks import LEAKED, SIGNS
from eval.verdict.membership import MembershipRow, membership_rows
from eval.verdict.part import Part, part_of
from eval.verdict.ruling import headline, overall

FROZEN = ConfigDict(frozen=True, extra="forbid")


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
    """Delta on the clean subset beside delta on all, and delta by date."""

    model_config = FROZEN
    taught: tuple[str, ...] = Field(description="card#split of what the challengers were tuned on here")
    unknown: tuple[str, ...] = Field(description="Challengers whose training data nobody here knows")
    challenger: str
    incumbent: str
    tasks: tuple[Shown, ...]
    all: Part
    clean: Part | None = Field(description="None: nothing is left out, or what is left cannot be judged")
    dated: Dated | None = Field(None, description="None: no card dates its questions")

    membership: tuple[MembershipRow, ...] = Field((), description="Flags of what may be known by heart; decide nothing")

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
        dated=dated(evidence, contest, lead.challenger), membership=membership_rows(evidence),
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
    leaked = contest.leaks.of(*LEAKED)
    rows = contest.pairs[challenger][0].challenger.questions
    return part_of(evidence, contest, challenger, [key not in leaked for key in rows])
