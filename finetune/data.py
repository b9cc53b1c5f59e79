"""Cards -> training examples: rendered by the contender's chat, framed by its prompt, cut, split into train and dev.

What would train in silence on something else than it seems is refused with the row's name: answers that do not fit,
rows without a target, rows that would not teach the model to stop.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from finetune import labelled
from finetune.card import labels_of
from finetune.card.likeness import normalise
from finetune.card.question import Row
from finetune.chat import Chat
from finetune.frame import PromptFrame
from finetune.methods.tagging import BIO
from finetune.mistakes import BadInput
from finetune.recipe import Contender, DataUse, Recipe, Train, data_root
from finetune.recipe.canaries import canaries
from finetune.recipe.shares import within

Through = Callable[[Sequence[tuple[str, Row]]], Iterable[tuple[str, Row]]]


@dataclass(frozen=True)
class Example:
    """One conversation as ids; `mask[i]` is true where `ids[i]` is a target. Both are [length].

    With `classes` it is a prompt for a classification head: `mask` is true where a token's state is classified.
    """

    name: str  # card#split:row
    question: str  # normalised: what train and dev, and training and exam, may not share
    ids: np.ndarray
    mask: np.ndarray
    classes: np.ndarray | None = None  # [places of the mask], indices into the head's labels

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Examples:
    """All that a contender learns from, and what was left out of it."""

    train: tuple[Example, ...]
    dev: tuple[Example, ...]
    excluded: int  # rows whose question stands in a split of train.exclude
    truncated: int  # rows that lost an answer to train.max_length
    editions: dict[str, str]  # card -> edition of its files
    labels: tuple[str, ...] = ()  # of the contender's head, if it has one

    @property
    def untaught(self) -> tuple[str, ...]:
        """Labels that no training row has."""
        taught = {int(each) for example in self.train if example.classes is not None for each in example.classes}
        return tuple(label for place, label in enumerate(self.labels) if place not in taught)

    @property
    def longest(self) -> int:
        return max(map(len, (*self.train, *self.dev)))


@dataclass(frozen=True)
class Rendered:
    """A contender's rows as ids, whole: before anything is cut or held out."""

    examples: tuple[Example, ...]
    excluded: int
    labels: tuple[str, ...] = ()  # of the contender's head, if it has one


def prepare(recipe: Recipe, name: str, chat: Chat) -> Examples:
    """What a contender learns from: read, rendered, cut and split. BadInput: as `rendered` and `chosen` say."""
    return chosen(recipe, name, chat, rendered(recipe, name, chat))


def rendered(recipe: Recipe, name: str, chat: Chat, through: Through = iter) -> Rendered:
    """The rows but those of train.exclude; `through` hands them on one by one, for who shows how far it is.

    BadInput: a row that cannot be read, or would teach nothing.
    """
    root, contender = data_root(), recipe.contenders[name]
    barred = {normalise(row.asked) for _, row in _rows(recipe.train.exclude, root)} - {""}
    every = list(_rows(recipe.data_of(name), root))
    taken = [(row_name, row) for row_name, row in every if normalise(row.asked) not in barred]
    labels = _labels(contender, [row for _, row in every])
    shown = recipe.taught_openly(name)
    examples = tuple(_drawn(row_name, row, contender, chat, labels, shown=shown) for row_name, row in through(taken))
    return Rendered(examples, len(every) - len(taken), labels)


def chosen(recipe: Recipe, name: str, chat: Chat, rows: Rendered) -> Examples:
    """The rows cut to train.max_length and split. The dev rows are the same whatever the contender's data_share.

    BadInput: too many cut answers, or nothing left to train on.
    """
    knobs, contender = recipe.train, recipe.contenders[name]
    lengths = [len(example) for example in rows.examples]
    truncated = sum(length > knobs.max_length for length in lengths)
    _refuse_cuts(truncated, lengths, knobs)
    cuts = [cut(example, knobs.max_length, chat) for example in rows.examples]
    kept = [example for example in cuts if example is not None]
    dev = tuple(example for example in kept if in_dev(example, knobs.dev))
    taught = [example for example in kept if not in_dev(example, knobs.dev)]
    train = tuple(example for example in taught if within(example.question, contender.data_share))
    if not train:
        raise BadInput(
            f"data: no row is left to train on ({rows.excluded} excluded by train.exclude, {len(dev)} of {len(kept)} "
            f"in train.dev {knobs.dev:g}, of {len(taught)} none in data_share {contender.data_share:g}); add rows, or "
            f"{'raise data_share' if taught else 'lower train.dev'}"
        )
    train += _planted(contender, knobs, chat)
    editions = {use.card.name: use.card.locate(data_root()).edition for use in recipe.data_of(name)}
    return Examples(train, dev, rows.excluded, truncated, editions, rows.labels)


def _planted(contender: Contender, knobs: Train, chat: Chat) -> tuple[Example, ...]:
    """The canaries, in no dev row and no share of the data. BadInput: one does not fit."""
    found = tuple(render(row.id, row, contender.prompt, chat) for row in canaries(knobs.canaries))
    if any(len(example) > knobs.max_length for example in found):
        raise BadInput(f"train.canaries: train.max_length {knobs.max_length} cuts them; raise it, or leave them out")
    return found


def _rows(uses: Sequence[DataUse], root: Path | None) -> Iterator[tuple[str, Row]]:
    for use in uses:
        for row in use.card.rows(root, use.split):
            yield f"{use.card.name}#{use.split}:{row.id}", row


def _labels(contender: Contender, rows: Sequence[Row]) -> tuple[str, ...]:
    """What the contender's head chooses among; nothing where it has none."""
    if contender.head is None:
        return ()
    return BIO if contender.head == "token" else labels_of(rows)


def _drawn(
    name: str, row: Row, contender: Contender, chat: Chat, labels: Sequence[str], *, shown: bool
) -> Example:  # fmt: skip
    if contender.head is None:
        return render(name, row, contender.prompt, chat)
    frame = contender.prompt
    try:
        found = (
            labelled.token(row, frame, chat) if contender.head == "token"
            else labelled.sequence(row, frame, chat, labels)
        )  # fmt: skip
    except ValueError as fault:
        raise BadInput(f"data: {name}: {fault if shown else labelled.HIDDEN}") from None
    return Example(name, normalise(row.asked), found.ids, found.mask, found.classes)


def render(name: str, row: Row, frame: PromptFrame | None, chat: Chat) -> Example:
    """A row as the contender will meet it in the exam. BadInput names the row and what is wrong with it."""
    try:
        turns = [dict(turn) for turn in row.conversation()]
        found = chat.example(frame.wrap_last(turns) if frame else turns)
    except ValueError as fault:
        raise BadInput(f"data: {name}: {fault}") from None
    mask = np.array(found.mask, dtype=bool)
    mask[:1] = False  # nothing stands before the first token, and in a packed row another example's end does
    if not mask.any():
        raise BadInput(f"data: {name}: nothing in it is a target, so it teaches nothing; give it an answer")
    if found.ids[int(np.flatnonzero(mask)[-1])] not in chat.stops:
        raise BadInput(f"data: {name}: its end token is not trained, so the model would not learn to stop")
    return Example(name, normalise(row.asked), np.array(found.ids, dtype=np.int32), mask)


def cut(example: Example, limit: int, chat: Chat) -> Example | None:
    """The example up to the last whole answer within `limit` tokens, or None: half an answer is never trained.

    A prompt for a head is whole or nothing: what is classified may stand at its end.
    """
    if len(example) <= limit:
        return example
    if example.classes is not None:
        return None
    ends = example.mask[:limit] & np.isin(example.ids[:limit], chat.stops)
    if not ends.any():
        return None
    size = int(np.flatnonzero(ends)[-1]) + 1
    return Example(example.name, example.question, example.ids[:size], example.mask[:size])


def _refuse_cuts(truncated: int, lengths: list[int], knobs: Train) -> None:
    if lengths and truncated / len(lengths) > knobs.max_truncated:
        raise BadInput(
            f"train.max_length: {knobs.max_length} cuts an answer in {truncated / len(lengths):.1%} of the rows "
            f"({truncated} of {len(lengths)}), over train.max_truncated {knobs.max_truncated:.1%}; the longest row has "
            f"{max(lengths)} tokens: raise train.max_length, or train.max_truncated to leave these rows out"
        )


def in_dev(example: Example, share: float) -> bool:
    """Whether a row is held out: by the hash of its question, so the same question is never on both sides."""
    head = hashlib.sha256(example.question.encode()).digest()[:8]
    return int.from_bytes(head) < share * 2**64
