"""Packed rows: many texts in one row without padding, attention for each text alone.

Linear layers see one row of tokens; attention gathers each text out of it, texts of near length together, and runs them
as a batch. Nothing pays the square of the row's length, no mask is made, and no text can see another: the others are
not there. Padding within such a batch stands on the right, where causal attention never looks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

WASTE = 1.15  # padded over real tokens of a batch; more: fewer, larger calls that compute on padding
SHORT = 768  # tokens: up to here a processor multiplies bfloat16 scores out faster than sdpa's own kernel runs
NAME = "segments"


@dataclass(frozen=True)
class Segments:
    """Where each text lies in a row of tokens. Tensors are on the row's device."""

    lengths: tuple[int, ...]
    batches: tuple[tuple[Any, Any, tuple[int, int]], ...]  # (places in the row, real ones among them, (texts, length))

    @classmethod
    def of(cls, lengths: Sequence[int], device: Any) -> Segments:
        """Texts of these lengths one after another, best sorted by length."""
        import torch

        batches, start = [], 0
        for group in _groups(lengths):
            width = max(group)
            starts = torch.tensor([start + sum(group[:index]) for index in range(len(group))])
            inside = torch.arange(width) < torch.tensor(group)[:, None]
            places = torch.where(inside, starts[:, None] + torch.arange(width), starts[:, None])
            real = inside.flatten().nonzero().flatten()
            batches.append((places.flatten().to(device), real.to(device), (len(group), width)))
            start += sum(group)
        return cls(tuple(lengths), tuple(batches))


def _groups(lengths: Sequence[int]) -> list[list[int]]:
    """Neighbours so near in length that a batch of them wastes little."""
    groups: list[list[int]] = []
    for length in lengths:
        group = [*groups[-1], length] if groups else []
        if group and max(group) * len(group) <= WASTE * sum(group):
            groups[-1] = group
        else:
            groups.append([length])
    return groups


def attend(layer: Any, query: Any, key: Any, value: Any, attention_mask: Any, **kwargs: Any) -> Any:
    """Attention as transformers calls it, for a row with `segments` among the arguments; without them, plain.

    query [1, heads, T, width], key and value [1, kv_heads, T, width] -> [1, T, heads, width].
    """
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    segments = kwargs.pop("segments", None)
    if segments is None:
        return sdpa_attention_forward(layer, query, key, value, attention_mask, **kwargs)
    return each(segments, (query, key, value), lambda q, k, v: softmax(layer, q, k, v, None, **kwargs))


def each(segments: Segments, parts: tuple[Any, Any, Any], run: Callable[..., Any]) -> Any:
    """`run` (query, key, value -> output, weights) on each batch of texts; the output in the row's order."""
    import torch

    found = []
    for places, real, (count, width) in segments.batches:
        out, _ = run(*(_gather(part, places, count, width) for part in parts))
        found.append(out.flatten(0, 1).index_select(0, real))
    return torch.cat(found)[None], None


def softmax(layer: Any, query: Any, key: Any, value: Any, seen: Any, **kwargs: Any) -> Any:
    """Attention of a batch of texts: causal, or to what `seen` [1, 1, L, S] is true for. Returns (output, None)."""
    import torch
    from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward

    length, plain = query.shape[2], not kwargs.get("dropout")
    if not (plain and query.device.type == "cpu" and query.dtype == torch.bfloat16 and length <= SHORT):
        return sdpa_attention_forward(layer, query, key, value, seen, **{**kwargs, "is_causal": seen is None})
    key, value = (repeat_kv(part, layer.num_key_value_groups) for part in (key, value))
    if seen is None:
        seen = torch.ones(length, length, dtype=torch.bool).tril()
    scores = (query * kwargs["scaling"]) @ key.transpose(2, 3)
    weights = scores.masked_fill(~seen, float("-inf")).softmax(-1)
    return (weights @ value).transpose(1, 2), None


def _gather(part: Any, places: Any, count: int, width: int) -> Any:
    """[1, heads, T, size] -> [count, heads, width, size]"""
    rows = part[0].transpose(0, 1).index_select(0, places)
    return rows.unflatten(0, (count, width)).transpose(1, 2)


def adopt(model: Any) -> None:
    """Let a transformers model whose attention is sdpa know `segments`; another attention is left as it is."""
    from transformers import AttentionInterface, AttentionMaskInterface

    if model.config._attn_implementation == "sdpa":
        AttentionInterface.register(NAME, attend)
        AttentionMaskInterface.register(NAME, _mask)
        model.set_attn_implementation(NAME)


def _mask(attention_mask: Any = None, **kwargs: Any) -> Any:
    """That of sdpa for padded rows; none without padding, where sdpa is causal by itself and segments are apart."""
    from transformers.masking_utils import sdpa_mask

    return None if attention_mask is None else sdpa_mask(attention_mask=attention_mask, **kwargs)
