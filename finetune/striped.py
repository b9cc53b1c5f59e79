"""Causal attention in float32 on a processor, a stripe of queries at a time, with its own way back.

Forward and backward are those of flash attention (Dao et al. 2022, algorithms 2 and 4; 2023, section 3.1): nothing of
the square is kept, scores are made again from the logarithm of their sum. torch's kernel for processors makes them in
blocks of 32 queries and 512 keys, computes much that causality hides and repeats keys for grouped queries. Here the
queries that share a key are rows of one product, no key behind the stripe is read, and powers are of two, which torch
takes three times faster than those of e.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.autograd.function import once_differentiable

STRIPE = 64  # queries at once: fewer are too thin a product, more compute on what is hidden and leave the cache
LOG2E = math.log2(math.e)


class Striped(torch.autograd.Function):
    """query [texts, heads, L, width], key and value [texts, kv_heads, ahead + L, width], scale -> as `attend` says.

    The output is [texts, L, heads, width]. A text's first query sees `ahead` keys and its own. Differentiable once.
    """

    @staticmethod
    def forward(ctx: Any, query: Any, key: Any, value: Any, scale: float) -> Any:
        (texts, heads, length, width), (kv, seen) = query.shape, key.shape[1:3]
        keys, values = key.flatten(0, 1), value.flatten(0, 1)
        grouped = (query * (scale * LOG2E)).unflatten(1, (kv, -1))
        out = query.new_empty(texts, length, kv, heads // kv, width)
        sums = query.new_empty(texts, kv, heads // kv, length, 1)
        room = query.new_empty(texts * heads * min(STRIPE, length) * seen)
        for start, end, reach in _stripes(length, seen):
            scores = _scores(_rows(grouped, start, end), keys[:, :reach], room, end - start)
            top = scores.amax(-1, keepdim=True)
            total = scores.sub_(top).exp2_().sum(-1, keepdim=True)
            found = torch.bmm(scores, values[:, :reach]).div_(total)
            out[:, start:end] = _apart(found, texts, kv, end - start).permute(0, 3, 1, 2, 4)
            sums[..., start:end, :] = _apart(total.log2_().add_(top), texts, kv, end - start)
        out = out.flatten(2, 3)
        ctx.save_for_backward(query, key, value, out, sums)
        ctx.scale = scale
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Any) -> Any:
        query, key, value, out, sums = ctx.saved_tensors
        (texts, heads, length, width), (kv, seen) = query.shape, key.shape[1:3]
        keys, values = key.flatten(0, 1), value.flatten(0, 1)
        grouped = (query * (ctx.scale * LOG2E)).unflatten(1, (kv, -1))
        asked, means = (part.transpose(1, 2).unflatten(1, (kv, -1)) for part in (gradient, _means(gradient, out)))
        queries = query.new_empty(texts, length, kv, heads // kv, width)
        to_keys, to_values = (torch.zeros_like(part, memory_format=torch.contiguous_format) for part in (keys, values))
        rooms = query.new_empty(2, texts * heads * min(STRIPE, length) * seen)
        for start, end, reach in _stripes(length, seen):
            rows, back = _rows(grouped, start, end), _rows(asked, start, end)
            shares = _scores(rows, keys[:, :reach], rooms[0], end - start, less=_rows(sums, start, end)).exp2_()
            to_values[:, :reach].baddbmm_(shares.transpose(1, 2), back)
            moved = _product(back, values[:, :reach], rooms[1]).sub_(_rows(means, start, end)).mul_(shares)
            to_keys[:, :reach].baddbmm_(moved.transpose(1, 2), rows)
            found = torch.bmm(moved, keys[:, :reach])
            queries[:, start:end] = _apart(found, texts, kv, end - start).permute(0, 3, 1, 2, 4)
        whole = queries.mul_(ctx.scale).flatten(2, 3).transpose(1, 2)
        return whole, to_keys.div_(LOG2E).view(key.shape), to_values.view(value.shape), None


def _stripes(length: int, seen: int) -> list[tuple[int, int, int]]:
    """(first query, behind the last, keys that these may see)"""
    ends = [(start, min(start + STRIPE, length)) for start in range(0, length, STRIPE)]
    return [(start, end, seen - length + end) for start, end in ends]


def _rows(part: Any, start: int, end: int) -> Any:
    """[texts, kv, groups, L, size] -> [texts * kv, groups * stripe, size], a copy that lies as products like it."""
    return part[..., start:end, :].flatten(2, 3).flatten(0, 1)


def _apart(rows: Any, texts: int, kv: int, stripe: int) -> Any:
    """[texts * kv, groups * stripe, size] -> [texts, kv, groups, stripe, size]"""
    return rows.view(texts, kv, -1, stripe, rows.shape[-1])


def _product(rows: Any, keys: Any, room: Any) -> Any:
    """rows keys', in a room that is used again and again: fresh memory would have to be brought in page by page."""
    count, many, reach = len(rows), rows.shape[1], keys.shape[1]
    return torch.bmm(rows, keys.transpose(1, 2), out=room[: count * many * reach].view(count, many, reach))


def _scores(rows: Any, keys: Any, room: Any, stripe: int, less: Any = None) -> Any:
    """Scores in bits, what is hidden at minus infinity; `less` is taken from each row."""
    scores = _product(rows, keys, room)
    if less is not None:
        scores.sub_(less)
    hidden = scores.new_full((stripe, stripe), float("-inf")).triu_(1)
    scores.view(-1, stripe, scores.shape[-1])[..., -stripe:].add_(hidden)
    return scores


def _means(gradient: Any, out: Any) -> Any:
    """[texts, L, heads, 1]: what the shares of a query's keys have in common on the way back, D of the paper."""
    return (gradient * out).sum(-1, keepdim=True)
