"""Opinions: which of two free answers a served judge finds better (decision.md 5.7), item by item, in a log of its own.

The judge is blind to who answered and asked twice, the second time with the answers swapped. Where it says otherwise
then, it has told the places apart and not the answers: a tie. Nothing of this decides; `tally` says what it is worth.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from eval import items
from finetune.files import digest_of

FROZEN = ConfigDict(frozen=True, extra="forbid")
Side = Literal["challenger", "rival", "tie"]
Choice = Literal["A", "B", "tie"]
WORTH: dict[Side, float] = {"challenger": 1.0, "tie": 0.0, "rival": -1.0}


class Opinion(BaseModel):
    """One pair, judged in both orders."""

    model_config = FROZEN
    judge: str  # digest of who was asked, and how
    scorers: tuple[str, str]  # score fingerprints of challenger and rival
    challenger: str
    rival: str
    task: str
    id: str  # of the question, unique in its task
    cluster: str
    pair: str  # sha256 of question and both answers: what a person labels
    said: tuple[Choice | None, Choice | None]  # the challenger as A, then as B; None: nothing could be read
    side: Side
    agreed: bool  # with itself, whatever the order; equal answers are a tie unasked
    texts: tuple[str, str]  # as they came, thought included
    models: tuple[str, ...]  # as the server named itself and its system
    tokens_in: int
    tokens_out: int
    seconds: float

    @property
    def key(self) -> tuple[str, str, str]:
        return self.judge, f"{self.task}/{self.id}", self.pair


def settled(first: Choice | None, second: Choice | None) -> tuple[Side, bool]:
    """Who is better, from what was said with the challenger as A and then as B, and whether both say the same."""
    one: Side | None = {"A": "challenger", "B": "rival", "tie": "tie", None: None}[first]
    two: Side | None = {"A": "rival", "B": "challenger", "tie": "tie", None: None}[second]
    agreed = one is not None and one == two
    return (one, True) if agreed and one else ("tie", False)


def shown_as(pair: str) -> bool:
    """Whether people see the challenger as A: drawn by the pair's own digest, so a label needs no key beside it."""
    return int(digest_of(["shown", pair])[:8], 16) % 2 == 0


def read(path: Path) -> list[Opinion]:
    """All whole rows; a torn last one is left out. BadInput names a broken line."""
    return list(items.rows(path, Opinion, "an opinion of this version"))
