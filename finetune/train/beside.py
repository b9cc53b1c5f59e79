"""A LoRA beside its layer in one product each way, for the time of a training step.

PEFT multiplies the low-rank product out, scales it and adds it to the layer's output, and autograd does as much on the
way back: four passes over tensors as wide as the layer, which do no arithmetic worth the name. Here the second product
adds itself to the output, and on the way back to the gradient of the input (BLAS's own `C += alpha A B`). Where PEFT's
own forward must stand (dropout, DoRA, a base in 4 bits, weights that are split among devices) it stands, but reads its
inputs as they come.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any

import torch
from torch.nn.functional import linear

from finetune.product import product


class Beside(torch.autograd.Function):
    """x W' + bias + scale x A' B' of inputs [..., in], with weight [out, in], a [rank, in] and b [out, rank].

    Weight and bias are frozen. The gradients of a and b come in their own precision.
    """

    @staticmethod
    def forward(ctx: Any, x: Any, weight: Any, bias: Any, a: Any, b: Any, scale: float) -> Any:
        out = product(x, weight, bias)
        x, a, b = (tensor.to(out.dtype) for tensor in (x, a, b))  # autocast's precision, where there is one
        low = linear(x, a)
        out.view(-1, out.shape[-1]).addmm_(low.flatten(0, -2), b.t(), alpha=scale)  # a copy would be lost in silence
        ctx.save_for_backward(x, weight, a, b, low)
        ctx.scale = scale
        return out

    @staticmethod
    def backward(ctx: Any, *asked: Any) -> Any:
        x, weight, a, b, low = ctx.saved_tensors
        gradient, inputs, low = (tensor.flatten(0, -2) for tensor in (asked[0], x, low))
        below = (gradient @ b).mul_(ctx.scale)
        whole = None
        if ctx.needs_input_grad[0]:
            whole = product(gradient, weight.t()).addmm_(below, a).view(x.shape)
        return whole, None, None, below.t() @ inputs, (gradient.t() @ low).mul_(ctx.scale), None


@contextmanager
def beside(model: Any) -> Iterator[None]:
    """Within, LoRAs that can run beside their layers do, in one product. A model without one is left as it is.

    Others read their inputs as they come: PEFT brings each to the adapter's float32 and autocast back to half
    precision, which changes no bit, but every layer makes and keeps a copy. DoRA's norms take their precision from
    that cast, so there it stays.
    """
    layers = [part for part in model.modules() if getattr(part, "cast_input_dtype_enabled", False)]
    plain = [layer for layer in layers if not getattr(layer, "lora_variant", None)]
    for layer in plain:
        layer.cast_input_dtype_enabled = False
        if _fusible(layer):
            layer.forward = MethodType(_forward, layer)
    try:
        yield
    finally:
        for layer in plain:
            layer.cast_input_dtype_enabled = True
            layer.__dict__.pop("forward", None)


def _fusible(layer: Any) -> bool:
    """One plain LoRA on one plain linear layer whose whole weight is here."""
    base, active = layer.base_layer, list(layer.active_adapters)
    if hasattr(base.weight, "ds_id"):  # of ZeRO-3, which gathers it for its own layer's forward alone
        return False
    if type(base) is not torch.nn.Linear or type(base.weight.data) is not torch.Tensor or not base.weight.numel():
        return False
    if layer.merged or layer.disable_adapters or len(active) != 1 or layer.lora_bias[active[0]]:
        return False
    return isinstance(layer.lora_dropout[active[0]], torch.nn.Identity)


def _forward(layer: Any, x: Any) -> Any:
    (name,), base = layer.active_adapters, layer.base_layer
    a, b = layer.lora_A[name].weight, layer.lora_B[name].weight
    return Beside.apply(x, base.weight, base.bias, a, b, layer.scaling[name])
