"""What a method trains: how many parameters, the bytes of their state, and what a layer must keep for it.

Known by the `kind` that a recipe says; the rooms of the methods are not asked, so that a plan needs none of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from finetune.mistakes import BadInput
from finetune.shape import Shape

MOMENTS = {"adamw": 8, "adamw_8bit": 2, "paged_adamw_8bit": 2}  # bytes of a parameter: two, in 32 bits or in 8


@dataclass(frozen=True)
class Share:
    """The trained share of a model."""

    parameters: int
    state_bytes: float  # float32 copies, gradients and moments, beside the weights that stand anyway
    kept: str  # for the backward pass, of each layer: adapters, frozen or weights
    layers: int  # through which gradients flow
    flops: int  # of a token and computing weight, forward and backward, without checkpointing


def share(shape: Shape, method: Any, optimizer: str = "adamw", *, mixed: bool = True, labels: int = 0) -> Share:
    """Of a method's knobs (or whatever has a `kind` and them). `mixed`: the base is not in float32; `labels`: of a
    classification head beside it.

    BadInput: a kind that has no plan.
    """
    found, moments = _share(shape, method, MOMENTS[optimizer], mixed), MOMENTS[optimizer]
    head = labels * (shape.hidden + 1)  # weights and biases in float32, with a gradient each
    return replace(found, parameters=found.parameters + head, state_bytes=found.state_bytes + head * (8 + moments))


def _share(shape: Shape, method: Any, moments: int, mixed: bool) -> Share:
    if method.kind in ("lora", "qlora"):
        count = lora_parameters(shape, method.rank, method.targets, dora=getattr(method, "dora", False))
        # A float32 weight and gradient; under autocast a bf16 copy of each weight too.
        return Share(count, count * (8 + moments + (2 if mixed else 0)), "adapters", shape.layers, 4)
    if method.kind == "ptuning_v2":
        count = prefix_parameters(shape, method)
        return Share(count, count * (8 + moments), "frozen", shape.layers, 4)
    if method.kind == "ptuning_v1":
        count = encoder_parameters(shape.hidden, method)
        return Share(count, count * (8 + moments), "frozen", shape.layers, 4)
    if method.kind == "full":
        return _full(shape, method, moments, mixed)
    raise BadInput(
        f"method.kind {method.kind}: no plan of its memory; known are lora, qlora, ptuning_v1, ptuning_v2, full"
    )


def largest(shape: Shape, methods: Sequence[Any]) -> Any:
    """Of several methods (a search's trials) the one that trains most, and so needs the most memory and time."""
    return max(methods, key=lambda method: share(shape, method).parameters)


def _full(shape: Shape, method: Any, moments: int, mixed: bool) -> Share:
    last = getattr(method, "last_layers", None)
    depth = last or shape.layers
    count = last * shape.layer_weights + shape.hidden if last else shape.parameters
    master = mixed and getattr(method, "master", "float32") == "float32"
    # With a float32 copy: that, its gradient and the moments, 18 bytes with the weight (16 in engines that keep no bf16
    # one beside it). Pure: 8, for the moments are bf16 too. In float32 the weight stands already.
    each = 4 + 4 + moments if master else 2 + moments // 2 if mixed else 4 + moments
    return Share(count, count * each, "weights", depth, 6)


def lora_parameters(shape: Shape, rank: int, targets: Any = "all-linear", *, dora: bool = False) -> int:
    """rank (inputs + outputs) of every target, and with DoRA a magnitude for every output (Hu 2021, Liu 2024)."""
    sizes = shape.linears
    named = tuple(sizes) if targets == "all-linear" else tuple(dict.fromkeys(t.rpartition(".")[2] for t in targets))
    head = (shape.hidden, shape.vocab)
    found = shape.layers * sum(_pair(sizes[name], rank, dora) for name in named if name in sizes)
    return found + (_pair(head, rank, dora) if "lm_head" in named else 0)


def _pair(size: tuple[int, int], rank: int, dora: bool) -> int:
    return rank * sum(size) + (size[1] if dora else 0)


def prefix_parameters(shape: Shape, method: Any) -> int:
    """P-Tuning v2's keys and values, or the embedding and MLP that make them (Liu et al. 2021, arXiv 2110.07602)."""
    prefix, inner = shape.cache_width * method.virtual_tokens, getattr(method, "reencoder", None)
    if inner is None:
        return prefix
    return method.virtual_tokens * shape.hidden + (shape.hidden + 1) * inner + (inner + 1) * shape.cache_width


def encoder_parameters(hidden: int, method: Any) -> int:
    """P-Tuning v1's embedding and encoder (Liu et al. 2021, arXiv 2103.10385), of PEFT's shapes."""
    width, prompt = method.encoder_hidden, method.virtual_tokens * hidden
    if method.encoder == "mlp":
        return prompt + hidden * width + width + width * width + width + width * hidden + hidden
    first = 2 * (4 * width * (hidden + width) + 8 * width)  # both directions of a layer, its two biases with it
    second = 2 * (4 * width * (2 * width + width) + 8 * width)
    return prompt + first + second + 4 * width * width + 2 * width + 2 * width * hidden + hidden
