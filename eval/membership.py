"""Membership: which of the exam's questions a contender finds suspiciously likely (decision.md 5.6.6). Figures only.

Min-K%++ (Zhang et al. 2024, arXiv 2404.02936, eq. 3): of each token of a text, how many standard deviations its
log-probability lies above the mean of all tokens that could have stood there; of these the mean of the lowest fifth.
Texts that were learned lie at modes of the distribution. Such scores tell members of a pre-training set hardly
better than chance (Duan et al. 2024, arXiv 2402.07841): a flag is a reason to look, never a gate.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from finetune.files import write_whole
from finetune.mistakes import BadInput

# From here on a question is flagged; the place is ours. What a model knows by heart comes to about 0 (every word is
# the mode, and certain), what it makes up to about -1.4 (the lowest fifth of a standard normal), what is new to less.
FLAGGED = -0.25


class Membership(BaseModel):
    """`<contender>/membership.json`, written by `tuneworth score --membership`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    contender: str
    seed: int
    fingerprint: str = Field(description="Of the score that it stands beside")
    at: float = Field(description="Seconds since the epoch")
    scores: Mapping[str, Mapping[str, float]] = Field(description="Task -> question -> Min-20%++ of its words")

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """None where it was not measured. BadInput: another version's, or damaged."""
        try:
            return cls.model_validate_json(path.read_text("utf-8")) if path.is_file() else None
        except (ValidationError, UnicodeDecodeError):
            said = f"{path}: not what this version writes; move it away, and run score --membership again"
            raise BadInput(said) from None

    def write(self, path: Path) -> None:
        write_whole(path, self.model_dump_json(indent=1) + "\n")

    @property
    def flagged(self) -> list[tuple[str, str]]:
        """(task, question), in the exam's order."""
        return [(task, each) for task, found in self.scores.items() for each, at in found.items() if at >= FLAGGED]
