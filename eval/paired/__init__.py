"""Paired, clustered statistics on plain numbers. Knows no model, no question and no money.

Every estimate here is a weighted mean of per-question values (differences of two contenders, or the scores of
one) with weights a_i = w_t / n_t, and an interval that treats the source document, not the question, as the unit
that was drawn. Sources: Miller 2024 (arXiv 2411.00640) for clustered errors of evaluations, Satterthwaite 1946 for
the degrees of freedom, Cameron, Gelbach & Miller 2008 and Webb 2013 for the wild bootstrap with few clusters, Fay &
Feuer 1997 for what several tasks may hide together, none of which shows any spread.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eval.paired.decision import TINY, Hidden, decide, nats, satterthwaite

Floats = NDArray[np.float64]

FEW = 40  # effective clusters below which the wild bootstrap must confirm the t interval
VERY_FEW = 12  # below this, two signs give too few distinct draws and Webb's six points are used
DRAWS = 9999  # (DRAWS + 1) * 0.95 is whole, so that bootstrap p-value and bootstrap interval always agree
SPAN = (-1.0, 1.0)  # of a difference of two scores
CHUNK = 1000  # draws held in memory at once
WEBB = np.sqrt(np.array([0.5, 1.0, 1.5]))


@dataclass(frozen=True)
class Estimate:
    """A weighted mean with its clustered interval.

    `p` is one-sided, for "the truth is at or below `margin`"; it is at most (1 - confidence) / 2 exactly when
    `low > margin`. `p_under` is the same for "at or above", by `high`: each is the larger of what t and bootstrap say,
    so that they may sum to more than 1. `method` names the interval that decided: the wider one where both were
    computed, and both hold what is hidden where a task shows no spread (`eval.paired.decision`).
    """

    gain: float
    low: float
    high: float
    se: float
    df: float
    n: int
    clusters: int
    method: str
    p: float
    p_under: float
    margin: float
    confidence: float
    effective_clusters: float
    t_interval: tuple[float, float]
    wild_interval: tuple[float, float] | None
    mde80: float
    shares: dict[str, float] = field(default_factory=dict)  # each task's part of the clustered variance, sum 1
    seeds: int = 1
    seed_variance: float = 0.0  # of one training seed, beyond what questions and samples explain
    hidden: Hidden = (0.0, 0.0)  # below and above, for each nat of error: what tasks without spread may hide

    @property
    def mde_parts(self) -> tuple[float, float]:
        """Of the mde: what falls with the root of the questions' number, at most 1 (two documents may leave it without
        end), and what tasks without spread may hide, which falls with the number itself."""
        hidden = self.hidden[0] * nats(self.confidence)
        return min(1.0, self.mde80 - hidden), hidden

    @property
    def p_two_sided(self) -> float:
        """For "the truth is `margin`"; at most 1 - confidence exactly when the interval does not hold `margin`."""
        return min(1.0, 2 * min(self.p, self.p_under))


@dataclass(frozen=True, eq=False)
class Layout:
    """Where each value stands: task, cluster and weight. Built once for all contrasts on the same questions."""

    tasks: tuple[str, ...]
    weight: Floats  # [T], sums to 1
    cell: NDArray[np.intp]  # [n], task * C + cluster
    share: Floats  # [T, C], the part of task t's questions that lie in cluster c
    block: NDArray[np.intp]  # [C], tasks that share clusters form one block and are treated jointly
    factor: Floats  # [C], C_b / (C_b - 1) of the cluster's block
    block_df: Floats  # [B]
    block_effective: Floats  # [B]

    @classmethod
    def of(
        cls, clusters: Sequence[object], tasks: Sequence[str] | None = None, weights: Mapping[str, float] | None = None
    ) -> Layout:
        """One cluster id (and task name) a question; equal ids in two tasks mean the same document.

        Raises ValueError on no questions, on lists of unlike length, on a task within one cluster (its variance
        cannot be known) and on weights that are not positive numbers for exactly these tasks.
        """
        tasks = ["all"] * len(clusters) if tasks is None else tasks
        if not len(clusters):
            raise ValueError("no questions: nothing can be estimated")
        if len(tasks) != len(clusters):
            raise ValueError(f"{len(clusters)} cluster ids but {len(tasks)} task names: each question needs both")
        names = tuple(dict.fromkeys(tasks))
        task = np.array([names.index(name) for name in tasks]) if len(names) > 1 else np.zeros(len(tasks), dtype=int)
        ids = {name: i for i, name in enumerate(dict.fromkeys(clusters))}
        cell = task * len(ids) + np.array([ids[name] for name in clusters])
        counts = np.bincount(cell, minlength=len(names) * len(ids)).reshape(len(names), len(ids)).astype(float)
        for name, row in zip(names, counts, strict=True):
            if np.count_nonzero(row) < 2:
                raise ValueError(f"task {name!r}: one cluster holds all {int(row.sum())} questions; two are needed")
        weight = normalised(names, weights)
        share = counts / counts.sum(axis=1, keepdims=True)
        return cls(names, weight, cell, share, *_blocks(share, weight))

    def estimate(
        self,
        values: ArrayLike,
        *,
        confidence: float = 0.95,
        margin: float = 0.0,
        seed: int = 17,
        draws: int = DRAWS,
        span: tuple[ArrayLike, ArrayLike] = SPAN,
    ) -> Estimate:
        """`values` [n], or [S, n] for S training seeds (their mean is estimated, with the spread between seeds added).

        Under FEW effective clusters a wild cluster bootstrap-t is computed too, and the wider interval decides. `span`
        is the least and the largest that a value may be, of every task or [T] each.
        """
        seeds = self._checked(values)
        point, totals = self._totals(seeds.mean(axis=0))
        by_block, df, effective, shares = self._spread(totals)
        between = self._between_seeds(seeds) if len(seeds) > 1 else 0.0
        variance, df = _with_seeds(float(by_block.sum()), df, between, len(seeds))
        se = math.sqrt(variance) if variance > TINY**2 else 0.0
        still = self._still(totals, by_block)
        hidden = self._hidden(seeds.mean(axis=0), still, span) if still.any() else (0.0, 0.0)
        sizes = np.sort(np.abs(self._wild_t(totals, effective, seed, draws))) if se and effective < FEW else None
        decided = decide(point, se, df, margin, confidence, hidden, sizes)
        return Estimate(
            gain=point, se=se, df=df, n=len(self.cell), clusters=self.share.shape[1], margin=margin,
            confidence=confidence, effective_clusters=effective, shares=shares, seeds=len(seeds), seed_variance=between,
            hidden=hidden, **vars(decided),
        )  # fmt: skip

    def _still(self, totals: Floats, by_block: Floats) -> NDArray[np.bool_]:
        """[T]: tasks in which every cluster gave the same, alone or together with those that share its documents."""
        quiet = by_block <= TINY**2
        if len(quiet) == len(self.tasks):  # a block each, in the order of the tasks
            return quiet
        return quiet[self._owner] | (np.abs(totals).max(axis=1) <= TINY)

    @property
    def _owner(self) -> NDArray[np.intp]:
        """[T]: all clusters of a task lie in one block."""
        return self.block[self.share.argmax(axis=1)]

    def _hidden(self, values: Floats, still: NDArray[np.bool_], span: tuple[ArrayLike, ArrayLike]) -> Hidden:
        """What tasks may hide of which every cluster gave the same: no proof that all others would.

        If none of a task's C clusters differed, a share of up to -ln(alpha) / C may (the rule of three), each of them
        by as much as values can. In tasks of one block the same documents may differ; of blocks that are apart the one
        that could hide most stands for all: that none of them showed anything is as unlikely (Fay & Feuer 1997).
        """
        owner, task = self._owner, self.cell // self.share.shape[1]
        means = np.bincount(task, weights=values) / np.bincount(task)
        each = still * self.weight / np.count_nonzero(self.share, axis=1)
        below, above = (
            float(np.bincount(owner, weights=each * np.maximum(0, room)).max())
            for room in (means - np.asarray(span[0]), np.asarray(span[1]) - means)
        )
        return below, above

    def _checked(self, values: ArrayLike) -> Floats:
        array = np.atleast_2d(np.asarray(values, dtype=float))
        if array.ndim != 2 or array.shape[1] != len(self.cell) or not len(array):
            raise ValueError(f"values of shape {np.shape(values)} for {len(self.cell)} questions")
        if not np.isfinite(array).all():
            raise ValueError("a value is not a finite number; a missing answer is scored before it comes here")
        return array

    def _totals(self, values: Floats) -> tuple[float, Floats]:
        """The point estimate, and the weighted residual totals [T, C] whose column sums are the u_c."""
        sums = np.bincount(self.cell, weights=values, minlength=self.share.size).reshape(self.share.shape)
        sizes = np.bincount(self.cell, minlength=self.share.size).reshape(self.share.shape).sum(axis=1)
        means = sums.sum(axis=1) / sizes
        totals = self.weight[:, None] * (sums / sizes[:, None] - self.share * means[:, None])
        return round(float(self.weight @ means), 14), totals  # a gain of 0.1 is not above a margin of 0.1

    def _spread(self, totals: Floats) -> tuple[Floats, float, float, dict[str, float]]:
        """Variance [B], degrees of freedom, effective clusters, tasks' shares; blocks are independent and add up."""
        scaled = self.factor * totals.sum(axis=0)
        by_block = np.bincount(self.block, weights=scaled * totals.sum(axis=0)).astype(float)
        variance = float(by_block.sum())
        by_task = totals @ scaled
        if variance > TINY**2:
            shares = dict(zip(self.tasks, (by_task / variance).tolist(), strict=True))
        else:
            shares = dict(zip(self.tasks, self.weight.tolist(), strict=True))
        effective = 1.0 + satterthwaite(by_block, np.maximum(self.block_effective - 1, TINY))
        return by_block, satterthwaite(by_block, self.block_df), effective, shares

    def _between_seeds(self, seeds: Floats) -> float:
        """Variance of a seed's estimate beyond that of its questions: what chance per question explains is taken out.

        The residuals of one seed against the mean of S hold (1 - 1/S) of that chance part; floor 0.
        """
        count = len(seeds)
        points = [self._totals(row)[0] for row in seeds]
        residual = [float(self._spread(self._totals(row)[1])[0].sum()) for row in seeds - seeds.mean(axis=0)]
        return max(0.0, float(np.var(points, ddof=1)) - float(np.mean(residual)) * count / (count - 1))

    def _wild_t(self, totals: Floats, effective: float, seed: int, draws: int) -> Floats:
        """t values after each cluster's residuals were multiplied by one random number of mean 0 and variance 1."""
        rng, found = np.random.default_rng(seed), []
        magnitudes = WEBB if effective < VERY_FEW else np.ones(1)
        for start in range(0, draws, CHUNK):
            shape = (min(CHUNK, draws - start), totals.shape[1])
            signs = rng.choice([-1.0, 1.0], size=shape) * rng.choice(magnitudes, size=shape)
            means = signs @ totals.T  # [draws, T], the weighted task means of the redrawn residuals
            u = signs * totals.sum(axis=0) - means @ self.share
            spread = np.sqrt((u**2) @ self.factor)
            with np.errstate(divide="ignore", invalid="ignore"):
                t = np.where(np.abs(means.sum(axis=1)) > TINY, means.sum(axis=1) / spread, 0.0)
            found.append(t)
        return np.concatenate(found)


def estimate(
    values: ArrayLike,
    clusters: Sequence[object],
    tasks: Sequence[str] | None = None,
    weights: Mapping[str, float] | None = None,
    *,
    confidence: float = 0.95,
    margin: float = 0.0,
) -> Estimate:
    """`Layout.of(...).estimate(...)` in one call, for a single contrast."""
    return Layout.of(clusters, tasks, weights).estimate(values, confidence=confidence, margin=margin)


def apart(
    values: ArrayLike,
    clusters: Sequence[object],
    tasks: Sequence[str],
    second: Sequence[bool],
    weights: Mapping[str, float],
    *,
    confidence: float = 0.95,
) -> tuple[float, float, float]:
    """Mean of the `second` values minus that of the others, within each task, averaged over tasks; with its interval.

    `values` [n] or [S, n] in [-1, 1]. Both strata of a task stand in one layout, each weighing half of it, so that a
    document with questions in both is one cluster. ValueError: a stratum of a task within one cluster.
    """
    later = np.asarray(second, dtype=bool)
    strata = [f"{task} {new}" for task, new in zip(tasks, later.tolist(), strict=True)]
    mass = {name: weights[task] for name, task in zip(strata, tasks, strict=True)}
    signed = np.asarray(values, dtype=float) * np.where(later, 1.0, -1.0)
    found = Layout.of(clusters, strata, mass).estimate(signed, confidence=confidence)
    return 2 * found.gain, max(-2.0, 2 * found.low), min(2.0, 2 * found.high)


def normalised(names: tuple[str, ...], weights: Mapping[str, float] | None) -> Floats:
    """Task weights in the order of `names`, summing to 1; equal ones where none were given."""
    given = dict.fromkeys(names, 1.0) if weights is None else weights
    if set(given) != set(names):
        raise ValueError(f"weights for {sorted(given)} but questions of {sorted(names)}")
    weight = np.array([given[name] for name in names], dtype=float)
    if not (np.isfinite(weight).all() and (weight > 0).all()):
        raise ValueError(f"weights {dict(given)}: each must be a number above 0")
    return weight / weight.sum()


def _blocks(share: Floats, weight: Floats) -> tuple[NDArray[np.intp], Floats, Floats, Floats]:
    """Tasks joined by shared clusters, directly or through a third task; the rest is disjoint and so independent."""
    present = (share > 0).astype(float)
    joined = (present @ present.T) > 0
    for _ in range(len(share)):
        joined = (joined.astype(float) @ joined.astype(float)) > 0
    _, owner = np.unique(joined.argmax(axis=1), return_inverse=True)  # [T]
    block = owner[present.argmax(axis=0)]
    count = np.bincount(block).astype(float)
    mass = weight @ share
    mass = mass / np.bincount(block, weights=mass)[block]
    effective = 1 / np.bincount(block, weights=mass**2)
    df = np.where(np.bincount(owner) == 1, count - 1, effective - 1)
    return block, (count / (count - 1))[block], df, effective


def _with_seeds(variance: float, df: float, between: float, count: int) -> tuple[float, float]:
    """Variance and degrees of freedom of the mean of `count` seeds, which differ by `between`."""
    if not between:
        return variance, df
    parts = [variance, between / count]
    return sum(parts), satterthwaite(np.array(parts), np.array([df, count - 1.0]))
