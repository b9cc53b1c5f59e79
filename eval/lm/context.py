"""What a model has read: prompts run once, whose keys and values options and answers go on from.

A header that all prompts share (a frame, few-shot examples) is run once and kept as one row. The prompts behind it lie
one after another in that row, each seeing the header and itself, so the header is neither run nor copied for each.
Without a header every prompt has a row of its own, padded on the right, where causal attention never looks: a pad id
(which is the eos in the distills) decides nothing, and no mask is made.
Masks are our own, of four dimensions, so every layer must be softmax attention over all positions (`refuse_windows`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import Cache, DynamicLayer

from finetune.methods.lora import causal
from finetune.mistakes import BadInput
from finetune.narrow import narrow

SHORTEST_HEADER = 16  # tokens: below it, a forward of its own costs more than it saves
ONE_ROW = (512, 2048)  # tokens behind a header in one row: as many as it has, within these; attention pays by pairs
Prompt = Sequence[int]
Parts = tuple[Tensor, ...]  # of a layer's keys or values, each [rows, kv_heads, columns, width], one behind the other


class Kept(DynamicLayer):
    """A layer's keys and values in parts that stand already; a forward reads them, and leaves nothing behind."""

    def __init__(self, keys: Parts, values: Parts) -> None:
        super().__init__()
        self.parts, self.is_initialized = (keys, values), True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        keys, values = self.parts
        return torch.cat([*keys, key_states], dim=2), torch.cat([*values, value_states], dim=2)

    def get_seq_length(self) -> int:
        return sum(part.shape[2] for part in self.parts[0])


class Growing(Kept):
    """The same, with what a forward adds as one more part; those before it are not copied."""

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        whole = super().update(key_states, value_states)
        self.parts = (*self.parts[0], key_states), (*self.parts[1], value_states)
        return whole


@dataclass(frozen=True)
class Context:
    """n prompts that have been read, in one row for all or a row for each."""

    layers: tuple[tuple[Parts, Parts], ...]  # keys and values; (): nothing has been read yet
    seen: Tensor  # bool [n, columns]: which columns are of the prompt

    @property
    def one_row(self) -> bool:
        return len(self.layers) > 0 and len(self.layers[0][0][0]) == 1

    def part(self, begin: int, end: int) -> Context:
        """The prompts from `begin` to before `end`; nothing is copied."""
        layers = self.layers if self.one_row else self._cut(slice(begin, end))
        return Context(layers, self.seen[begin:end])

    def repeated(self, count: int) -> Context:
        """Its one prompt, `count` times over; nothing is copied."""
        return Context(self.layers, self.seen.expand(count, -1))

    def alone(self, prompt: int) -> Context:
        """One prompt's columns and no others, in a row of their own."""
        row, columns = 0 if self.one_row else prompt, self.seen[prompt].nonzero()[:, 0]
        return Context(self._cut(slice(row, row + 1), columns), self.seen[prompt : prompt + 1, columns])

    def _cut(self, rows: slice, columns: Tensor | None = None) -> tuple[tuple[Parts, Parts], ...]:
        def cut(parts: Parts) -> Parts:
            if columns is None:
                return tuple(part[rows] for part in parts)
            return (torch.cat([part[rows] for part in parts], dim=2)[:, :, columns],)

        return tuple((cut(keys), cut(values)) for keys, values in self.layers)


@dataclass(frozen=True)
class Grid:
    """Tokens to be run behind n prompts."""

    ids: Tensor  # [n, w]
    places: Tensor  # [n, w] positions
    sees: Tensor  # bool [n, w, w]: which tokens of its own line a token sees; itself in any case, padding too


@torch.inference_mode()
def read(model: Any, prompts: Sequence[Prompt], tokens: int, header: Context | None = None) -> Context:
    """Run prompts (token ids, possibly none), behind a header if there is one; a single one `tokens` at a time."""
    device = model.device
    if not any(prompts):
        rows, seen = (header.layers, header.seen) if header else ((), torch.ones(1, 0, dtype=torch.bool, device=device))
        return Context(rows, seen.expand(len(prompts), -1))
    if len(prompts) == 1:
        return _in_pieces(model, prompts[0], tokens, header)
    ids, real = right_padded(prompts, device)
    places = torch.arange(ids.shape[1], device=device).expand_as(ids)
    if header is None:
        cache: Any = DynamicCache()
        _run(model, ids, places, None, cache, none_of(ids))
        return Context(_layers(cache), real.bool())
    cache, n = Cache(layers=[Growing(*pair) for pair in header.layers]), len(prompts)
    below = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool, device=device).tril()
    grid = Grid(ids, places + header.seen.shape[1], below.expand(n, -1, -1))
    _run(model, *_in_rows(model, header.repeated(n), grid), cache, none_of(ids))
    own = torch.block_diag(*real[:, None]).bool()  # [n, n * w]: each prompt's columns of the row
    return Context(_layers(cache), torch.cat([header.seen.expand(n, -1), own], dim=1))


@torch.inference_mode()
def behind(model: Any, context: Context, grid: Grid) -> Tensor:
    """Logits [n, w, vocabulary] of a grid behind the prompts of a context, which stays as it is."""
    found: Tensor = _run(model, *laid(model, context, grid), 0)
    return found.reshape(*grid.ids.shape, -1)


def laid(model: Any, context: Context, grid: Grid) -> tuple[Tensor, Tensor, Tensor, Cache | None]:
    """Ids, positions, mask and cache for a forward of a grid behind the prompts of a context, which stays as it is."""
    cache = Cache(layers=[Kept(*pair) for pair in context.layers]) if context.layers else None
    return *_in_rows(model, context, grid), cache


def shared_header(prompts: Sequence[Prompt]) -> int:
    """How many tokens all prompts begin with, at least one token of each left over; 0 where it is not worth it."""
    if len(prompts) < 2:
        return 0
    first, last = min(map(tuple, prompts)), max(map(tuple, prompts))  # in dictionary order these differ the earliest
    most = min(map(len, prompts)) - 1
    header = next((i for i in range(most) if first[i] != last[i]), most)
    return header if header >= SHORTEST_HEADER else 0


def one_row_of(header: int) -> int:
    """Tokens that should stand in one row behind a header of so many."""
    return min(max(header, ONE_ROW[0]), ONE_ROW[1])


def visible(model: Any, sees: Tensor) -> Tensor:
    """A mask as attention takes it, from bool: [rows, 1, queries, keys]."""
    if model.config._attn_implementation != "eager":
        return sees
    dtype = model.get_input_embeddings().weight.dtype
    return torch.zeros(sees.shape, dtype=dtype, device=sees.device).masked_fill(~sees, torch.finfo(dtype).min)


def refuse_windows(config: Any, longest: int) -> None:
    """BadInput where a layer would not see all of a text of so many tokens: masks here know no other attention."""
    window = getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
    kinds = set(getattr(config, "layer_types", None) or (["sliding_attention"] if window else ["full_attention"]))
    if kinds <= {"full_attention"} or (kinds <= {"full_attention", "sliding_attention"} and longest <= (window or 0)):
        return
    said = f"{', '.join(sorted(kinds))}, window {window}" if window else ", ".join(sorted(kinds))
    raise BadInput(
        f"model {config.model_type}: has layers of {said}, and texts of {longest} tokens here; scoring needs attention "
        f"over all of a text in every layer; serve the model and ask it by engine: openai"
    )


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


def none_of(ids: Tensor) -> Tensor:
    """Of no column are logits wanted: the output head, much of a small model, is not run."""
    return ids.new_empty(0)


def _in_pieces(model: Any, prompt: Prompt, tokens: int, header: Context | None) -> Context:
    """One prompt behind a header, so many tokens at a time."""
    start = header.seen.shape[1] if header else 0
    cache = Cache(layers=[Growing(*pair) for pair in header.layers]) if header and start else DynamicCache()
    for begin in range(0, len(prompt), tokens):
        ids = torch.tensor([list(prompt[begin : begin + tokens])], device=model.device)
        places = torch.arange(ids.shape[1], device=model.device)[None] + start + begin
        _run(model, ids, places, None, cache, none_of(ids))
    return Context(_layers(cache), torch.ones(1, start + len(prompt), dtype=torch.bool, device=model.device))


def _in_rows(model: Any, context: Context, grid: Grid) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, positions and mask of a grid in the rows of its context; in a single row lines do not see each other."""
    width = grid.ids.shape[1]
    ahead, own = context.seen[:, None].expand(-1, width, -1), grid.sees
    if not context.one_row:
        return grid.ids, grid.places, visible(model, torch.cat([ahead, own], dim=2)[:, None])
    apart = torch.block_diag(*own.int()).bool()
    mask = torch.cat([ahead.flatten(0, 1), apart], dim=1)
    return grid.ids.reshape(1, -1), grid.places.reshape(1, -1), visible(model, mask[None, None])


def _run(model: Any, ids: Tensor, places: Tensor, mask: Tensor | None, cache: Any, wanted: Any) -> Tensor:
    """`wanted` as `logits_to_keep` takes it; where it is `none_of`, the last layer makes keys and values alone."""
    narrow(causal(model))
    asked = {"asked": wanted} if isinstance(wanted, Tensor) and not len(wanted) else {}
    out = model(
        input_ids=ids, position_ids=places, attention_mask=mask, past_key_values=cache, use_cache=cache is not None,
        logits_to_keep=wanted, **asked,
    )  # fmt: skip
    found: Tensor = out.logits
    return found


def _layers(cache: Any) -> tuple[tuple[Parts, Parts], ...]:
    return tuple(layer.parts if isinstance(layer, Kept) else ((layer.keys,), (layer.values,)) for layer in cache.layers)
