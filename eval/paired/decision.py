"""How a weighted mean is decided on, once its spread is known: by Student's t, or by a wider bootstrap beside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TINY = 1e-12  # a standard error below this is rounding, not spread


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


def decide(
    point: float, se: float, df: float, t: float, wild: tuple[float, float] | None, confidence: float
) -> Decision:
    """`t` is the point's distance from the margin in standard errors; `wild` the bootstrap's critical value and p."""
    from scipy.special import stdtr, stdtrit

    critical, p, under = float(stdtrit(df, (1 + confidence) / 2)), float(stdtr(df, -t)), float(stdtr(df, t))
    t_interval, wild_interval, method = (point - critical * se, point + critical * se), None, "cluster t"
    if wild is not None:
        reach, tail = wild
        wild_interval = (point - reach * se, point + reach * se)
        method = "wild cluster bootstrap-t" if reach > critical else method
        critical, p, under = max(critical, reach), max(p, tail), max(under, 1 - tail)
    low, high = point - critical * se, point + critical * se
    return Decision(low, high, p, under, mde80(se, df, confidence, critical), t_interval, wild_interval, method)


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
