"""Whether training rows can be got back out of a contender: the share of planted secrets that it says."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from eval.gates import CanaryFact
from eval.task import CANARIES
from eval.verdict.evidence import Evidence
from eval.verdict.twins import Rate, rate


class CanaryRow(BaseModel):
    """One contender. A secret counts once it stands in any of its answers, in each seed."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    contender: str
    planted: bool = Field(description="Among its training rows; else it is a control")
    n: int
    given: Rate


def canary_rows(evidence: Evidence) -> tuple[CanaryRow, ...]:
    """Nothing where none was planted."""
    if evidence.benchmark.canaries is None:
        return ()
    level, found = evidence.recipe.rule.confidence, []
    for name, sheet in evidence.twins.items():
        values = sheet.drawn(CANARIES).max(axis=2).T  # [S, n]
        planted = any(evidence.recipe.contenders[each].method for each in evidence.recipe.lineage(name))
        given = rate(values, range(values.shape[1]), level)  # one secret tells of no other
        found.append(CanaryRow(contender=name, planted=planted, n=values.shape[1], given=given))
    return tuple(found)


def canary_facts(evidence: Evidence) -> list[CanaryFact]:
    rows = canary_rows(evidence)
    return [CanaryFact(row.contender, row.planted, row.n, row.given.value, row.given.high) for row in rows]
