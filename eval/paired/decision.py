"""How a weighted mean is decided on, once its spread is known: by Student's t, or by a wider bootstrap beside it.

A task without spread is no proof that all its documents agree. `hidden` (below, above) is how far the mean may lie
beyond what spread tells, for each nat of error -ln(alpha) (the rule of three); both bounds hold it, and p is the error
at which a bound would lie at the margin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TINY = 1e-12  # a standard error below this is rounding, not spread
LEAST = 700.0  # nats: no error smaller than exp(-700) is told
HALVINGS = 60  # of these in search of an error

Hidden = tuple[float, float]  # below, above


@dataclass(frozen=True)
class Decision:
    """Interval and p of an `Estimate`, in its words, and what decided them."""

    low: float
    high: float
    p: float
    p_under: float
    mde80: float
    t_interval: tuple[float, float]
    wild_interval: tuple[float, float] | None
    method: str


@dataclass(frozen=True)
class Student:
    """How many standard errors a bound is away, and the errors (below, above) of a mean that is t of them from it."""

    df: float

    def critical(self, confidence: float) -> float:
        from scipy.special import stdtrit

        return float(stdtrit(self.df, (1 + confidence) / 2))

    def quantile(self, error: float) -> float:
        from scipy.special import stdtrit

        return -float(stdtrit(self.df, error))

    def errors(self, t: float) -> tuple[float, float]:
        from scipy.special import stdtr

        return float(stdtr(self.df, -t)), float(stdtr(self.df, t))


@dataclass(frozen=True, eq=False)
class Redrawn:
    """The same from the sorted sizes of redrawn t values, which are symmetric by design."""

    sizes: NDArray[np.float64]

    def critical(self, confidence: float) -> float:
        draws = len(self.sizes)
        rank = min(draws, math.ceil(round(confidence * (draws + 1), 6)))
        return float(self.sizes[rank - 1]) if rank else 0.0

    def quantile(self, error: float) -> float:
        return self.critical(1 - 2 * error) if error <= 0.5 else -self.critical(2 * error - 1)

    def errors(self, t: float) -> tuple[float, float]:
        tail = (1 + int(np.count_nonzero(self.sizes >= abs(t)))) / (2 * (len(self.sizes) + 1))
        p = tail if t > 0 else 1 - tail
        return p, 1 - p


def decide(
    point: float,
    se: float,
    df: float,
    margin: float,
    confidence: float,
    hidden: Hidden = (0.0, 0.0),
    sizes: NDArray[np.float64] | None = None,
) -> Decision:
    """`sizes` of redrawn t values, sorted, where documents are few."""
    below, above = (nats(confidence) * each for each in hidden)

    def interval(critical: float) -> tuple[float, float]:
        return point - critical * se - below, point + critical * se + above

    student = Student(df)
    critical, (p, under) = student.critical(confidence), _errors(student, point - margin, se, hidden)
    t_interval, wild_interval, method = interval(critical), None, "cluster t" if se else "no spread"
    if sizes is not None:
        redrawn = Redrawn(sizes)
        reach, (tail, other) = redrawn.critical(confidence), _errors(redrawn, point - margin, se, hidden)
        wild_interval = interval(reach)
        method = "wild cluster bootstrap-t" if reach > critical else method
        critical, p, under = max(critical, reach), max(p, tail), max(under, other)
    if se and any(hidden):
        method += ", rule of three"
    mde = mde80(se, df, confidence, critical) + below
    return Decision(*interval(critical), p, under, mde, t_interval, wild_interval, method)


def nats(confidence: float) -> float:
    """-ln of the error on either side."""
    return -math.log((1 - confidence) / 2)


def _errors(tail: Student | Redrawn, distance: float, se: float, hidden: Hidden) -> tuple[float, float]:
    """p of a mean that lies `distance` above the margin, and p of the same from the other side."""
    if se and not any(hidden):
        return tail.errors(distance / se)
    return _error(tail, distance, se, hidden[0]), _error(tail, -distance, se, hidden[1])


def _error(tail: Student | Redrawn, distance: float, se: float, hidden: float) -> float:
    """The error at which a bound lies so far away: it moves out as the error shrinks, so halving finds it."""
    near, far = 0.0, LEAST
    for _ in range(HALVINGS):
        middle = (near + far) / 2
        reach = middle * hidden + (se * tail.quantile(math.exp(-middle)) if se else 0.0)
        near, far = (middle, far) if reach < distance else (near, middle)
    return math.exp(-near)


def satterthwaite(parts: NDArray[np.float64], dfs: NDArray[np.float64]) -> float:
    """Degrees of freedom of a sum of independent variance estimates (Welch-Satterthwaite)."""
    total = float(parts.sum())
    if total <= TINY**2:
        return float(dfs.sum())
    return float(1 / ((parts / total) ** 2 / dfs).sum())


def mde80(se: float, df: float, confidence: float = 0.95, critical: float | None = None) -> float:
    """The true distance from the margin that 80 of 100 such exams would find; uses the variance, never the effect."""
    from scipy.special import stdtrit

    critical = float(stdtrit(df, (1 + confidence) / 2)) if critical is None else critical
    return (critical + float(stdtrit(df, 0.8))) * se if se else 0.0
