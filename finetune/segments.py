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
    alone = {**kwargs, "is_causal": True}
    return each(segments, (query, key, value), lambda q, k, v: sdpa_attention_forward(layer, q, k, v, None, **alone))


def each(segments: Segments, parts: tuple[Any, Any, Any], run: Callable[..., Any]) -> Any:
    """`run` (query, key, value -> output, weights) on each batch of texts; the output in the row's order."""
    import torch

    found = []
    for places, real, (count, width) in segments.batches:
        out, _ = run(*(_gather(part, places, count, width) for part in parts))
        found.append(out.flatten(0, 1).index_select(0, real))
    return torch.cat(found)[None], None


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
