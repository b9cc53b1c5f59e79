"""Examples -> optimizer steps -> rows for one forward each.

Steps are planned for all devices together, before anyone knows how many there are: the machine changes the time, not
the experiment. A packed row is isolated by position ids that restart at 0, without attention mask or cache (with either
its examples see each other, and nothing says so).
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

IGNORED = -100  # torch's mark for "no target here"
ROOMY = 512  # tokens: below this a row costs more in overhead than packing saves


@dataclass(frozen=True)
class Sheet:
    """What goes through the model at once: one packed row, or several padded on the right."""

    names: tuple[str, ...]  # of the examples in it
    ids: np.ndarray  # [rows, length]
    positions: np.ndarray  # [rows, length]
    attention: np.ndarray | None  # [rows, length], 0 at padding; None for a packed row
    keep: np.ndarray  # [kept]: positions whose next token is a target in some row; only there are logits needed
    labels: np.ndarray  # [rows, kept]: that next token, or IGNORED
    useful: int  # tokens that are no padding

    @property
    def targets(self) -> int:
        return int((self.labels != IGNORED).sum())

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


def sheets(examples: Iterable[Example], capacity: int, *, pad: int | None = None) -> list[Sheet]:
    """The rows of one step: packed, or padded with the id `pad` where that is given."""
    chosen = list(examples)
    if pad is None:
        return [packed(group) for group in _fit(chosen, capacity)]
    return [padded(group, pad) for group in _alike(chosen, capacity)]


def capacity(longest: int, knobs: Train) -> int:
    """Tokens of a row: near the longest example, for a longer row pays the square of its length in attention."""
    return max(longest, min(knobs.max_length, ROOMY))


def _fit(examples: list[Example], size: int) -> list[list[Example]]:
    """Best fit, longest first: the fullest row that still has room."""
    rows: list[list[Example]] = []
    room: list[tuple[int, int]] = []  # (tokens left, row), sorted
    for example in sorted(examples, key=len, reverse=True):
        place = bisect.bisect_left(room, (len(example), -1))
        left, row = room.pop(place) if place < len(room) else (size, len(rows))
        if row == len(rows):
            rows.append([])
        rows[row].append(example)
        bisect.insort(room, (left - len(example), row))
    return rows


def _alike(examples: list[Example], size: int) -> list[list[Example]]:
    """Neighbours in length, as many as stay within `size` tokens with their padding."""
    groups: list[list[Example]] = []
    for example in sorted(examples, key=len, reverse=True):
        if not groups or len(groups[-1][0]) * (len(groups[-1]) + 1) > size:
            groups.append([])
        groups[-1].append(example)
    return groups


def packed(examples: Sequence[Example]) -> Sheet:
    """One row [1, length] of several examples, which do not see each other."""
    ids = np.concatenate([example.ids for example in examples])[None]
    positions = np.concatenate([np.arange(len(example)) for example in examples])[None]
    mask = np.concatenate([example.mask for example in examples])[None]
    return _sheet(examples, ids, positions, None, mask)


def padded(examples: Sequence[Example], pad: int) -> Sheet:
    """One example a row, padded on the right [rows, longest]; the mask goes by length, as pad may be the end token."""
    shape = len(examples), max(map(len, examples))
    ids, mask, attention = np.full(shape, pad), np.zeros(shape, bool), np.zeros(shape, np.int64)
    for row, example in enumerate(examples):
        ids[row, : len(example)], mask[row, : len(example)] = example.ids, example.mask
        attention[row, : len(example)] = 1
    return _sheet(examples, ids, np.broadcast_to(np.arange(shape[1]), shape), attention, mask)


def _sheet(
    examples: Sequence[Example], ids: np.ndarray, positions: np.ndarray, attention: np.ndarray | None, mask: np.ndarray
) -> Sheet:
    following = mask[:, 1:]
    keep = np.flatnonzero(following.any(axis=0))
    labels = np.where(following, ids[:, 1:], IGNORED)[:, keep]
    names, useful = tuple(example.name for example in examples), sum(map(len, examples))
    return Sheet(
        names, ids.astype(np.int64), positions.astype(np.int64), attention, keep, labels.astype(np.int64), useful
    )
