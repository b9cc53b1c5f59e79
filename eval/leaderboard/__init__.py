"""The leaderboard: contenders of many runs on one board, in tiers; refuses to put together what cannot be compared.

`read` takes finished runs, `groups` says who can stand together, `Board.of` ranks them, `choose` says
whom the evidence supports. Nothing in a run is changed.
"""

from eval.leaderboard.board import Board, Card, Slice, Standing, Versus
from eval.leaderboard.choice import Choice, Limits, choose, parse_memory
from eval.leaderboard.kinship import Difference, difference, groups
from eval.leaderboard.sitting import Sitting, sittings
from eval.leaderboard.unread import Unread, at_hand

__all__ = [
    "Board", "Card", "Choice", "Difference", "Limits", "Sitting", "Slice", "Standing", "Unread", "Versus", "at_hand",
    "choose", "difference", "groups", "parse_memory", "sittings",
]  # fmt: skip
