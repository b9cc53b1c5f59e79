"""The loss of packed rows: the decoder over all of them, the output head at target positions alone."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from finetune.methods import heads
from finetune.methods.lora import causal
from finetune.product import through
from finetune.segments import Segments
from finetune.train.packing import Sheet

CHUNK = 1024  # targets whose logits stand in memory at once: 0.6 GB in float32 at 152k entries


def sheet_loss(model: Any, sheet: Sheet, device: torch.device) -> torch.Tensor:
    """Sum of the cross entropy over a sheet's targets, nats. The output head runs at target positions only.

    The cross entropy is over the vocabulary, or over the labels of the model's classification head, if it has one.
    """
    head, layer = causal(model).get_output_embeddings(), heads.of(model)
    keep, labels = (torch.from_numpy(part).to(device) for part in (sheet.keep, sheet.labels))
    hidden = states(model, sheet, device, asked=keep)
    with _autocast(head, device):
        return _chunked(
            partial(heads.classify, layer) if layer else partial(through, head), hidden.flatten(0, 1)[keep], labels
        )


def states(model: Any, sheet: Sheet, device: torch.device, *, asked: torch.Tensor | None = None) -> torch.Tensor:
    """Last hidden states of a sheet, [rows, length, width]: as training makes them, before the output head.

    With `asked`, places in the flattened ids, and a model that is narrowed (`narrow`), only those are made.
    """
    inner = causal(model)
    ids, positions = (torch.from_numpy(part).to(device) for part in (sheet.ids, sheet.positions))
    with _autocast(inner.get_output_embeddings(), device):
        parts: dict[str, Any] = {"segments": Segments.of(sheet.lengths, device)} if sheet.lengths else {}
        parts |= {} if asked is None else {"asked": asked}
        found = inner.get_decoder()(input_ids=ids, position_ids=positions, use_cache=False, **parts)
    hidden: torch.Tensor = found.last_hidden_state
    return hidden


def _autocast(head: Any, device: torch.device) -> torch.autocast:
    half = next(head.parameters()).dtype == torch.bfloat16
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=half)


def _chunked(head: Any, hidden: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross entropy of [n, width] against [n] in pieces, whose logits are made again in the backward pass."""

    def piece(part: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(head(part).float(), wanted, reduction="sum")

    if len(labels) <= CHUNK:
        return piece(hidden, labels)
    pieces = zip(hidden.split(CHUNK), labels.split(CHUNK), strict=True)
    losses = [checkpoint(piece, part, wanted, use_reentrant=False) for part, wanted in pieces]
    return torch.stack(losses).sum()
