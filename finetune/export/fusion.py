"""An adapter merged into a fresh base on disk, and measured: what is kept answers as the adapter does on its base."""

from __future__ import annotations

import gc
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from finetune.chat import Chat
from finetune.chat.tokenizer import LOSSLESS
from finetune.methods import heads, load
from finetune.methods.full import save_checkpoint
from finetune.methods.merging import BOUND, merge, unmergeable
from finetune.mistakes import BadInput
from finetune.world import logits, open_base

PROBE = 64  # tokens on which logits are compared, as in training


@dataclass(frozen=True)
class Fusion:
    """How near the merged weights are; differences are of logits, `top` is the largest of them."""

    dtype: str
    difference: float  # merged, read back from disk, against the adapter on the same fresh base
    top: float
    tokens: int
    four_bit_difference: float | None  # against the adapter on the 4-bit base that it was trained on
    four_bit_same: float | None  # share of the tokens after which both have the same likeliest next one


def fuse(base: Path, adapter: Path, folder: Path, chat: Chat, *, four_bit: bool) -> Fusion:
    """Write the checkpoint of `base` with `adapter` in its weights to `folder`.

    In the base's own dtype; bfloat16 for a contender trained on 4 bits. BadInput: it cannot be merged. RuntimeError:
    read back from disk it answers otherwise than adapter and base do.
    """
    dtype = torch.bfloat16 if four_bit else _own_dtype(base)
    ids = chat.prompt([{"role": "user", "content": LOSSLESS}])[:PROBE]
    model = load(open_base(base, dtype), adapter)
    reason = unmergeable(model)
    if reason:
        raise BadInput(f"--merge: {reason}")
    unmerged, told = logits(model, ids), heads.answers(model, ids)
    _save(merge(model), base, folder)
    del model
    gc.collect()  # two copies may not fit
    again = open_base(folder, dtype)
    merged = logits(again, ids)
    if told is not None:
        heads.load(again, folder, trainable=False)
        _refuse_other_head(told, heads.answers(again, ids), dtype)
    del again
    gc.collect()
    quantised = logits(load(open_base(base, dtype, four_bit=True), adapter), ids) if four_bit else None
    found = _compared(str(dtype).removeprefix("torch."), merged, unmerged, quantised)
    _refuse(found)
    return found


def _save(whole: Any, base: Path, folder: Path) -> None:
    """A merged model, and its head where it has one."""
    whole.name_or_path = str(base)  # where its tokenizer lies
    save_checkpoint(whole, folder)
    heads.save(whole, folder)


def _compared(dtype: str, merged: torch.Tensor, unmerged: torch.Tensor, quantised: torch.Tensor | None) -> Fusion:
    difference, top = float((merged - unmerged).abs().max()), float(unmerged.abs().max())
    if quantised is None:
        return Fusion(dtype, difference, top, len(merged), None, None)
    same = float((merged.argmax(-1) == quantised.argmax(-1)).float().mean())
    return Fusion(dtype, difference, top, len(merged), float((merged - quantised).abs().max()), same)


def _refuse(found: Fusion) -> None:
    """Only by what rounding explains: what 4 bits change is no fault of the merging, and stands in the card."""
    if not found.difference <= found.top * BOUND[found.dtype]:
        raise RuntimeError(
            f"the merged weights give other logits than the adapter on its base (by {found.difference:g}, of "
            f"{found.top:g}); nothing is kept. Export without --merge"
        )


def _refuse_other_head(told: torch.Tensor, read: torch.Tensor, dtype: torch.dtype) -> None:
    apart, top = float((told - read).abs().max()), max(1.0, float(told.abs().max()))
    if not apart <= top * BOUND[str(dtype).removeprefix("torch.")]:
        raise RuntimeError(
            f"on the merged weights the head gives other scores (by {apart:g}, of {top:g}); nothing is kept. Export "
            f"without --merge"
        )


def _own_dtype(base: Path) -> torch.dtype:
    """As config.json says, float32 where it says nothing. BadInput: one into which nothing can be added."""
    said: dict[str, Any] = json.loads((base / "config.json").read_text("utf-8"))
    name = str(said.get("dtype") or said.get("torch_dtype") or "float32").removeprefix("torch.")
    if name not in BOUND:
        raise BadInput(f"--merge: {base}/config.json has dtype {name}; only {', '.join(BOUND)} can be merged into")
    dtype: torch.dtype = getattr(torch, name)
    return dtype
