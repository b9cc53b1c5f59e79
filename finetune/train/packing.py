"""Examples -> optimizer steps -> sheets, each one forward pass.

Steps are planned for all devices together, before anyone knows how many there are: the machine changes the time, not
the experiment. Packed examples stand one after another in a single row, without padding: position ids restart at 0 and
`segments` keeps attention within each. There must be no attention mask or cache: with either, transformers' own
attentions would let them see each other, and nothing would say so. Unpacked, each has a row, padded on the right, which
causal attention never sees.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from finetune.data import Example
from finetune.recipe import Train


@dataclass(frozen=True)
class Sheet:
    """What goes through the model at once."""

    names: tuple[str, ...]  # of the examples in it
    ids: np.ndarray  # [rows, length]
    positions: np.ndarray  # [rows, length], from 0 for each example
    keep: np.ndarray  # [targets]: places in the flattened ids whose next token is a target: there logits are needed
    labels: np.ndarray  # [targets]: that next token; for a classification head, the label of the place itself
    lengths: tuple[int, ...]  # of the examples packed into the only row; empty: each has a row of its own
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
        if knobs.max_steps and knobs.max_steps < len(steps):  # of epochs without end the rest is not planned
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
    """Sheets of about `tokens` each, longest examples first: neighbours are near in length, and little is padded."""
    left = sorted(examples, key=len)
    found = []
    while left:
        group = [left.pop()]
        while left and size_of([*group, left[-1]], packing=packing) <= tokens:
            group.append(left.pop())
        found.append(packed(group) if packing else padded(group, pad))
    return found


def size_of(group: Sequence[Example], *, packing: bool) -> int:
    """Tokens of a sheet of these examples, padding included."""
    return sum(map(len, group)) if packing else len(group) * max(map(len, group))


def packed(group: Sequence[Example]) -> Sheet:
    """One row of examples, one after another."""
    lengths = tuple(map(len, group))
    positions = np.concatenate([np.arange(length) for length in lengths])[None]
    ids = np.concatenate([example.ids for example in group]).astype(np.int64)[None]
    mask = np.concatenate([example.mask for example in group])[None]
    return _sheet(group, ids, positions, mask, lengths)


def padded(group: Sequence[Example], pad: int) -> Sheet:
    """A row for each example. Padding goes by length, for the pad id may be the end token."""
    shape = len(group), max(map(len, group))
    ids, mask = np.full(shape, pad, np.int64), np.zeros(shape, bool)
    for row, example in enumerate(group):
        ids[row, : len(example)], mask[row, : len(example)] = example.ids, example.mask
    positions = np.broadcast_to(np.arange(shape[1]), shape).copy()  # padding goes on counting: it is of its row
    return _sheet(group, ids, positions, mask, ())


def _sheet(
    group: Sequence[Example], ids: np.ndarray, positions: np.ndarray, mask: np.ndarray, lengths: tuple[int, ...]
) -> Sheet:
    targets, names = np.flatnonzero(mask), tuple(example.name for example in group)
    keep, labels = targets - 1, ids.ravel()[targets]
    classes = [example.classes for example in group if example.classes is not None]
    if classes:
        keep, labels = targets, np.concatenate(classes)
    return Sheet(names, ids, positions, keep, labels, lengths, sum(map(len, group)))
