"""Flips: the questions on which two contenders disagree, with what each said (decision.md 6.6): `flips.json.gz`.

A contender is right on a question where more than half of its answers (all samples and seeds) are `correct`; of each
side one answer is shown that is as right or wrong as the side. Gained minus lost is the net; nothing here decides.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field

from eval.items import Outcome, close
from eval.verdict.turns import Turns
from finetune.files import file_digest, make_whole
from finetune.mistakes import BadInput

__all__ = ["Answer", "Asked", "Flip", "Flips", "Item", "beside", "write"]
FROZEN = ConfigDict(frozen=True, extra="forbid")
LONGEST = 2000  # characters of a text, head and tail; of an answer together with its thought


class Answer(BaseModel):
    """What a contender said, once; and how many of all its answers to the question are right."""

    model_config = FROZEN
    seed: int
    sample: int
    right: int
    of: int
    outcome: Outcome
    rule: str = Field("", description="Extraction rule that fired; empty where none did")
    extracted: str | None = None
    text: str = Field("", description="Without its thought")
    thinking: str = ""

    @property
    def holds(self) -> bool:
        """Whether the contender is right on this question."""
        return 2 * self.right > self.of


class Item(BaseModel):
    """One question, and the answers of those who disagree on it."""

    model_config = FROZEN
    task: str
    id: str
    lang: Literal["zh", "en"]
    context: str = ""
    question: str = Field("", description="Empty where no text is told")
    options: tuple[str, ...] = ()
    gold: str = ""
    answers: dict[str, Answer]


class Asked(BaseModel):
    """A task and the card its questions come from."""

    model_config = FROZEN
    task: str
    scenario: str | None
    title: str = Field(description="Of the card")
    licence: str
    licence_url: str
    commercial: bool
    source: str = Field(description="Address of the card's repository or page; empty for one of one's own")
    told: bool = Field(description="Whether texts stand here: not with --no-text, of a private card only --with-text")


class Flip(NamedTuple):
    """A question that turned; `cause` is the outcome of the side that is not right."""

    item: Item
    gained: bool
    cause: Outcome


class Flips(BaseModel):
    """flips.json.gz. Every flip stands here with its outcomes; texts of as many questions as there is room for."""

    model_config = FROZEN
    verdict: str = Field(description="sha256 of the verdict.json that it stands beside")
    longest: int = Field(LONGEST, description="Characters of one text, head and tail")
    texts: int = Field(description="Questions that have their text here")
    private: bool = Field(description="Texts of a private card stand here, so the file is its owner's alone")
    contrasts: tuple[Turns, ...] = Field(description="The verdict's own first")
    tasks: tuple[Asked, ...]
    items: tuple[Item, ...]

    def found(self, contrast: Turns) -> Iterator[Flip]:
        """The flips of one contrast."""
        for item in self.items:
            ours, theirs = (item.answers.get(name) for name in (contrast.challenger, contrast.incumbent))
            if ours and theirs and ours.holds != theirs.holds:
                yield Flip(item, ours.holds, (theirs if ours.holds else ours).outcome)

    def packed(self) -> bytes:
        """The file's bytes: the same flips give the same, at any time."""
        return gzip.compress(self.model_dump_json(exclude_defaults=True).encode(), 6, mtime=0)

    @classmethod
    def unpacked(cls, path: Path) -> Self:
        """From the file. BadInput: damaged, or another version's."""
        try:
            return cls.model_validate_json(gzip.decompress(path.read_bytes()))
        except (OSError, EOFError, ValueError, zlib.error):
            raise BadInput(f"{path}: no flips that this version writes; run `tuneworth judge` again") from None


def beside(verdict: Path, path: Path) -> Flips | None:
    """The flips at `path`, if there are any. BadInput: they are of another verdict than this file's."""
    if not path.is_file():
        return None
    found = Flips.unpacked(path)
    if found.verdict != file_digest(verdict):
        raise BadInput(f"{path}: of another verdict.json than the one beside it; run `tuneworth judge` again")
    return found


def write(path: Path, data: bytes, *, private: bool) -> None:
    """Whole or not at all; a private one is its owner's from its first byte."""

    def build(scratch: Path) -> None:
        if private:
            close(scratch)
        scratch.write_bytes(data)

    make_whole(path, build)
