"""Rows that are being written: each has a slot for its keys and values, gets a token a step, and comes and goes.

A row's tokens stand from its slot's first column on, so rows of any length run together without padding ahead of them,
a row that leaves is replaced by the last one, and a step writes one column and copies none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

from eval.lm.context import Context, visible

SPARE = 64  # columns more than are needed now, at least: a slot that is full is moved to a longer one


class _Layer(DynamicLayer):
    """A layer's slots; a forward's token goes to the column that each row has come to."""

    keys: Any
    values: Any

    def __init__(self, slots: Slots) -> None:
        super().__init__()
        self.slots = slots

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        rows, ends = self.slots.at
        self.reserve(key_states, value_states)
        self.keys[rows, :, ends] = key_states[:, :, 0]
        self.values[rows, :, ends] = value_states[:, :, 0]
        inside = slice(len(rows)), slice(None), slice(self.slots.width + 1)
        return self.keys[inside], self.values[inside]

    def reserve(self, keys: Tensor, values: Tensor) -> None:
        """Room for the rows and columns that the table needs, of tensors like these."""
        rows, columns = self.slots.room
        if self.is_initialized and len(self.keys) >= rows and self.keys.shape[2] >= columns:
            return
        columns += max(SPARE, columns // 4)
        for name, like in (("keys", keys), ("values", values)):
            wider = like.new_zeros(rows, like.shape[1], columns, like.shape[3])  # what is not a number would spread
            if self.is_initialized:
                old = getattr(self, name)[:rows]
                wider[: len(old), :, : old.shape[2]] = old[:, :, :columns]
            setattr(self, name, wider)
        self.is_initialized = True


class Slots:
    """The rows, by number; `ends` are the columns that each has filled, which are the tokens it has read."""

    def __init__(self, model: Any) -> None:
        self.model, self.ends = model, list[int]()
        self.layers = [_Layer(self) for _ in range(model.config.num_hidden_layers)]
        self.cache, self.room = Cache(layers=[*self.layers]), (0, 0)  # room: rows and columns, at least
        self.at = self._tensors()

    @property
    def width(self) -> int:
        """Tokens of the longest row."""
        return max(self.ends, default=0)

    def admit(self, prompt: Context, copies: int) -> None:
        """So many rows more, each with the one prompt of a context, which it has `alone`."""
        begin, length = len(self.ends), prompt.seen.shape[1]
        end = begin + copies
        self.room = end, max(self.width, length) + 1
        for layer, ((keys,), (values,)) in zip(self.layers, prompt.layers, strict=False):  # none of an empty one
            layer.reserve(keys, values)
            layer.keys[begin:end, :, :length] = keys
            layer.values[begin:end, :, :length] = values
        self.ends += [length] * copies

    def drop(self, gone: Sequence[int]) -> list[int]:
        """Rows leave, the last ones take their numbers. Gives the old number of each row that is left."""
        order = list(range(len(self.ends)))
        for row in sorted(gone, reverse=True):
            order[row] = order[-1]
            order.pop()
        moved = [(to, was) for to, was in enumerate(order) if to != was]
        if moved:
            to, was = torch.tensor(moved, device=self.model.device).T
            for layer in self.layers:
                layer.keys[to], layer.values[to] = layer.keys[was], layer.values[was]
        self.ends = [self.ends[row] for row in order]
        return order

    def step(self, ids: Sequence[int]) -> Tensor:
        """Logits [rows, vocabulary], float32, behind one more token a row. `advance` makes it count: until then the
        same step may be taken again."""
        self.room, self.at = (len(self.ends), self.width + 1), self._tensors()
        ends = self.at[1]
        sees = torch.arange(self.width + 1, device=ends.device) <= ends[:, None]
        out = self.model(
            input_ids=torch.tensor(ids, device=ends.device)[:, None], position_ids=ends[:, None], use_cache=True,
            attention_mask=visible(self.model, sees[:, None, None]), past_key_values=self.cache,
        )  # fmt: skip
        logits: Tensor = out.logits[:, -1].float()
        return logits

    def advance(self) -> None:
        self.ends = [end + 1 for end in self.ends]

    def _tensors(self) -> tuple[Tensor, Tensor]:
        device = self.model.device
        return torch.arange(len(self.ends), device=device), torch.tensor(self.ends, dtype=torch.long, device=device)
