"""Examples -> optimizer steps -> sheets, each one forward pass.

Steps are planned for all devices together, before anyone knows how many there are: the machine changes the time, not
the experiment. Examples packed into one row are isolated by position ids that restart at 0, without attention mask or
cache (with either they would see each other, and nothing would say so). Rows of a sheet are padded on the right, which
causal attention never sees.
"""

from __future__ import annotations

import bisect
import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from finetune.data import Example
from finetune.recipe import Train

NARROW = 128  # tokens: a row so short costs nothing in attention, so several short examples share it


@dataclass(frozen=True)
class Sheet:
    """What goes through the model at once."""

    names: tuple[str, ...]  # of the examples in it
    ids: np.ndarray  # [rows, length]
    positions: np.ndarray  # [rows, length], from 0 for each example
    keep: (
        np.ndarray
    )  # [targets]: places in the flattened ids whose next token is a target; only there are logits needed
    labels: np.ndarray  # [targets]: that next token
    useful: int  # tokens that are no padding

    @property
    def targets(self) -> int:
        return len(self.labels)

    @property
    def raw(self) -> int:
        return int(self.ids.size)


def plan(lengths: Sequence[int], knobs: Train, seed: int) -> tuple[list[tuple[int, ...]], Literal["done", "max_steps"]]:
    """Steps of the whole run, each the indices of its examples, and what will end it. The same on any machine."""
    steps: list[tuple[int, ...]] = []
    for epoch in range(math.ceil(knobs.epochs)):
        order = list(range(len(lengths)))
        random.Random(f"{seed}/{epoch}").shuffle(order)
        share = min(1.0, knobs.epochs - epoch)
        steps += _even(order[: max(1, round(share * len(order)))], lengths, knobs.tokens_per_step)
    if knobs.max_steps and knobs.max_steps < len(steps):
        return steps[: knobs.max_steps], "max_steps"
    return steps, "done"


def _even(order: list[int], lengths: Sequence[int], tokens: int) -> list[tuple[int, ...]]:
    """Cut a pass into steps of nearly equal size, about `tokens` each: no small rest with a noisy gradient."""
    total = sum(lengths[index] for index in order)
    count = math.ceil(total / tokens)
    steps: list[list[int]] = [[] for _ in range(count)]
    before = 0
    for index in order:
        steps[before * count // total].append(index)
        before += lengths[index]
    return [tuple(step) for step in steps if step]


def sheets(examples: Iterable[Example], tokens: int, *, packing: bool, pad: int) -> list[Sheet]:
    """Sheets of about `tokens` each, longest examples first, so that neighbours in a sheet are near in length.

    A row is never longer than the longest example left (or NARROW): it would pay the square of its length in attention.
    """
    left = sorted(examples, key=len)
    found = []
    while left:
        width = max(len(left[-1]), NARROW) if packing else len(left[-1])
        rows: list[list[Example]] = []
        while left and len(rows) < max(1, tokens // width):
            rows.append(_row(left, width) if packing else [left.pop()])
        found.append(sheet(rows, pad))
    return found


def _row(left: list[Example], width: int) -> list[Example]:
    """Take examples out of `left` (ascending by length) into one row: each the longest that still fits."""
    row: list[Example] = []
    while place := bisect.bisect_right(left, width, key=len):
        row.append(left.pop(place - 1))
        width -= len(row[-1])
    return row


def sheet(rows: Sequence[Sequence[Example]], pad: int) -> Sheet:
    """Rows of one or more examples as arrays. Padding goes by length, for the pad id may be the end token."""
    shape = len(rows), max(sum(map(len, row)) for row in rows)
    ids, mask = np.full(shape, pad, np.int64), np.zeros(shape, bool)
    positions = np.zeros(shape, np.int64)
    for index, row in enumerate(rows):
        at = 0
        for example in row:
            span = slice(at, at + len(example))
            ids[index, span], mask[index, span] = example.ids, example.mask
            positions[index, at:] = np.arange(shape[1] - at)  # padding goes on counting: it is of the last example
            at += len(example)
    targets = np.flatnonzero(mask)
    members = [example for row in rows for example in row]
    names, useful = tuple(each.name for each in members), sum(map(len, members))
    return Sheet(names, ids, positions, targets - 1, ids.ravel()[targets], useful)
