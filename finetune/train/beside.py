"""LoRAs beside their layers in one product each way, for the time of a training step.

PEFT multiplies the low-rank product out, scales it and adds it to the layer's output, and autograd does as much on the
way back: four passes over tensors as wide as the layer, which do no arithmetic worth the name. Here the second product
adds itself to the output, and on the way back to the gradient of the input (BLAS's own `C += alpha A B`). Layers that
read the same inputs (query, key and value; gate and up) go together: their thin factors make one less thin product, and
what they ask of their inputs is summed in place. Where PEFT's own forward must stand (dropout, DoRA, a base in 4 bits,
weights that are split among devices) it stands, but reads its inputs as they come.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from torch.nn.functional import linear

from finetune.product import product

TOGETHER = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))  # of one module, called in this order


class Base(NamedTuple):
    """What is frozen of a layer, and how much of its LoRA is added."""

    weight: Any  # [out, in]
    bias: Any  # [out] or None
    scale: float


class Beside(torch.autograd.Function):
    """x W' + bias + scale x A' B' of inputs [..., in], for each of the bases that read them: a tuple of [..., out].

    `factors` are their A [rank, in], then their B [out, rank]. Gradients of these come in their own precision.
    """

    @staticmethod
    def forward(ctx: Any, x: Any, bases: Sequence[Base], *factors: Any) -> Any:
        outs = [product(x, base.weight, base.bias) for base in bases]
        x, *thin = (tensor.to(outs[0].dtype) for tensor in (x, *factors))  # autocast's precision, where there is one
        a, bs = torch.cat(thin[: len(bases)]), thin[len(bases) :]
        low = linear(x, a).flatten(0, -2)
        parts = low.split([b.shape[1] for b in bs], -1)
        for out, base, part, b in zip(outs, bases, parts, bs, strict=True):
            out.view(-1, out.shape[-1]).addmm_(part, b.t(), alpha=base.scale)  # a copy would be lost in silence
        ctx.save_for_backward(x, a, low, *bs)
        ctx.bases = bases
        return tuple(outs)

    @staticmethod
    def backward(ctx: Any, *asked: Any) -> Any:
        x, a, low, *bs = ctx.saved_tensors
        gradients, ranks = [part.flatten(0, -2) for part in asked], [b.shape[1] for b in bs]
        below, whole, to_b = torch.empty_like(low), None, []
        sides = zip(gradients, ctx.bases, below.split(ranks, -1), low.split(ranks, -1), bs, strict=True)
        for gradient, base, under, part, b in sides:
            torch.mm(gradient, b, out=under).mul_(base.scale)
            to_b.append((gradient.t() @ part).mul_(base.scale))
            if ctx.needs_input_grad[0]:
                found = product(gradient, base.weight.t())
                whole = found if whole is None else whole.add_(found)
        to_a = (below.t() @ x.flatten(0, -2)).split(ranks)
        to_x = None if whole is None else whole.addmm_(below, a).view(x.shape)
        return to_x, None, *to_a, *to_b


class Siblings:
    """Layers that read the same inputs. The first that is called runs all of them, the others take what is theirs."""

    def __init__(self, layers: Sequence[Any]) -> None:
        self.layers, self.inputs, self.found = tuple(layers), None, dict[Any, Any]()

    def forward(self, layer: Any, x: Any) -> Any:
        if x is not self.inputs or layer not in self.found:
            bases, factors = zip(*map(_parts, self.layers), strict=True)
            outs = Beside.apply(x, bases, *(a for a, _ in factors), *(b for _, b in factors))
            self.inputs, self.found = x, dict(zip(self.layers, outs, strict=True))
        out = self.found.pop(layer)
        if not self.found:
            self.inputs = None
        return out


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
    for group in _groups(model, [layer for layer in plain if _fusible(layer)]):
        for layer in group.layers:
            layer.forward = partial(group.forward, layer)
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


def _groups(model: Any, layers: Sequence[Any]) -> list[Siblings]:
    """The layers, those together that read the same inputs. What hands a layer inputs of its own sets it apart."""
    free = {layer for layer in layers if not layer._forward_pre_hooks}
    groups = list[Siblings]()
    for module in model.modules():
        for names in TOGETHER:
            found = [part for name in names if (part := getattr(module, name, None)) in free]
            groups += [Siblings(found)] if found else []
    grouped = {layer for group in groups for layer in group.layers}
    return groups + [Siblings([layer]) for layer in layers if layer not in grouped]


def _parts(layer: Any) -> tuple[Base, tuple[Any, Any]]:
    (name,), base = layer.active_adapters, layer.base_layer
    factors = layer.lora_A[name].weight, layer.lora_B[name].weight
    return Base(base.weight, base.bias, layer.scaling[name]), factors
