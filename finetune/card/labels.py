"""Labels: what the answers of training rows come to where a classification head is to choose among them."""

import re
from collections import Counter
from collections.abc import Sequence

from finetune.card.question import LETTERS, Row
from finetune.mistakes import BadInput

THOUGHT = "</think>"
LISTED = re.compile(r"[,，、;；\n]")
NONE = ("无", "none")  # what stands for an empty list


def label_of(row: Row) -> str:
    """The one label that a row is answered with: the right option's own words, or the answer without its thought.

    BadInput: it has no answer, or several.
    """
    if row.messages:
        answer = _written(row)
    elif row.options and row.answer:
        if len(row.answer) > 1:
            raise BadInput(f"{row.id}: answer {row.answer} names several options, and a sequence head gives one label")
        answer = row.options[LETTERS.index(row.answer)]
    else:
        answer = row.answer or ""
    if not answer.strip():
        raise BadInput(f"{row.id}: has no answer, so no label; give it one or leave it out")
    return answer.strip()


def tagged_of(row: Row) -> tuple[str, tuple[str, ...]]:
    """The text of a row in which passages are tagged, and these, as its answer lists them.

    The text is the question's own, without its context, or the last user's turn.
    """
    turns = [turn.content for turn in row.messages if turn.role == "user"]
    text = turns[-1] if turns else row.question
    listed = (part.strip() for part in LISTED.split(_written(row) if row.messages else row.answer or ""))
    return text, tuple(dict.fromkeys(part for part in listed if part and part.casefold() not in NONE))


def _written(row: Row) -> str:
    """What the assistant says at last, without its thought."""
    last = row.messages[-1]
    return last.content.rpartition(THOUGHT)[2] if last.role == "assistant" else ""


def labels_of(rows: Sequence[Row]) -> tuple[str, ...]:
    """The labels of a sequence head trained on these rows, sorted.

    BadInput: fewer than two, or answers that hardly ever recur, which are text and no labels. It quotes none of them:
    their card may be private.
    """
    found = Counter(map(label_of, rows))
    if len(found) < 2:
        raise BadInput(f"head: {len(rows)} rows have {len(found)} answer; a head needs two labels or more")
    if 2 * len(found) > len(rows):
        raise BadInput(
            f"head: {len(rows)} rows have {len(found)} different answers: that is text and no labels; leave head "
            f"out, or train on rows whose answers recur"
        )
    return tuple(sorted(found))
