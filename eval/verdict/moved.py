"""A pair's estimates as they were made, held against any margin and moved by a shift: no question is looked at again.

A margin alters no bound, and a shift of the gain moves both by as much. So the rule can be applied hundreds of times,
as tipping points need it, and the answers be counted once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from eval.paired import Estimate
from eval.pairing import Pair
from eval.sheet import Sheet

BELOW = 1 - 1e-9  # a p at one of Holm's levels is under it, whatever the rounding of the level


@dataclass(frozen=True, eq=False)
class Moved:
    """As if the share `by` more of the challenger's answers were right instead of wrong, its gain no more uncertain.

    `p` is the smallest of Holm's levels at which the lower bound clears the margin, 1 where none does: Holm asks of a p
    only which of these it lies under, and a bound lies above the margin at just the levels that p is at most.
    """

    pair: Pair
    levels: tuple[float, ...]  # Holm's, smallest first
    seen: float  # the margin that the estimates were made with
    by: float

    @property
    def challenger(self) -> Sheet:
        return self.pair.challenger

    @property
    def incumbent(self) -> Sheet:
        return self.pair.incumbent

    def estimate(self, *, level: float, margin: float, ratio: float = 0.0) -> Estimate:
        """As `Pair.estimate`, of which it makes no more than one a level and ratio."""
        found, by = self._told(level, ratio), self.by * (1 + ratio)  # what is not wrong spares its loss too
        low, high, gain = found.low + by, found.high + by, found.gain + by
        cleared = (each * BELOW for each in self.levels if self._told(each, ratio).low + by > margin)
        return replace(found, gain=gain, low=low, high=high, p=next(cleared, 1.0), margin=margin)

    def _told(self, level: float, ratio: float) -> Estimate:
        return self.pair.estimate(level=level, margin=self.seen, ratio=ratio)


@dataclass(frozen=True, eq=False)
class Stage:
    """The pairs of a contest, to be moved again and again."""

    pairs: Mapping[str, Sequence[Pair]]
    scores: Mapping[str, float]  # of challengers: no more answers can be right than all, none less than none
    levels: tuple[float, ...]
    seen: float

    @classmethod
    def of(cls, pairs: Mapping[str, Sequence[Pair]], confidence: float, margin: float) -> Self:
        levels = tuple((1 - confidence) / 2 / count for count in range(len(pairs), 0, -1))
        scores = {
            name: float(found[0].challenger.scores.mean(axis=0) @ found[0].weight) for name, found in pairs.items()
        }
        return cls(pairs, scores, levels, margin)

    def moved(self, shift: float) -> dict[str, list[Moved]]:
        """Every challenger by the same shift, as far as it goes."""
        by = {name: max(-score, min(1 - score, shift)) for name, score in self.scores.items()}
        return {
            name: [Moved(pair, self.levels, self.seen, by[name]) for pair in found]
            for name, found in self.pairs.items()
        }
