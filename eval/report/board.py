"""Ranks that do not pretend: contenders whose intervals overlap share one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """Where one contender stands. `best` and `worst` are the ranks that its interval allows; `clear` says that no
    neighbour's interval touches its own.
    """

    index: int  # into the scores that were given
    best: int
    worst: int
    clear: bool

    @property
    def rank(self) -> str:
        return str(self.best) if self.best == self.worst else f"{self.best}–{self.worst}"


def places(scores: Sequence[tuple[float, float, float]]) -> list[Place]:
    """From (score, low, high) of each contender to places, best score first.

    A contender is outranked only by those whose whole interval lies above its own.
    """
    order = sorted(range(len(scores)), key=lambda i: -scores[i][0])
    found = []
    for at, index in enumerate(order):
        _, low, high = scores[index]
        above = sum(scores[other][1] > high for other in order)
        below = sum(scores[other][2] < low for other in order)
        beside = [scores[other] for other in order[max(0, at - 1) : at] + order[at + 1 : at + 2]]
        clear = all(other[1] > high or other[2] < low for other in beside)
        found.append(Place(index, 1 + above, len(scores) - below, clear))
    return found
