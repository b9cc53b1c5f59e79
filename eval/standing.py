"""Ranks that do not pretend, on plain numbers: duels of all pairs, tiers of who is not told apart, spans of ranks.

All contenders answered the same questions, so everything is paired: one `eval.paired.Layout` serves them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eval.paired import Floats, Layout
from eval.significance import holm

SAME = 1e-12  # two means that differ by rounding alone


@dataclass(frozen=True)
class Duel:
    """Two contenders on the same questions, the higher mean ahead; no interval where a task lies in one cluster."""

    ahead: int
    behind: int
    gain: float
    low: float | None
    high: float | None
    p: float  # two-sided against no difference, by Holm over all pairs
    resolved: bool  # p is at most 1 - confidence


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
        Duel(*pair, each.gain, max(-1.0, each.low), min(1.0, each.high), min(1.0, 2 * step.adjusted_p), step.rejected)
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


def spans(means: Sequence[float], found: Sequence[Duel]) -> list[tuple[int, int]]:
    """Best and worst rank that the duels leave open to each contender, in the order given.

    From one more than are shown to be better, down to all but those that are shown to be worse (Mogstad, Romano, Shaikh
    & Wilhelm 2024). Holm holds all duels together, so all spans hold together, at the same confidence. They are widened
    where a higher mean would have the worse rank by them, and to hold the rank that a tier shares: whoever is told from
    one of its tier may share the rank of its best all the same.
    """
    count, order = len(means), sorted(range(len(means)), key=lambda at: -means[at])
    better, worse = [0] * count, [0] * count
    for duel in found:
        better[duel.behind] += duel.resolved
        worse[duel.ahead] += duel.resolved
    place = [each.rank for each in tiers(means, found)]
    level = {at: [other for other in order if abs(means[other] - means[at]) <= SAME] for at in order}
    best, worst = [0] * count, [0] * count
    lowest = count
    for at in reversed(order):  # from the lowest mean up: none below may have a better best rank
        lowest = min(lowest, *(min(1 + better[other], place[other]) for other in level[at]))
        best[at] = lowest
    highest = 1
    for at in order:
        highest = max(highest, *(count - worse[other] for other in level[at]))
        worst[at] = highest
    return list(zip(best, worst, strict=True))
