"""Which texts of flips are told, and how much of them: nothing of a private card unasked, no page beyond its size."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from eval.endpoint.wire import split
from eval.flips import LONGEST, Flips, Item
from eval.items import ItemScore
from finetune.card import DataCard, Row
from finetune.files import digest_of
from finetune.mistakes import BadInput

ROOM = 3_000_000  # bytes of flips.json.gz: 4 MB in base64, of a page's 5


@dataclass(frozen=True)
class Texts:
    """Whose texts are told: all but those of private cards; `private` tells these too, `nothing` tells none."""

    private: bool = False
    nothing: bool = False

    def __post_init__(self) -> None:
        if self.private and self.nothing:
            raise BadInput("--with-text and --no-text: one of them; leave out --with-text to keep private cards apart")

    def of(self, card: DataCard) -> bool:
        return not self.nothing and card.shows(self.private)


def cut(text: str, most: int = LONGEST) -> str:
    """Head and tail of a text that is longer, with the number of characters between them."""
    if len(text) <= most:
        return text
    head = most - most // 2
    return f"{text[:head]}\n⟨… {len(text) - most:,} …⟩\n{text[len(text) - most // 2 :]}"


def asked(row: Row) -> dict[str, object]:
    """What a question was, for an Item."""
    options = tuple(cut(option, LONGEST // 4) for option in row.options)
    words = row.question or row.asked
    return {"context": cut(row.context), "question": cut(words), "options": options, "gold": cut(row.answer or "")}


def said(row: ItemScore) -> dict[str, str | None]:
    """What an answer was, for an Answer: its thought has half of the room, and more where the answer leaves some."""
    thinking, text, _ = split(row.text)
    if row.outcome == "unclosed_thinking" and not thinking:
        thinking, text = text, ""
    thought = min(len(thinking), max(LONGEST // 2, LONGEST - len(text)))
    extracted = None if row.extracted is None else cut(row.extracted, LONGEST // 2)
    return {"text": cut(text, LONGEST - thought), "thinking": cut(thinking, thought), "extracted": extracted}


def bare(item: Item) -> Item:
    """The same without a word of question or answers."""
    quiet = {"text": "", "thinking": "", "extracted": None}
    answers = {name: answer.model_copy(update=quiet) for name, answer in item.answers.items()}
    return item.model_copy(
        update={**dict.fromkeys(("context", "question", "gold"), ""), "options": (), "answers": answers}
    )


def untold(flips: Flips) -> Flips:
    """The same flips without any text, as `Texts(nothing=True)` leaves them."""
    tasks = tuple(task.model_copy(update={"told": False}) for task in flips.tasks)
    plain = {"texts": 0, "private": False, "tasks": tasks, "items": tuple(bare(item) for item in flips.items)}
    return flips.model_copy(update=plain)


def fitting(items: Sequence[Item], first: Collection[tuple[str, str]], room: int = ROOM) -> tuple[list[Item], int]:
    """The items, of which as many as `room` bytes (packed) allow have their texts, and how many these are.

    Those of `first` (task, id) come first, in each part a draw by digest: what is left out is left out at random.
    """
    plain = [bare(item) for item in items]
    told = [place for place, item in enumerate(items) if item.question]
    left = room - sum(_sizes(plain))
    order = sorted(told, key=lambda at: (_key(items[at]) not in first, digest_of(_key(items[at]))))
    kept = set()
    for place, size in zip(order, _sizes(items[at] for at in order), strict=True):
        left -= size
        if left < 0:
            break
        kept.add(place)
    return [item if at in kept else plain[at] for at, item in enumerate(items)], len(kept)


def _key(item: Item) -> tuple[str, str]:
    return item.task, item.id


def _sizes(items: Iterable[Item]) -> Iterator[int]:
    """Bytes that each item takes, packed behind those before it."""
    packer = zlib.compressobj(6)
    for item in items:
        line = item.model_dump_json(exclude_defaults=True).encode()
        yield len(packer.compress(line)) + len(packer.flush(zlib.Z_SYNC_FLUSH))
