"""How many questions turned: on which one side of a contrast is right and the other is not, by task and by cause.

A contender is right on a question where more than half of its answers (all samples and seeds) are `correct`; the cause
is the outcome of the first other answer of the side that is not. Nothing here decides; `eval.flips` shows them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from eval.compare import Comparison
from eval.sheet import OUTCOMES, Key, Sheet
from eval.verdict.evidence import Evidence

FROZEN = ConfigDict(frozen=True, extra="forbid")
CORRECT, MISSING = OUTCOMES.index("correct"), OUTCOMES.index("missing")


class Side(NamedTuple):
    """One contender on one question: right answers, of how many, and what the first other one became."""

    right: int
    of: int
    cause: str

    @property
    def holds(self) -> bool:
        return 2 * self.right > self.of


class Turned(BaseModel):
    """Questions of one task, or lost and gained by one cause."""

    model_config = FROZEN
    name: str
    gained: int
    lost: int

    @classmethod
    def rows(cls, found: Iterable[tuple[str, bool]]) -> tuple[Self, ...]:
        counts = Counter(found)
        names = dict.fromkeys(name for name, _ in counts)
        return tuple(cls(name=name, gained=counts[name, True], lost=counts[name, False]) for name in names)


class Turns(BaseModel):
    """One contrast: gained are questions that only the challenger got right, lost those that only the rival did."""

    model_config = FROZEN
    challenger: str
    incumbent: str
    role: Literal["delta", "alternative"]
    n: int
    gained: int
    lost: int
    tasks: tuple[Turned, ...] = Field(description="Those with a turned question, in the order of the exam")
    causes: tuple[Turned, ...] = Field(description="Outcomes of the side that is not right")

    @property
    def net(self) -> int:
        return self.gained - self.lost


def turns(evidence: Evidence, comparisons: Sequence[Comparison], lead: str) -> tuple[Turns, ...]:
    """Of every contrast that decides, those of the lead challenger first."""
    compared = deciding(comparisons, lead)
    names = {name for each in compared for name in (each.challenger, each.incumbent)}
    found = {name: sides(evidence.sheets[name]) for name in names}
    return tuple(_turns(each, found[each.challenger], found[each.incumbent]) for each in compared)


def deciding(comparisons: Sequence[Comparison], lead: str) -> list[Comparison]:
    compared = [each for each in comparisons if each.role in ("delta", "alternative")]
    return sorted(compared, key=lambda each: each.challenger != lead)


def sides(sheet: Sheet) -> dict[Key, Side]:
    """A contender on every question, its answers in the order of seeds and samples."""
    counts = np.array([sheet.samples[task] * len(sheet.seeds) for task, _ in sheet.questions])
    starts = np.cumsum(counts) - counts
    right = np.add.reduceat((sheet.outcomes == CORRECT).astype(int), starts)
    given = (sheet.outcomes != CORRECT) & (sheet.outcomes != MISSING)
    places = np.where(given, np.arange(len(given)), len(given))  # past the end where there is none
    first = np.append(sheet.outcomes, MISSING)[np.minimum.reduceat(places, starts)]
    told = zip(sheet.questions, right.tolist(), counts.tolist(), first.tolist(), strict=True)
    return {key: Side(held, of, OUTCOMES[cause]) for key, held, of, cause in told}


def turned(ours: Mapping[Key, Side], theirs: Mapping[Key, Side]) -> dict[Key, bool]:
    """Questions on which one side alone is right, and whether that is ours."""
    return {key: side.holds for key, side in ours.items() if side.holds != theirs[key].holds}


def _turns(found: Comparison, ours: Mapping[Key, Side], theirs: Mapping[Key, Side]) -> Turns:
    keys = turned(ours, theirs)
    gained = sum(keys.values())
    facts = found.model_dump(include={"challenger", "incumbent", "role", "n"})
    causes = sorted(((theirs if mine else ours)[key].cause, mine) for key, mine in keys.items())
    return Turns(
        **facts, gained=gained, lost=len(keys) - gained, causes=Turned.rows(causes),
        tasks=Turned.rows((task, mine) for (task, _), mine in keys.items()),
    )  # fmt: skip
