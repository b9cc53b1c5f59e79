"""Prompts run through the model once: what comes next after each, and the cache from which options or answers go on.

Rows are padded on the left and masked by length, with positions counted over real tokens, so a pad id (which is the
eos in the distills) decides nothing. A head that all prompts of a batch share (a frame, few-shot examples) is run for
one row only, and equal prompts (samples of one question) are run once.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

SHORTEST_HEAD = 16  # tokens: below it, a forward of its own costs more than it saves
NEAR = 0.75  # shortest row of a batch over its longest: at most a quarter of a forward is padding
Prompt = Sequence[int]


@dataclass
class Prefill:
    """A batch of n prompts in the cache. The cache grows in place when the model goes on from it."""

    logits: Tensor  # [n, vocabulary] float32, of the token after each prompt
    cache: Any  # transformers' DynamicCache, n rows
    mask: Tensor  # [n, length] 1 where the cache holds a real token of the row

    def take(self, rows: Sequence[int] | Tensor) -> Prefill:
        """The named rows (repeats allowed) as a batch of their own; this one stays as it is."""
        index = torch.as_tensor(rows, device=self.mask.device)
        cache = copy.copy(self.cache)
        cache.layers = [copy.copy(layer) for layer in cache.layers]
        cache.batch_select_indices(index)
        return Prefill(self.logits[index], cache, self.mask[index])

    @torch.inference_mode()
    def advance(self, model: Any, ids: Tensor, real: Tensor) -> Tensor:
        """Run `ids` [n, t] behind the rows (`real` [n, t]: 1 where not padding); logits [n, t, vocabulary]."""
        self.mask = torch.cat([self.mask, real], dim=1)
        return _forward(model, ids, self.mask, self.cache, keep=0)


def batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Indices in batches of like length, longest first: rows times the longest stay within `budget` tokens, or it is a
    single row."""
    found: list[list[int]] = []
    width = 0
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if found and (len(found[-1]) + 1) * width <= budget and lengths[index] >= NEAR * width:
            found[-1].append(index)
        else:
            found.append([index])
            width = lengths[index]
    return found


@torch.inference_mode()
def prefill(model: Any, prompts: Sequence[Prompt]) -> Prefill:
    """Run `prompts` (token ids, at least one each) and keep their keys and values."""
    from transformers import DynamicCache

    every = [tuple(prompt) for prompt in prompts]
    unique = list(dict.fromkeys(every))
    device = model.device
    cache = DynamicCache(config=model.config)
    head = _shared_head(unique)
    mask = torch.ones(len(unique), head, dtype=torch.long, device=device)
    if head:
        _forward(model, torch.tensor([unique[0][:head]], device=device), mask[:1], cache, keep=1)
        cache.batch_select_indices(torch.zeros(len(unique), dtype=torch.long, device=device))
    ids, real = left_padded([prompt[head:] for prompt in unique], device)
    mask = torch.cat([mask, real], dim=1)
    logits = _forward(model, ids, mask, cache, keep=1)[:, -1].float()
    done = Prefill(logits, cache, mask)
    if len(unique) == len(every):
        return done
    where = {prompt: row for row, prompt in enumerate(unique)}
    return done.take([where[prompt] for prompt in every])


def left_padded(rows: Sequence[Prompt], device: Any) -> tuple[Tensor, Tensor]:
    """Rows of ids as [n, longest], padded on the left, and 1 where a token is real."""
    width = max(map(len, rows))
    ids = torch.tensor([[0] * (width - len(row)) + list(row) for row in rows], device=device)
    real = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=device)
    return ids, real


def right_padded(rows: Sequence[Prompt], device: Any) -> tuple[Tensor, Tensor]:
    """Rows of ids as [n, longest], padded on the right, and 1 where a token is real."""
    width = max(map(len, rows))
    ids = torch.tensor([list(row) + [0] * (width - len(row)) for row in rows], device=device)
    real = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=device)
    return ids, real


def positions(mask: Tensor) -> Tensor:
    """Positions counted over real tokens; those of padding are never attended to."""
    return (mask.cumsum(dim=1) - 1).clamp(min=0)


def _forward(model: Any, ids: Tensor, mask: Tensor, cache: Any, keep: int) -> Tensor:
    """Logits of the last `keep` columns (0: all); `mask` covers the cache and `ids`."""
    places = positions(mask)[:, -ids.shape[1] :]
    out = model(
        input_ids=ids,
        position_ids=places,
        attention_mask=mask,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=keep,
    )
    return out.logits


def _shared_head(prompts: Sequence[Prompt]) -> int:
    """How many tokens all prompts begin with, at least one token of each left over; 0 where it is not worth it."""
    if len(prompts) < 2:
        return 0
    ordered = sorted(map(tuple, prompts))
    first, last = ordered[0], ordered[-1]  # in dictionary order these two differ the earliest
    most = min(map(len, prompts)) - 1
    head = next((i for i in range(most) if first[i] != last[i]), most)
    return head if head >= SHORTEST_HEAD else 0
