"""Flags of membership: questions that a contender finds as likely as what it knows by heart (decision.md 5.6.6).

They decide nothing, and are no gate: of what stood in a pre-training set such scores tell little (Duan et al. 2024).
"""

from __future__ import annotations

from statistics import median
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from eval.verdict.evidence import Evidence

SHOWN = 12  # flagged questions that are named


class MembershipRow(BaseModel):
    """One contender that decides, or the base. `lean`: what memory of these questions does to the gain."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    contender: str
    status: Literal["flagged", "none", "not_checked"] = Field(description="not_checked: nobody measured it")
    n: int = 0
    flagged: int = 0
    middle: float | None = Field(None, description="Median of Min-20%++ over the questions")
    lean: Literal["low", "high"] | None = None
    named: tuple[str, ...] = Field((), description="The first of the flagged ones, task/question")


def membership_rows(evidence: Evidence) -> tuple[MembershipRow, ...]:
    """Those that decide and the base; empty where nobody was measured at all."""
    if not evidence.members:
        return ()
    names = dict.fromkeys([*evidence.deciding, evidence.recipe.rule.base])
    return tuple(_row(evidence, name) for name in names)


def _row(evidence: Evidence, name: str) -> MembershipRow:
    found = evidence.members.get(name)
    if found is None:
        return MembershipRow(contender=name, status="not_checked")
    scores, flagged = [at for task in found.scores.values() for at in task.values()], found.flagged
    lean = None if name not in evidence.deciding else "high" if name in evidence.challengers else "low"
    return MembershipRow(
        contender=name, status="flagged" if flagged else "none", n=len(scores), flagged=len(flagged),
        middle=median(scores) if scores else None, lean=lean if flagged else None,
        named=tuple("/".join(key) for key in flagged[:SHOWN]),
    )  # fmt: skip
