"""Rows as a classification head meets them: the prompt alone, and which of its tokens are classified as what.

The prompt is the one under which the contender answers in the exam, up to where its answer would begin; nothing that
the answer is made of stands in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from unicodedata import normalize

import numpy as np

from finetune.card import Row
from finetune.card.labels import label_of, tagged_of
from finetune.chat import Chat
from finetune.frame import PromptFrame
from finetune.methods import tagging

HIDDEN = "no label, or a listed passage that is not in its text; the card is private, so it is not shown"


@dataclass(frozen=True)
class Labelled:
    """A prompt's ids [length], the places in it that are classified [length], and the label of each, in order."""

    ids: np.ndarray
    mask: np.ndarray
    classes: np.ndarray  # [places], indices into the head's labels


def sequence(row: Row, frame: PromptFrame | None, chat: Chat, labels: Sequence[str]) -> Labelled:
    """One label, at the prompt's last token. ValueError: the row cannot be rendered, or has no label."""
    ids = prompt(row, frame, chat)
    mask = np.zeros(len(ids), dtype=bool)
    mask[-1] = True
    return Labelled(ids, mask, np.array([labels.index(label_of(row))], dtype=np.int64))


def token(row: Row, frame: PromptFrame | None, chat: Chat) -> Labelled:
    """A tag for each token of the row's text, where it stands in the prompt. ValueError: as above, or a passage that
    the answer lists does not stand in the text."""
    ids = prompt(row, frame, chat)
    told, listed = tagged_of(row)
    text = normalize("NFC", told)  # as every tokenizer here spells it
    written, offsets, inside = tagging.places(chat.tokenizer, ids.tolist(), text)
    begin = written.rfind(text)
    spans = [(begin + a, begin + b) for a, b in tagging.find(text, [normalize("NFC", one) for one in listed])]
    classes = tagging.tags([place for place, taken in zip(offsets, inside, strict=True) if taken], spans)
    return Labelled(ids, np.array(inside, dtype=bool), np.array(classes, dtype=np.int64))


def prompt(row: Row, frame: PromptFrame | None, chat: Chat) -> np.ndarray:
    """Ids up to where the contender would write its answer to this row."""
    turns = [dict(turn) for turn in row.conversation()]
    framed = frame.wrap_last(turns) if frame else turns
    return np.array(chat.prompt(framed[:-1]), dtype=np.int32)
