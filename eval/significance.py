"""P-values on plain numbers: corrected for how many were looked at (Holm 1979), and McNemar's for pairs of right and
wrong (mid-p, Fagerland 2013)."""

from __future__ import annotations

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


def mcnemar_midp(wins: int, losses: int) -> float:
    """Two-sided mid-p of McNemar's test on the discordant pairs; ignores clusters, a secondary for single samples."""
    from scipy.special import bdtr

    total, fewer = wins + losses, min(wins, losses)
    if total == 0:
        return 1.0
    upto, below = float(bdtr(fewer, total, 0.5)), float(bdtr(fewer - 1, total, 0.5)) if fewer else 0.0
    return min(1.0, 2 * below + (upto - below))
