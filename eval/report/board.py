"""The order of the page's leaderboard, and whose score stands clear of its neighbours'."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """Where one contender stands; `clear` says that no neighbour's interval touches its own."""

    index: int  # into the scores that were given
    clear: bool


def places(scores: Sequence[tuple[float, float, float]]) -> list[Place]:
    """From (score, low, high) of each contender to places, best score first."""
    order = sorted(range(len(scores)), key=lambda i: -scores[i][0])
    found = []
    for at, index in enumerate(order):
        _, low, high = scores[index]
        beside = [scores[other] for other in order[max(0, at - 1) : at] + order[at + 1 : at + 2]]
        found.append(Place(index, all(other[1] > high or other[2] < low for other in beside)))
    return found
