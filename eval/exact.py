"""Intervals for few answers, or rates near 0 or 1, where a mean is far from normal (Bowyer et al. 2025, 2503.01747).

A single rate: Clopper & Pearson 1934. The difference of two paired rates: the posterior under a uniform Dirichlet prior
over the four cells of the paired table (both right, either alone, neither). Both take counts that need not be whole:
questions of a cluster are not as many questions, and Korn & Graubard 1998 put the effective number in their place. On
plain numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eval.paired import Estimate
from eval.paired.decision import TINY

PRIOR = 1.0  # of each of the four cells: uniform
STEPS = 512  # places at which the posterior share of questions that differ is taken, all as likely
HALVINGS = 40  # of [-1, 1] in search of a bound


@dataclass(frozen=True)
class Size:
    """How many questions a set holds: `n` asked, each answered `answers` times, the mean one in a cluster of `lump`."""

    n: int
    answers: int
    lump: float  # sum of squared cluster sizes / n

    def effective(self, found: Estimate, alone: float) -> float:
        """As many independent questions of one answer (Korn & Graubard 1998, eq. 4): variance `alone` of one such over
        the clustered one, less what few clusters leave unknown of it; never more than answers.

        Where no answer differs from another no variance tells how clusters hold together: each counts once.
        """
        from scipy.special import stdtrit

        if alone <= TINY:
            return self.n / self.lump
        most, tail = float(self.n * self.answers), (1 + found.confidence) / 2
        known = (float(stdtrit(max(1, self.n - 1), tail)) / float(stdtrit(found.df, tail))) ** 2
        return min(most, known * alone / found.se**2) if found.se else most


def clopper_pearson(rate: float, count: float, confidence: float = 0.95) -> tuple[float, float]:
    """Bounds of a rate seen on `count` questions, in [0, 1]; ValueError where there is no such rate."""
    from scipy.special import betaincinv

    if not (0 <= rate <= 1 and count > 0):
        raise ValueError(f"a rate of {rate} on {count} questions: no such rate")
    right, tail = rate * count, (1 - confidence) / 2
    low = float(betaincinv(right, count - right + 1, tail)) if rate > 0 else 0.0
    return low, float(betaincinv(right + 1, count - right, 1 - tail)) if rate < 1 else 1.0


def paired_posterior(won: float, lost: float, count: float, confidence: float = 0.95) -> tuple[float, float]:
    """Central interval of the difference of two paired rates, in [-1, 1]; ValueError where the counts cannot be.

    Of `count` questions `won` went to the first alone, `lost` to the second alone. The share s that differs is
    Beta(won + lost + 2, rest + 2), the part r of it that the first wins is Beta(won + 1, lost + 1) apart from it, and
    the difference is s (2 r - 1): no draw is needed.
    """
    from scipy.special import betaincinv

    rest = count - won - lost
    if min(won, lost) < 0 or rest < -TINY or count <= 0:
        raise ValueError(f"{won} won and {lost} lost of {count} questions: no such counts")
    differ = betaincinv(won + lost + 2 * PRIOR, max(0.0, rest) + 2 * PRIOR, (np.arange(STEPS) + 0.5) / STEPS)
    tail = (1 - confidence) / 2
    return _quantile(differ, won, lost, tail), _quantile(differ, won, lost, 1 - tail)


def _quantile(differ: np.ndarray, won: float, lost: float, wanted: float) -> float:
    from scipy.special import betainc

    low, high = -1.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        part = np.clip((middle / differ + 1) / 2, 0.0, 1.0)
        below = float(np.mean(betainc(won + PRIOR, lost + PRIOR, part))) < wanted
        low, high = (middle, high) if below else (low, middle)
    return (low + high) / 2
