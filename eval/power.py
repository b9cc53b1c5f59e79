"""What an exam can see before anything has run: the smallest gain it would find, from its shape and two assumptions.

Never "observed power" from an observed effect (Hoenig & Heisey 2001): only the variance enters, assumed here,
measured in `eval.paired` afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eval.paired import Floats, Layout
from eval.paired.decision import mde80, satterthwaite


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


Sizes = Sequence[int] | Mapping[str, int]  # questions in each cluster; by name where tasks share their documents


def power(
    sizes: Mapping[str, Sizes],
    weights: Mapping[str, float] | None = None,
    *,
    psi: float = 0.25,
    rho: float = 0.2,
    confidence: float = 0.95,
) -> Power:
    """MDE80 from the cluster sizes of each task, for one sample, an assumed share `psi` of questions on which the
    two contenders differ, and an assumed correlation `rho` within a document, in whichever tasks its questions stand:

        V = psi ((1 - rho) sum_t w_t^2 / n_t + rho sum_c A_c^2),   A_c the weight of a document's questions

    which is sum_t w_t^2 psi / n_t DEFF_t with DEFF = 1 + (sum k^2 / n - 1) rho where no document is in two tasks.
    """
    if not sizes or any(len(row) < 2 for row in sizes.values()):
        raise ValueError("each task needs at least two clusters before its power can be told")
    if not (0 < psi <= 1 and 0 <= rho <= 1):
        raise ValueError(f"psi {psi} must lie in (0, 1] and rho {rho} in [0, 1]")
    named = {task: _named(task, row) for task, row in sizes.items()}
    counts = {task: np.array(list(row.values()), dtype=float) for task, row in named.items()}
    deff = {task: float(1 + ((row**2).sum() / row.sum() - 1) * rho) for task, row in counts.items()}
    asked = [(task, cluster) for task, row in named.items() for cluster, count in row.items() for _ in range(count)]
    layout = Layout.of([cluster for _, cluster in asked], [task for task, _ in asked], weights)
    parts = _variance(layout, np.array([row.sum() for row in counts.values()]), psi, rho)
    df = satterthwaite(parts, np.maximum(layout.block_df, 1.0))
    mde = mde80(math.sqrt(parts.sum()), df, confidence)
    return Power(mde, len(asked), layout.share.shape[1], df, deff, psi, rho)


def _variance(layout: Layout, sizes: Floats, psi: float, rho: float) -> Floats:
    """V of each block; `sizes` are the questions of each task."""
    own = layout.weight**2 / sizes
    owner = [layout.block[np.flatnonzero(row)[0]] for row in layout.share]  # a task's clusters are of one block
    alone = np.bincount(owner, weights=own, minlength=len(layout.block_df))
    shared = np.bincount(layout.block, weights=(layout.weight @ layout.share) ** 2)
    return np.asarray(psi * ((1 - rho) * alone + rho * shared))


def _named(task: str, sizes: Sizes) -> Mapping[str, int]:
    if isinstance(sizes, Mapping):
        return sizes
    return {f"{task}/{place}": size for place, size in enumerate(sizes)}


def more_items(count: int, parts: tuple[float, float], distance: float) -> int:
    """Of the kind of `count`, with which an exam whose mde is the sum of `parts` has one of `distance`: what it saw of
    errors falls with the root of their number, what tasks without spread may hide with the number itself."""
    seen, hidden = parts
    return math.ceil(count * ((seen + math.sqrt(seen**2 + 4 * hidden * distance)) / (2 * distance)) ** 2)


def items_needed(psi: float, gain: float, *, margin: float = 0.0, deff: float = 1.0, confidence: float = 0.95) -> int:
    """Questions with which a true `gain` is found above `margin` in 80 of 100 exams; Var(d) = psi - gain^2."""
    from scipy.special import ndtri

    if psi < gain**2 or gain == margin:
        raise ValueError(f"psi {psi} cannot carry a gain of {gain} over a margin of {margin}")
    quantiles = float(ndtri((1 + confidence) / 2) + ndtri(0.8))
    return math.ceil(deff * quantiles**2 * (psi - gain**2) / (gain - margin) ** 2)
