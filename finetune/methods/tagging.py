"""Passages of a text as tags of its tokens, and back: B begins one, I goes on, O is outside (Ramshaw and Marcus 1995).

A byte-level tokenizer may cut one Chinese character into several tokens, each of which has the whole character as its
place: the first of them begins a passage, the rest go on with it.
"""

from collections.abc import Sequence
from typing import Any

from finetune.mistakes import BadInput

BIO = ("O", "B", "I")
OUTSIDE, BEGIN, INSIDE = range(3)
EDGES = " \t\r\n,，、;；:：。！？"  # of no passage: a token may hold one of them and the first bytes of a passage
Span = tuple[int, int]  # of characters, the end not included


def places(tokenizer: Any, ids: Sequence[int], text: str) -> tuple[str, list[Span], list[bool]]:
    """The prompt that `ids` spell, where in it each of them stands, and which are of `text`, the last time it is there.

    `tokenizer` is a tokenizers.Tokenizer. BadInput: the text is not there, or ids and characters do not go together.
    """
    written = tokenizer.decode(list(ids), skip_special_tokens=False)
    again = tokenizer.encode(written, add_special_tokens=False)
    if again.ids != list(ids):
        raise BadInput("its text holds what the tokenizer takes for a control token, so no tag can be placed in it")
    begin = written.rfind(text)
    if not text or begin < 0:
        raise BadInput(f"the text to be tagged does not stand in the prompt as it is: {text[:40]!r}")
    inside = [begin <= first < last <= begin + len(text) for first, last in again.offsets]
    return written, list(again.offsets), inside


def find(text: str, passages: Sequence[str]) -> list[Span]:
    """Where the passages stand in a text, every time; of two that overlap the longer. BadInput: one does not stand in
    it."""
    taken: list[Span] = []
    for passage in sorted(dict.fromkeys(passages), key=len, reverse=True):
        begin = text.find(passage)
        if begin < 0:
            raise BadInput(f"{passage!r} does not stand in the text that is tagged")
        while begin >= 0:
            span = (begin, begin + len(passage))
            if all(span[1] <= one or other <= span[0] for one, other in taken):
                taken.append(span)
            begin = text.find(passage, begin + 1)
    return sorted(taken)


def tags(offsets: Sequence[Span], spans: Sequence[Span]) -> list[int]:
    """A tag for each token; a token that reaches over the edge of a passage belongs to it."""
    found, last = [], -1
    for begin, end in offsets:
        held = next((place for place, span in enumerate(spans) if begin < span[1] and span[0] < end), -1)
        found.append(OUTSIDE if held < 0 else INSIDE if held == last else BEGIN)
        last = held
    return found


def passages(text: str, offsets: Sequence[Span], found: Sequence[int]) -> list[str]:
    """What the tags cut out of a text, each passage once, in its order. A tag I after O begins one too.

    A token may hold more than the passage's own characters: what separates passages is cut off at their ends.
    """
    spans: list[list[int]] = []
    before = OUTSIDE
    for (begin, end), tag in zip(offsets, found, strict=True):
        if tag == BEGIN or (tag == INSIDE and before == OUTSIDE):
            spans.append([begin, end])
        elif tag == INSIDE:
            spans[-1][1] = max(end, spans[-1][1])
        before = tag
    cut = (text[begin:end].strip(EDGES) for begin, end in spans)
    return list(dict.fromkeys(passage for passage in cut if passage))
