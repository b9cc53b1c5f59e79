"""Packed rows: many texts in one row without padding, attention for each text alone.

Linear layers see one row of tokens. Attention in half precision on an accelerator with flash kernels runs over the row
as it lies, told where each text begins (`torch.nn.attention.varlen`). Elsewhere it gathers each text out of the row,
texts of near length together, and runs them as a batch; padding within it stands on the right, where causal attention
never looks. Either way nothing pays the square of the row's length, no mask of the row is made at any length, and no
text can see another.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any

WASTE = 1.15  # padded over real tokens of a batch; more: fewer, larger calls that compute on padding
STRIPE = 256  # queries whose bfloat16 scores a processor multiplies out at once (float32: `striped`); 0: sdpa's kernels
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
    parts = query, key, value
    if varlen := in_place(query, **kwargs):
        return varlen(*(part[0].transpose(0, 1) for part in parts), segments.lengths)
    return each(segments, parts, lambda q, k, v: softmax(layer, q, k, v, **kwargs))


def each(segments: Segments, parts: tuple[Any, Any, Any], run: Callable[..., Any]) -> Any:
    """`run` (query, key, value -> output, weights) on each batch of texts; the output in the row's order."""
    import torch

    found = []
    for places, real, (count, width) in segments.batches:
        out, _ = run(*(_gather(part, places, count, width) for part in parts))
        found.append(out.flatten(0, 1).index_select(0, real))
    return torch.cat(found)[None], None


def softmax(layer: Any, query: Any, key: Any, value: Any, *, ahead: int = 0, **kwargs: Any) -> Any:
    """Causal attention of a batch of texts, each of which sees `ahead` more keys before its own: (output, None).

    query [texts, heads, L, width], key and value [texts, kv_heads, ahead + L, width] -> [texts, L, heads, width].
    """
    import torch
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    shape, length = query.shape[:2], query.shape[2]
    striped = STRIPE and query.device.type == "cpu" and not kwargs.get("dropout")
    if striped and query.dtype == torch.float32 and not torch.is_autocast_enabled("cpu"):
        from finetune.striped import Striped

        return Striped.apply(query, key, value, kwargs["scaling"]), None
    if not (striped and query.dtype == torch.bfloat16):
        seen = None
        if ahead:
            seen = torch.ones(length, ahead + length, dtype=torch.bool, device=query.device).tril(ahead)[None, None]
        return sdpa_attention_forward(layer, query, key, value, seen, **{**kwargs, "is_causal": not ahead})
    query, key, value = (part.flatten(0, 1) for part in (query * kwargs["scaling"], *_repeated(layer, key, value)))
    found = []
    for start in range(0, length, STRIPE):
        end = min(start + STRIPE, length)
        hidden = query.new_full((end - start, ahead + end), float("-inf")).triu(ahead + start + 1)
        scores = torch.baddbmm(hidden, query[:, start:end], key[:, : ahead + end].transpose(1, 2))
        found.append(scores.softmax(-1) @ value[:, : ahead + end])
    return torch.cat(found, dim=1).unflatten(0, shape).transpose(1, 2), None


def _repeated(layer: Any, *parts: Any) -> list[Any]:
    """Keys and values once for each query head."""
    from transformers.integrations.sdpa_attention import repeat_kv

    return [repeat_kv(part, layer.num_key_value_groups) for part in parts]


def in_place(query: Any, *, scaling: float | None = None, dropout: float = 0.0, **_: Any) -> Callable[..., Any] | None:
    """Attention over a packed row as it lies, where the device's flash kernels take it; None where they do not.

    It takes query [T, heads, width], key and value [T + ahead * texts, kv_heads, width], the texts' lengths, and how
    many keys stand `ahead` of those of each text. It returns ([1, T, heads, width], None).
    """
    import torch

    width = query.shape[-1]
    half = query.dtype in (torch.bfloat16, torch.float16)
    if dropout or not half or not query.is_cuda or width % 8 or width > 256:
        return None
    module: Any = torch.get_device_module(query.device)
    if module.get_device_capability(query.device) < (8, 0):  # flash attention begins with Ampere
        return None
    taken = _varlen()
    if taken is None or (scaling not in (None, width**-0.5) and "scale" not in taken[1]):
        return None
    return lambda q, k, v, lengths, ahead=0: (_run(*taken, q, k, v, lengths, ahead, scaling), None)


@lru_cache(maxsize=1)
def _varlen() -> tuple[Callable[..., Any], frozenset[str]] | None:
    """torch's attention over texts of unlike length and the names of its arguments, which changed from 2.10 to 2.11."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    return varlen_attn, frozenset(inspect.signature(varlen_attn).parameters)


def _run(
    varlen: Callable[..., Any], known: frozenset[str], query: Any, key: Any, value: Any,
    lengths: tuple[int, ...], ahead: int, scaling: float | None,
) -> Any:  # fmt: skip
    """Causal to the lower right: with `ahead` keys more than queries, a text's first query sees them and its own."""
    options: dict[str, Any] = {"window_size": (-1, 0)} if "window_size" in known else {"is_causal": True}
    if "scale" in known:
        options["scale"] = scaling
    if "enable_gqa" in known:
        options["enable_gqa"] = True
    elif (groups := query.shape[1] // key.shape[1]) > 1:
        key, value = (part.repeat_interleave(groups, dim=1) for part in (key, value))
    ends = (bounds(lengths, more, query.device) for more in (0, ahead))
    longest = max(lengths)
    return varlen(query, key, value, *ends, longest, longest + ahead, **options)[None]


@lru_cache(maxsize=8)
def bounds(lengths: tuple[int, ...], ahead: int, device: Any) -> Any:
    """Where each text begins in a row in which `ahead` keys stand before it, and the row's end: int32 [texts + 1]."""
    import torch

    ends = accumulate((length + ahead for length in lengths), initial=0)
    return torch.tensor(list(ends), dtype=torch.int32, device=device)


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
