"""Item scores: one row per question and sample, appended as it is made, read back whole.

A kill loses at most the batch in flight; a torn last line is dropped. The key of a row holds the scorer's digest
(weights, adapter, prompt, decoding, tasks), so that rows of another scorer are never taken for this one's.
"""

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from finetune.files import make_whole
from finetune.mistakes import BadInput

Outcome = Literal["correct", "wrong", "unparsed", "truncated", "unclosed_thinking", "refused", "missing"]
Row = TypeVar("Row", bound=BaseModel)


class ItemScore(BaseModel):
    """What one contender said to one question, once, and what that was worth."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    contender: str
    seed: int  # of the training; 0 for a contender not tuned here
    scorer: str  # score fingerprint: the digest of all that a score depends on
    task: str
    id: str  # of the question, unique in its task
    hash: str  # sha256 of question, options and gold
    content: str  # sha256 of what was asked, before frame and chat template
    cluster: str  # unique over all tasks: items that share a document or a near-duplicate question
    part: Literal["dev", "test"]  # dev: chosen on, never judged on
    lang: Literal["zh", "en"]
    protocol: Literal["likelihood", "generated"]
    sample: int
    question: str  # what was asked, for people
    options: tuple[str, ...] = ()
    gold: str
    text: str  # the raw output; for likelihood the option chosen
    loglikelihoods: tuple[float, ...] = ()
    finish: Literal["stop", "length", "likelihood", "filter"] | None  # filter: a server held it back; None: not known
    extracted: str | None
    rule: str  # which extraction rule fired
    outcome: Outcome
    score: float  # in [0, 1]
    # None, here and below: not known, of an answer given elsewhere. A server that was asked twice for one answer read
    # twice, and is paid for that.
    tokens_in: int | None = Field(ge=0)
    tokens_thinking: int | None = Field(ge=0)
    tokens_out: int | None = Field(ge=0)  # thought included; of what `counted` says
    seconds: float | None = Field(ge=0, allow_inf_nan=False)  # of the batch, shared out over its items by tokens
    rank: int = 0
    engine: Literal["hf", "vllm", "openai", "lm_eval"] = "hf"  # lm_eval: imported from its log
    # Younger fields; in rows of before they are empty.
    version: str = ""  # of the task
    prompt: str = ""  # sha256 of the token ids that the model was given, or of the message sent to a server
    template: str = ""  # digest of the chat rendering that made them
    extractor: str = ""  # version that read the answer; none read what was chosen by likelihood
    # What tokens_out counts: of the text, without the token that ended it; or as the server does, which may count that.
    counted: Literal["", "text", "server"] = ""
    # Handed to the model, to close a thought whose budget (thinking_tokens) had ended: of tokens_out where that counts
    # the text, of tokens_in where a server counts.
    given: int = 0
    draw_seed: int | None = None  # of its draws, in [0, 2^63); None: nothing was drawn, or whoever drew took none
    figures: int = 0  # numbers that an open-book answer quotes
    unsupported: int = 0  # of these, how many stand nowhere in what was shown

    @property
    def key(self) -> tuple[str, str, str, int]:
        return self.scorer, self.task, self.id, self.sample


def draw_seed(exam_seed: int, item: str, sample: int) -> int:
    """Seed of one answer's draws: fixed by exam seed, item (task/id) and sample alone. In [0, 2^63)."""
    mark = hashlib.sha256(f"{exam_seed}\x00{item}\x00{sample}".encode()).digest()
    return int.from_bytes(mark[:8], "big") >> 1


def turn_seed(seed: int, turn: int) -> int:
    """Seed of the request with which an answer goes on for the `turn`-th time, its thought closed: a request draws from
    the beginning of its seed, so that the same one would draw the same again. Of the answer's own seed alone."""
    return draw_seed(seed, "thought closed", turn) if turn else seed


def cut(text: str, until: Sequence[str]) -> str:
    """The text before the first of the strings that end an answer."""
    for end in filter(None, until):
        text = text.partition(end)[0]
    return text


def append(path: Path, rows: Iterable[BaseModel], *, private: bool = False) -> None:
    """Append rows in one write and reach the disk before returning: what was paid for is not lost.

    A private file is readable by its owner only, from its first byte on.
    """
    text = "".join(row.model_dump_json() + "\n" for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    mend(path)
    if private:
        close(path)
    with path.open("a", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())


def close(path: Path) -> None:
    """Make a file, where it is not there, and let its owner alone read it."""
    path.touch(0o600)
    path.chmod(0o600)


def replace(path: Path, rows: Iterable[ItemScore], *, private: bool = False) -> None:
    """Write a log whole: a reader sees the old one or the new one. A private one is its owner's from its first byte."""

    def build(scratch: Path) -> None:
        if private:
            close(scratch)
        with scratch.open("w", encoding="utf-8") as out:
            out.writelines(row.model_dump_json() + "\n" for row in rows)
            out.flush()
            os.fsync(out.fileno())

    make_whole(path, build)


def mend(path: Path) -> None:
    """Cut off a last line that a kill or a full disk tore, so that the next row starts on a line of its own."""
    if not path.is_file() or path.stat().st_size == 0:
        return
    with path.open("rb+") as log:
        log.seek(-1, os.SEEK_END)
        if log.read(1) == b"\n":
            return
        log.seek(0)
        whole = log.read()
        log.truncate(whole.rfind(b"\n") + 1)


def read(path: Path) -> list[ItemScore]:
    """All whole rows; a broken line that is not the last is refused with its number."""
    return list(rows(path, ItemScore, "an item score"))


def count(path: Path) -> int:
    """Whole rows of a log, unread: whether a finished one is still what its scoring left."""
    with path.open("rb") as log:
        return sum(block.count(b"\n") for block in iter(lambda: log.read(1 << 20), b""))


def at_lines(path: Path, places: Collection[int]) -> Iterator[ItemScore]:
    """The rows at these places of a log, counted from 0; no other line is read for what it says."""
    if places:
        with path.open("rb") as log:
            for place, line in enumerate(log):
                if place in places:
                    yield ItemScore.model_validate_json(line)


def rows(path: Path, kind: type[Row], called: str) -> Iterator[Row]:
    """The same of any log that `append` writes."""
    if not path.is_file():
        return
    with path.open("rb") as log:  # as bytes: a torn line may end within a character
        for number, line in enumerate(log, 1):
            if not line.endswith(b"\n"):
                return
            try:
                yield kind.model_validate_json(line)
            except ValueError as fault:
                raise BadInput(f"{path}:{number}: not {called} ({_short(fault)}); move the file away") from None


def _short(fault: Exception) -> str:
    """The key and what is wrong with it, without its value: a card may be private."""
    if isinstance(fault, ValidationError):
        first = fault.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        return f"{where}: {first['msg']}" if where else first["msg"]
    return json.dumps(str(fault).splitlines()[0], ensure_ascii=False)
