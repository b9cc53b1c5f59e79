"""The loss of packed rows: the decoder over all of them, the output head at target positions alone.

A frozen head has no gradient of its own, and the loss is a sum: what it asks of the states is known as soon as its
logits are, and made at once in their place. No logits are kept, nothing is made again on the way back.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from finetune.methods import heads
from finetune.methods.lora import causal
from finetune.product import product
from finetune.segments import Segments
from finetune.train.packing import Sheet

CHUNK = 1024  # targets whose logits stand in memory at once: 0.6 GB in float32 at 152k entries
LOG2E = math.log2(math.e)  # powers of two, for torch takes them three times faster than those of e


def sheet_loss(model: Any, sheet: Sheet, device: torch.device) -> torch.Tensor:
    """Sum of the cross entropy over a sheet's targets, nats. The output head runs at target positions only.

    The cross entropy is over the vocabulary, or over the labels of the model's classification head, if it has one.
    """
    head, layer = causal(model).get_output_embeddings(), heads.of(model)
    keep, labels = (torch.from_numpy(part).to(device) for part in (sheet.keep, sheet.labels))
    hidden = states(model, sheet, device, asked=keep)
    with _autocast(head, device):
        asked = hidden.flatten(0, 1)[keep]
        if layer is None and _frozen(head):
            loss: torch.Tensor = Frozen.apply(asked, head.weight, head.bias, labels)
            return loss
        return _chunked(partial(heads.classify, layer) if layer else head, asked, labels)


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


class Frozen(torch.autograd.Function):
    """Summed cross entropy, nats, of states [n, width] through a frozen head [entries, width] against labels [n]."""

    @staticmethod
    def forward(ctx: Any, states: Any, weight: Any, bias: Any, labels: Any) -> Any:
        total = torch.zeros((), device=states.device)
        below = torch.empty_like(states) if ctx.needs_input_grad[0] else None
        for start in range(0, len(labels), CHUNK):
            piece = slice(start, start + CHUNK)
            logits = product(states[piece], weight, bias).float()
            total += _against(logits, labels[piece, None])
            if below is not None:
                below[piece] = product(logits.to(weight.dtype), weight.t())
        ctx.save_for_backward(below)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *asked: Any) -> Any:
        (below,) = ctx.saved_tensors
        return below * asked[0], None, None, None


def _against(logits: Any, labels: Any) -> Any:
    """Summed cross entropy of [n, entries] against [n, 1]. The logits are overwritten by its gradient."""
    top, right = logits.amax(-1, keepdim=True), logits.gather(-1, labels)
    sums = logits.sub_(top).mul_(LOG2E).exp2_().sum(-1, keepdim=True)
    logits.div_(sums).scatter_add_(-1, labels, torch.full_like(right, -1.0))
    return (sums.log_().add_(top) - right).sum()


def _frozen(head: Any) -> bool:
    """A plain linear layer whose whole weight is here and is not trained."""
    if type(head) is not torch.nn.Linear or head._forward_pre_hooks or head._forward_hooks:
        return False
    weight: Any = head.weight
    return type(weight.data) is torch.Tensor and not hasattr(weight, "ds_id") and not weight.requires_grad
