"""Small sets with rates near 0 or 1: the exact and the Bayesian interval beside the usual one (decision.md 5.3).

They are shown and decide nothing: one task at a time, whatever it weighs, where every answer is right or wrong and
there is one training seed a side.
"""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from eval.exact import Size, clopper_pearson, paired_posterior
from eval.paired import Floats, Layout
from eval.pairing import Pair

FROZEN = ConfigDict(frozen=True, extra="forbid")
ITEMS = 300  # questions from which the usual interval stands alone: "under a few hundred"
EXPECTED = 10  # right answers, wrong ones or questions that differ, of which fewer make a rate near 0 or 1


class Rate(BaseModel):
    """A contender's share of right answers on one task, with its Clopper-Pearson interval."""

    model_config = FROZEN
    rate: float
    low: float
    high: float


class SmallRow(BaseModel):
    """One task that is too small for its rates: how many of it stand alone, both rates, and their difference."""

    model_config = FROZEN
    task: str
    n: int
    clusters: int
    effective: float = Field(description="Independent questions that tell as much of the difference (Korn & Graubard)")
    challenger: Rate
    incumbent: Rate
    gain: float
    low: float = Field(description="Of the posterior under a uniform prior on the four cells, as is `high`")
    high: float


def small_rows(pair: Pair, confidence: float) -> tuple[SmallRow, ...]:
    """A row of each task under ITEMS questions on which fewer than EXPECTED are right, wrong or differ."""
    found = []
    for task, n in pair.challenger.asked.items():
        sides = [sheet.drawn(task) for sheet in (pair.challenger, pair.incumbent)]
        single = all(scores.shape[1] == 1 and set(np.unique(scores)) <= {0.0, 1.0} for scores in sides)
        if n < ITEMS and single:
            a, b = (scores.mean(axis=(1, 2)) for scores in sides)
            answers = sides[0].shape[2], sides[1].shape[2]
            found += _rows(task, a, b, pair.challenger.part(task).layout({}), answers, confidence)
    return tuple(found)


def _rows(
    task: str, a: Floats, b: Floats, layout: Layout, answers: tuple[int, int], confidence: float
) -> list[SmallRow]:
    """None or one, from the shares of right answers [n] of both, and how often each was asked."""
    n, won, lost = len(a), float(np.mean(a * (1 - b))), float(np.mean(b * (1 - a)))
    if min(a.sum(), b.sum(), n - a.sum(), n - b.sum(), n * (won + lost)) >= EXPECTED:
        return []
    sizes = np.bincount(layout.cell)
    lump = float((sizes**2).sum() / n)
    count = _effective(a - b, layout, Size(n, min(answers), lump), confidence, won + lost - (won - lost) ** 2)
    low, high = paired_posterior(won * count, lost * count, count, confidence)
    ours, theirs = (_rate(each, layout, Size(n, k, lump), confidence) for each, k in zip((a, b), answers, strict=True))
    return [SmallRow(
        task=task, n=n, clusters=int(np.count_nonzero(sizes)), effective=count, gain=float(np.mean(a - b)), low=low,
        high=high, challenger=ours, incumbent=theirs,
    )]  # fmt: skip


def _rate(right: Floats, layout: Layout, size: Size, confidence: float) -> Rate:
    rate = float(right.mean())
    count = _effective(right, layout, size, confidence, rate * (1 - rate))
    low, high = clopper_pearson(rate, count, confidence)
    return Rate(rate=rate, low=low, high=high)


def _effective(values: Floats, layout: Layout, size: Size, confidence: float, alone: float) -> float:
    """Of an estimate only its error and degrees of freedom are asked, which no draw of its bootstrap moves."""
    return size.effective(layout.estimate(values, confidence=confidence, draws=99), alone)
