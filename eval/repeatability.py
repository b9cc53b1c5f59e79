"""Repeatability: does a contender that is scored again give what it gave (decision.md 5.7)? Rows in, figures out.

Three things, measured on one sample of the exam: scored twice with other draws in other batches (A/A), alone instead of
in batches, and on another engine that holds the same checkpoint. Figures compare a contender with itself only, so that
nobody learns a score from them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from eval.items import ItemScore
from eval.sheet import Sheet
from eval.signs import points
from finetune.files import write_whole
from finetune.mistakes import BadInput

FROZEN = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
CONFIDENCE = 0.99  # of the interval that must hold 0
Kind = tuple[str, str]  # engine and dtype, as the score's manifest has them


class Apart(BaseModel):
    """One scoring minus another of the same questions, as shares of a point; no interval where a task lies in one
    cluster."""

    model_config = FROZEN
    gain: float
    low: float | None
    high: float | None
    n: int
    clusters: int


class Changes(BaseModel):
    """What changed from one scoring to another, as shares of the answers; None where the protocol has no such thing."""

    model_config = FROZEN
    answers: float  # the option chosen or the answer read, or its outcome
    rankings: float | None  # order of the options by log-likelihood
    texts: float | None  # as written
    largest: float | None  # difference of an option's log-likelihood, nats


class Floor(BaseModel):
    """A/A: other draws, other batches. What this contender differs by from itself."""

    model_config = FROZEN
    apart: Apart
    changes: Changes


class Batching(BaseModel):
    """The same draws, one answer at a time (a server: one request) instead of the budget's batches."""

    model_config = FROZEN
    together: int  # answers that shared a batch with others
    changes: Changes


class Parity(BaseModel):
    """Greedy, on two engines that hold the same checkpoint."""

    model_config = FROZEN
    here: Kind
    there: Kind
    apart: Apart
    changes: Changes
    prefix: float  # mean share of an answer's tokens until the engines part
    prefix_tokens: float  # the same in tokens
    same_prompts: float  # share of prompts that both read as equally many tokens


class Repeatability(BaseModel):
    """`<contender>/repeatability.json`; what could not be measured is None, and `missing` says why."""

    model_config = FROZEN
    contender: str
    seed: int
    fingerprint: str  # of the score that it stands beside
    at: float  # seconds since the epoch
    kind: Kind
    questions: int
    answers: int
    batch_tokens: int
    floor: Floor
    batching: Batching | None
    parity: Parity | None
    missing: dict[str, str] = {}

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """None where it was not measured. BadInput: another version's, or damaged."""
        try:
            return cls.model_validate_json(path.read_text("utf-8")) if path.is_file() else None
        except (ValidationError, UnicodeDecodeError):
            raise BadInput(f"{path}: not what this version writes; move it away, and run score --probe again") from None

    def write(self, path: Path) -> None:
        write_whole(path, self.model_dump_json(indent=1) + "\n")


def apart(once: Sequence[ItemScore], again: Sequence[ItemScore], weights: Mapping[str, float]) -> Apart:
    """Mean score of `once` minus `again`, with its clustered interval (decision.md 5.3)."""
    first, second = Sheet.of("once", {0: once}), Sheet.of("again", {0: again})
    values = first.scores - second.scores
    counts = {"n": len(first.questions), "clusters": len({row.cluster for row in first.questions.values()})}
    try:
        found = first.layout(weights).estimate(values, confidence=CONFIDENCE)
    except ValueError:
        return Apart(gain=float(values[0] @ first.item_weight(weights)), low=None, high=None, **counts)
    return Apart(gain=found.gain, low=max(-1.0, found.low), high=min(1.0, found.high), **counts)


def changes(once: Sequence[ItemScore], again: Sequence[ItemScore]) -> Changes:
    """Answer by answer, whatever the order of the rows."""
    theirs = {(row.task, row.id, row.sample): row for row in again}
    pairs = [(row, theirs[row.task, row.id, row.sample]) for row in once]
    scored = [(a, b) for a, b in pairs if a.loglikelihoods]
    written = [(a, b) for a, b in pairs if not a.loglikelihoods]
    gaps = [abs(x - y) for a, b in scored for x, y in zip(a.loglikelihoods, b.loglikelihoods, strict=True)]
    return Changes(
        answers=_share([(a.extracted, a.outcome) != (b.extracted, b.outcome) for a, b in pairs]),
        rankings=_share([_ranking(a) != _ranking(b) for a, b in scored]) if scored else None,
        texts=_share([a.text != b.text for a, b in written]) if written else None,
        largest=max(gaps, default=None),
    )


def told(found: Repeatability) -> str:
    """One line for whoever waits. No score stands in it."""
    moved, gain = found.floor.changes.answers, points(found.floor.apart.gain)
    said = [f"{found.questions} questions, {found.answers} answers"]
    said.append(f"again {moved:.1%} of them change, the score by {gain} points")
    if found.batching:
        said.append(f"alone {found.batching.changes.answers:.1%} change")
    if found.parity:
        said.append(f"here {found.parity.changes.answers:.1%} change, {found.parity.prefix:.0%} in common")
    return "; ".join([*said, *(f"no {what}: {why}" for what, why in found.missing.items())])


def prefix(ours: Sequence[int], theirs: Sequence[int]) -> int:
    """How many tokens two answers begin with in common."""
    same = zip(ours, theirs, strict=False)
    return next((place for place, (a, b) in enumerate(same) if a != b), min(len(ours), len(theirs)))


def _ranking(row: ItemScore) -> list[int]:
    return sorted(range(len(row.loglikelihoods)), key=lambda place: -row.loglikelihoods[place])


def _share(held: Sequence[bool]) -> float:
    return sum(held) / len(held)
