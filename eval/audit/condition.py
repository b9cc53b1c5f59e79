"""Condition of rows: how long they are, which answers look cut off, what was decoded wrongly, how labels lie."""

import re
from collections import Counter
from collections.abc import Sequence

from finetune.card import Row
from finetune.card.records import misread

FAULTS = {  # of the encoding -> how it shows
    "replaced": re.compile("\ufffd|锟斤拷"),  # a decoder met what it could not read
    "mojibake": re.compile("烫烫烫|屯屯屯"),  # memory that nobody had written to
    "control": re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"),
    "private use": re.compile("[\ue000-\uf8ff]"),  # glyphs of one font
}
ENDS = re.compile(r"[。！？!?…]|\.(?:\s|$)")
OPEN = re.compile(r"[\w,，、;；:：(（\[【《“-]$")  # a last character after which more is to come, or a bare word
PROSE = 60  # characters from which on an answer that has sentences is taken for prose
LAST_LINE = 20  # characters; a shorter last line is an answer, such as `Answer: 72`
LABEL, LABELS = 20, 20  # characters of a label, and different ones, at most


def lengths(texts: Sequence[str]) -> tuple[int, int, int]:
    """Characters: median, the length that 95 of 100 texts do not exceed, the longest. At least one text."""
    order = sorted(map(len, texts))
    return order[len(order) // 2], order[min(len(order) - 1, 95 * len(order) // 100)], order[-1]


def answer_of(row: Row) -> str:
    """What the assistant says last, or the answer as training writes it."""
    return row.messages[-1].content if row.messages else row.target or row.answer or ""


def looks_cut(answer: str) -> bool:
    """An open thought, one without an answer behind it, an open code block, or prose that ends within a sentence."""
    text = answer.rstrip()
    if text.endswith("</think>") or text.count("<think>") > text.count("</think>") or text.count("```") % 2:
        return True
    prose = len(text) >= PROSE and ENDS.search(text[:-1])
    return bool(prose and OPEN.search(text) and len(text.rpartition("\n")[2]) > LAST_LINE)


def encoding_faults(text: str) -> list[str]:
    return [name for name, pattern in FAULTS.items() if pattern.search(text) or (name == "mojibake" and misread(text))]


def labels(answers: Sequence[str]) -> dict[str, float]:
    """Share of each answer, most frequent first, where all are labels: few, short, and repeated."""
    counts = Counter(answers)
    few = len(counts) <= LABELS and 2 * len(counts) <= len(answers)
    if not few or any(len(answer) > LABEL for answer in counts):
        return {}
    return {answer: count / len(answers) for answer, count in counts.most_common()}
