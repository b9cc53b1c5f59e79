"""Metrics of a whole set of answers, which no single question has: macro-F1, by resampling clusters (decision.md 5.3).

Both contenders are computed on the same resampled documents, so what they share cancels. On plain numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.paired import CHUNK, Floats

DRAWS = 1999  # (DRAWS + 1) * 0.025 is whole
NONE = -1  # code of an answer that names no label


@dataclass(frozen=True)
class CorpusGain:
    """A metric of two contenders and their difference with its basic bootstrap interval, in [-1, 1]."""

    challenger: float
    incumbent: float
    gain: float
    low: float
    high: float


def counts(gold: NDArray[np.intp], said: NDArray[np.intp], labels: int) -> Floats:
    """[n, L, 3]: each question's true positives, false positives and false negatives by label, means over samples.

    `gold` [n] and `said` [n, K] are label codes, NONE where an answer names no label.
    """
    asked = np.eye(labels)[gold][:, None, :]  # [n, 1, L]
    named = np.eye(labels + 1)[said][:, :, :labels]  # [n, K, L]; NONE takes the last row, which is cut off
    parts = np.stack([asked * named, (1 - asked) * named, asked * (1 - named)], axis=-1)
    return np.asarray(parts.mean(axis=1))


def macro_f1(found: Floats) -> Floats:
    """Mean over labels of 2 TP / (2 TP + FP + FN) for counts [..., L, 3]; a label that is nowhere says nothing."""
    twice = 2 * found[..., 0]
    total = twice + found[..., 1] + found[..., 2]
    there = total > 0
    f1 = np.divide(twice, total, out=np.zeros_like(total), where=there)
    return np.asarray(f1.sum(axis=-1) / np.maximum(there.sum(axis=-1), 1))


def macro_f1_gain(
    challenger: Floats,
    incumbent: Floats,
    clusters: Sequence[object],
    *,
    confidence: float = 0.95,
    seed: int = 17,
    draws: int = DRAWS,
) -> CorpusGain:
    """Gain in macro-F1 from `counts` [n, L, 3] of both on the same questions; ValueError under two clusters."""
    ids = {name: place for place, name in enumerate(dict.fromkeys(clusters))}
    if len(ids) < 2:
        raise ValueError(f"{len(ids)} cluster: a resample needs two")
    sums = np.zeros((len(ids), 2, *challenger.shape[1:]))
    np.add.at(sums, [ids[name] for name in clusters], np.stack([challenger, incumbent], axis=1))
    first, second = macro_f1(sums.sum(axis=0)).tolist()
    drawn = _redrawn(sums, seed, draws)
    tail = expanded((1 - confidence) / 2, len(ids))
    below, above = np.quantile(drawn, [tail, 1 - tail])
    gain = first - second
    return CorpusGain(first, second, gain, max(-1.0, 2 * gain - float(above)), min(1.0, 2 * gain - float(below)))


def expanded(tail: float, clusters: int) -> float:
    """The tail at which a bootstrap of few clusters is as wide as its t interval (Hesterberg 2015, section 3.3)."""
    from scipy.special import ndtr, stdtrit

    return float(ndtr(math.sqrt(clusters / (clusters - 1)) * stdtrit(clusters - 1, tail)))


def _redrawn(sums: Floats, seed: int, draws: int) -> Floats:
    """Gains [draws] on as many clusters drawn with replacement."""
    rng, found = np.random.default_rng(seed), []
    flat = sums.reshape(len(sums), -1)
    for start in range(0, draws, CHUNK):
        size = min(CHUNK, draws - start)
        chosen = rng.integers(0, len(sums), (size, len(sums))) + len(sums) * np.arange(size)[:, None]
        times = np.bincount(chosen.ravel(), minlength=size * len(sums)).reshape(size, len(sums)).astype(float)
        found.append(macro_f1((times @ flat).reshape(size, *sums.shape[1:])))
    scores = np.concatenate(found)
    return np.asarray(scores[:, 0] - scores[:, 1])
