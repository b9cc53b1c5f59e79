"""What an exam can see before anything has run: the smallest gain it would find, from its shape and two assumptions.

Never "observed power" from an observed effect (Hoenig & Heisey 2001): only the variance enters, assumed here,
measured in `eval.paired` afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eval.paired import mde80, normalised, satterthwaite


@dataclass(frozen=True)
class Power:
    """The minimal detectable effect (80 of 100 exams would find it) of an exam of this shape."""

    mde80: float
    n: int
    clusters: int
    df: float
    deff: dict[str, float]
    psi: float
    rho: float


def power(
    sizes: Mapping[str, Sequence[int]],
    weights: Mapping[str, float] | None = None,
    *,
    psi: float = 0.25,
    rho: float = 0.2,
    confidence: float = 0.95,
) -> Power:
    """MDE80 from the cluster sizes of each task, for one sample, an assumed share `psi` of questions on which the
    two contenders differ, and an assumed correlation `rho` within a document. DEFF = 1 + (sum k^2 / n - 1) rho.
    """
    if not sizes or any(len(row) < 2 for row in sizes.values()):
        raise ValueError("each task needs at least two clusters before its power can be told")
    if not (0 < psi <= 1 and 0 <= rho <= 1):
        raise ValueError(f"psi {psi} must lie in (0, 1] and rho {rho} in [0, 1]")
    names = tuple(sizes)
    items = np.array([sum(sizes[name]) for name in names], dtype=float)
    squares = np.array([sum(k * k for k in sizes[name]) for name in names], dtype=float)
    deff = 1 + (squares / items - 1) * rho
    parts = normalised(names, weights) ** 2 * psi / items * deff
    df = satterthwaite(parts, np.array([len(sizes[name]) - 1.0 for name in names]))
    return Power(
        mde80(math.sqrt(parts.sum()), df, confidence), int(items.sum()), sum(map(len, sizes.values())), df,
        dict(zip(names, deff.tolist(), strict=True)), psi, rho,
    )  # fmt: skip


def items_needed(psi: float, gain: float, *, margin: float = 0.0, deff: float = 1.0, confidence: float = 0.95) -> int:
    """Questions with which a true `gain` is found above `margin` in 80 of 100 exams; Var(d) = psi - gain^2."""
    from scipy.special import ndtri

    if psi < gain**2 or gain == margin:
        raise ValueError(f"psi {psi} cannot carry a gain of {gain} over a margin of {margin}")
    quantiles = float(ndtri((1 + confidence) / 2) + ndtri(0.8))
    return math.ceil(deff * quantiles**2 * (psi - gain**2) / (gain - margin) ** 2)
