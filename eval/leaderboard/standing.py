"""Ranks that do not pretend, on plain numbers: duels of all pairs, tiers of who is not told apart, spans of ranks.

All contenders answered the same questions, so everything is paired: one `eval.paired.Layout` serves them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eval.corpus import expanded
from eval.paired import CHUNK, Floats, Layout
from eval.significance import holm

DRAWS = 2000
SAME = 1e-12  # two means that differ by rounding alone


@dataclass(frozen=True)
class Duel:
    """Two contenders on the same questions, the higher mean ahead; no interval where a task lies in one cluster."""

    ahead: int
    behind: int
    gain: float
    low: float | None
    high: float | None
    p: float  # one-sided, by Holm over all pairs
    resolved: bool


@dataclass(frozen=True)
class Tier:
    """Where one contender stands: its tier, and the rank that all of a tier share, 1 for the best."""

    tier: int
    rank: int


def duels(scores: Sequence[Floats], weight: Floats, layout: Layout | None, confidence: float) -> list[Duel]:
    """Every pair of contenders. `scores` are [S, n] each, `weight` [n].

    Who is ahead was seen before it was tested, so the error is shared over both sides; Holm runs over all pairs at
    once, so that whoever turns out to lead, and is compared with the rest, is covered too.
    """
    means = [float(each.mean(axis=0) @ weight) for each in scores]
    order = sorted(range(len(scores)), key=lambda at: -means[at])
    pairs = [(one, other) for place, one in enumerate(order) for other in order[place + 1 :]]
    if layout is None:
        return [Duel(one, other, means[one] - means[other], None, None, 1.0, False) for one, other in pairs]
    found = [layout.estimate(scores[one] - scores[other], confidence=confidence) for one, other in pairs]
    steps = holm([each.p for each in found], (1 - confidence) / 2)
    return [
        Duel(*pair, each.gain, max(-1.0, each.low), min(1.0, each.high), step.adjusted_p, step.rejected)
        for pair, each, step in zip(pairs, found, steps, strict=True)
    ]


def tiers(means: Sequence[float], found: Sequence[Duel]) -> list[Tier]:
    """Each contender's, in the order given.

    The best of those left heads a tier. With it stand all that are not shown to be worse, and all that score no less
    than one of these: a tier has no holes, so a better score never means a lower tier.
    """
    worse = {(duel.ahead, duel.behind) for duel in found if duel.resolved}
    left, number = sorted(range(len(means)), key=lambda at: -means[at]), 1
    placed: dict[int, Tier] = {}
    while left:
        floor = min(means[at] for at in left if (left[0], at) not in worse) - SAME
        members = [at for at in left if means[at] >= floor]
        placed |= {at: Tier(number, 1 + len(placed)) for at in members}
        left, number = [at for at in left if at not in placed], number + 1
    return [placed[at] for at in range(len(means))]


def spans(
    scores: Sequence[Floats], layout: Layout | None, confidence: float, *, draws: int = DRAWS, seed: int = 17
) -> list[tuple[int, int]]:
    """Best and worst rank of each contender, when the clusters that all were asked about are drawn again.

    Clusters get exponential weights (the Bayesian bootstrap, Rubin 1981, under which no task ever lies empty), and
    training seeds do; the tails are widened for few clusters (Hesterberg 2015). Who is drawn level shares both ranks.
    """
    if layout is None:
        return [(1, len(scores))] * len(scores)
    rng = np.random.default_rng(seed)
    best, worst = [], []
    for start in range(0, draws, CHUNK):
        drawn = _redrawn(scores, layout, rng, min(CHUNK, draws - start))  # [D, J]
        higher = drawn[:, None, :] > drawn[:, :, None] + SAME
        lower = drawn[:, None, :] < drawn[:, :, None] - SAME
        best.append(1 + higher.sum(axis=2))
        worst.append(len(scores) - lower.sum(axis=2))
    tail = expanded((1 - confidence) / 2, int(np.count_nonzero(layout.share, axis=1).min()))
    low = np.quantile(np.concatenate(best), tail, axis=0, method="lower")
    high = np.quantile(np.concatenate(worst), 1 - tail, axis=0, method="higher")
    return [(int(first), int(last)) for first, last in zip(low, high, strict=True)]


def _redrawn(scores: Sequence[Floats], layout: Layout, rng: np.random.Generator, draws: int) -> Floats:
    """[draws, J] weighted means on redrawn clusters."""
    shape = layout.share.shape
    times = rng.standard_exponential((draws, shape[1]))
    asked = np.bincount(layout.cell, minlength=layout.share.size).reshape(shape)
    mass = times @ asked.T.astype(float)  # [D, T]
    found = np.empty((draws, len(scores)))
    for at, each in enumerate(scores):
        share = rng.standard_exponential((draws, len(each)))
        share /= share.sum(axis=1, keepdims=True)
        sums = np.stack([np.bincount(layout.cell, weights=row, minlength=layout.share.size) for row in each])
        means = np.einsum("dc,stc->dst", times, sums.reshape(len(each), *shape)) / mass[:, None, :]
        found[:, at] = np.einsum("ds,dst,t->d", share, means, layout.weight)
    return found
