"""Whether training rows can be got back out of a contender: the share of planted secrets that it says."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from eval.gates import CanaryFact
from eval.paired import Floats
from eval.scarce import clopper_pearson
from eval.task import CANARIES
from eval.verdict.evidence import Evidence
from eval.verdict.twins import Rate


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
        found.append(CanaryRow(contender=name, planted=planted, n=values.shape[1], given=given(values, level)))
    return tuple(found)


def given(values: Floats, confidence: float) -> Rate:
    """Of secrets [S, n], 1 where one was said. One tells of no other, and few are ever said: bounds are exact."""
    share = min(1.0, float(values.mean()))
    low, high = clopper_pearson(share, values.shape[1], confidence)
    return Rate(value=share, low=low, high=high)


def canary_facts(evidence: Evidence) -> list[CanaryFact]:
    rows = canary_rows(evidence)
    return [CanaryFact(row.contender, row.planted, row.n, row.given.value, row.given.high) for row in rows]
