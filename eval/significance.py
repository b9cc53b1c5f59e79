"""Tests on plain numbers: corrected for how many were looked at (Holm 1979; slices by Benjamini & Hochberg
1995), and for pairs of right and wrong McNemar's
mid-p (Fagerland 2013) with Tango's score interval (1998), and McNemar's test where questions come in clusters
(Obuchowski 1998, Durkalski et al. 2003)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class HolmStep:
    """What Holm decides for one of J hypotheses; `level` is the one-sided alpha at which it was tested last."""

    rejected: bool
    adjusted_p: float
    level: float


def holm(p_values: Sequence[float], alpha: float) -> list[HolmStep]:
    """Decisions in the order given, family-wise error at most `alpha` under any dependence.

    Decision and bound agree: a hypothesis is rejected exactly where its lower bound at `level` exceeds the margin. What
    is rejected is tested at the level of its own step, what is not at alpha / (number not rejected).
    """
    count = len(p_values)
    order = sorted(range(count), key=lambda j: p_values[j])
    adjusted, running = [0.0] * count, 0.0
    for rank, j in enumerate(order):
        running = max(running, min(1.0, (count - rank) * p_values[j]))
        adjusted[j] = running
    rejected = [p <= alpha for p in adjusted]
    left = count - sum(rejected)
    levels = {j: alpha / (count - rank) for rank, j in enumerate(order)}
    return [HolmStep(rejected[j], adjusted[j], levels[j] if rejected[j] else alpha / left) for j in range(count)]


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p in the order given: calling those at or below q holds the share of false ones among them, in the long
    run, to q where tests are independent or depend positively (Benjamini & Hochberg 1995; Benjamini & Yekutieli 2001).
    """
    count, least = len(p_values), 1.0
    adjusted = [1.0] * count
    for rank, j in enumerate(sorted(range(count), key=lambda j: -p_values[j])):
        least = min(least, p_values[j] * count / (count - rank))
        adjusted[j] = least
    return adjusted


def mcnemar_midp(wins: int, losses: int) -> float:
    """Two-sided mid-p of McNemar's test on the discordant pairs; ignores clusters, a secondary for single samples."""
    from scipy.special import bdtr

    total, fewer = wins + losses, min(wins, losses)
    if total == 0:
        return 1.0
    upto, below = float(bdtr(fewer, total, 0.5)), float(bdtr(fewer - 1, total, 0.5)) if fewer else 0.0
    return min(1.0, 2 * below + (upto - below))


def mcnemar_clustered(net: Sequence[float], sizes: Sequence[int]) -> tuple[float, float]:
    """Two-sided p of McNemar's test for clustered pairs, after Obuchowski and after Durkalski; chi-square, 1 df.

    `net` is wins less losses of each of C clusters, `sizes` their questions. With r_c = net_c (every question weighs
    the same) and with r_c = net_c / size_c (every cluster does):

        Obuchowski  (C - 1) / C * (sum r)^2 / sum r^2        Durkalski  (sum r)^2 / sum r^2

    Of clusters of one question both are McNemar's chi-square without correction, but for Obuchowski's factor.
    """
    count, shares = len(net), [each / size for each, size in zip(net, sizes, strict=True)]
    return _chi_square_p((count - 1) / count * _squared(net)), _chi_square_p(_squared(shares))


def _squared(rates: Sequence[float]) -> float:
    spread = math.fsum(each * each for each in rates)
    return math.fsum(rates) ** 2 / spread if spread else 0.0


def _chi_square_p(value: float) -> float:
    return math.erfc(math.sqrt(value / 2))


def tango(wins: int, losses: int, count: int, confidence: float = 0.95) -> tuple[float, float]:
    """Score interval for the difference of two paired shares, in [-1, 1]; ignores clusters, as McNemar's test does.

    Of `count` pairs `wins` went to the first alone, `losses` to the second alone. The bounds are the differences at
    which the score statistic reaches the normal quantile (Tango 1998, eq. 4); it falls as the difference grows, so
    halving finds them. ValueError where the counts cannot be.
    """
    from scipy.special import ndtri

    if min(wins, losses) < 0 or count < max(1, wins + losses):
        raise ValueError(f"{wins} won and {losses} lost of {count} pairs: no such counts")
    critical = float(ndtri((1 + confidence) / 2))
    seen = (wins - losses) / count
    low = _crossing(wins, losses, count, critical, -1.0, seen)
    return low, _crossing(wins, losses, count, -critical, seen, 1.0)


def _crossing(wins: int, losses: int, count: int, wanted: float, low: float, high: float) -> float:
    for _ in range(52):
        middle = (low + high) / 2
        low, high = (middle, high) if tango_score(wins, losses, count, middle) > wanted else (low, middle)
    return (low + high) / 2


def tango_score(wins: int, losses: int, count: int, delta: float) -> float:
    """Tango's statistic for a true difference `delta`; at 0 its square is McNemar's uncorrected chi-square."""
    b = -wins - losses + (2 * count - wins + losses) * delta
    c = -losses * delta * (1 - delta)
    lost = (math.sqrt(max(0.0, b * b - 8 * count * c)) - b) / (4 * count)  # share lost, most likely under delta
    variance = count * (2 * lost + delta * (1 - delta))
    far = wins - losses - count * delta
    return far / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, far) if far else 0.0
