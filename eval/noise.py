"""How much of a difference between two contenders is the luck of single answers (Miller 2024, arXiv 2411.00640)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

TINY = 1e-12  # a variance below this is rounding, not spread


@dataclass(frozen=True)
class Noise:
    """`sigma2` of one sample per side (0 where there is one sample), and `omega2`: what more samples cannot remove."""

    sigma2_a: float
    sigma2_b: float
    omega2: float
    removable: float  # share of Var(d) that more samples would remove


def noise(a: ArrayLike, b: ArrayLike) -> Noise:
    """Split Var(d) for samples a [n, K_A] and b [n, K_B] of the same n questions (of one task)."""
    first, second = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if first.ndim != 2 or second.ndim != 2 or len(first) != len(second) or len(first) < 2:
        raise ValueError(f"samples of shape {first.shape} and {second.shape}: both must be [n, K], n at least 2")
    total = float(np.var(first.mean(axis=1) - second.mean(axis=1), ddof=1))
    sigmas = [float(np.var(x, axis=1, ddof=1).mean()) if x.shape[1] > 1 else 0.0 for x in (first, second)]
    sampled = sigmas[0] / first.shape[1] + sigmas[1] / second.shape[1]
    removable = min(1.0, sampled / total) if total > TINY else 0.0
    return Noise(sigmas[0], sigmas[1], max(0.0, total - sampled), removable)
