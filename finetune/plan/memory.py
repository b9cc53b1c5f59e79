"""Bytes of tuning: weights, trainable state, activations, logits, overhead. Counted by hand; nothing is run.

    total = (weights + state + activations + logits) x MARGIN + context

Activations of a token in a layer are sums of widths (h hidden, a query, k key, f intermediate), kept for the backward
pass. Two stacks are known: `fused` is the usual count of fused trainers, 4h + 3a + 3k + 4f numbers with adapters on
every linear layer and 2h + 2a + 2k + 3f under a frozen layer without (Korthikanti et al. 2022, arXiv 2205.05198, for
gated MLPs and a fused attention kernel); `here` is what this engine keeps, counted tensor by tensor on transformers
5.23 with PEFT 0.21 (tests/test_plan.py counts again). With checkpointing a layer keeps its input only, and one layer at
a time is made anew.

Against the 20 published peaks that state model, method and tokens, the total lies between 8 % below and 24 % above
(tests/test_plan.py; the fused stack). It misses, and is not mended row by row: unsloth with rows of 16k and 32k, which
lends checkpoints to the host (30 % above); LongLoRA's LoRA under ZeRO-2, whose buckets are not counted (15 % below).
"""

from dataclasses import dataclass
from typing import Literal

from finetune.plan.share import Share
from finetune.shape import Shape

GIB = 1 << 30
MARGIN = 1.08  # fragments, temporaries, workspace: 5 to 10 % by what others report
CONTEXT = 0.7 * GIB  # the driver's own, on an accelerator
CHUNK = 1024  # targets whose logits stand at once, as finetune.train has it
LOGIT_BYTES = 12  # in float32: log-probabilities, their gradient, the logits' gradient
UNCHUNKED_BYTES = 8  # a token and entry: bf16 logits, a float32 copy, the gradient

Base = Literal["bfloat16", "float32", "int8", "nf4", "nf4_double"]
# Bytes of one weight of a linear layer. NF4 holds a float32 scale for 64 weights, which double quantization brings from
# 0.5 bit a weight to 0.127 (Dettmers et al. 2023, arXiv 2305.14314, 3); int8 has one for a row, too little to count.
LINEAR_BYTES: dict[Base, float] = {
    "bfloat16": 2.0, "float32": 4.0, "int8": 1.0, "nf4": 0.5 + 0.5 / 8, "nf4_double": 0.5 + 0.127 / 8,
}  # fmt: skip
# Numbers kept for a token in a layer, as multiples of (h, a, k, f).
Widths = tuple[float, float, float, float]
FUSED: dict[str, Widths] = {"adapters": (4, 3, 3, 4), "frozen": (2, 2, 2, 3), "weights": (4, 3, 3, 4)}
# This engine in float32, and what bfloat16 under autocast adds: norms in float32. Of packed rows attention gathers each
# text, where no flash kernel takes the row as it lies; the padding of these copies, at most 15 % of 2a + 2k, is left to
# MARGIN.
HERE: dict[str, Widths] = {"adapters": (4, 2, 2, 4), "frozen": (2, 4, 0, 3), "weights": (6, 2, 2, 4)}
HERE_MIXED: dict[str, Widths] = {"adapters": (6, 2, 2, 4), "frozen": (4, 4, 0, 3), "weights": (8, 2, 2, 4)}
PACKED: dict[str, Widths] = {"adapters": (4, 3, 2, 4), "frozen": (2, 4.5, 0, 3), "weights": (6, 3, 2, 4)}
PACKED_MIXED: dict[str, Widths] = {"adapters": (6, 3, 2, 4), "frozen": (4, 4.5, 0, 3), "weights": (8, 3, 2, 4)}


@dataclass(frozen=True)
class Sheet:
    """The largest forward pass of a run, and how it is taken."""

    tokens: int  # in all its rows
    width: int  # of its longest text
    checkpointing: bool = False
    packed: bool = True  # several texts in a row, each attending to itself alone
    targets: int | None = None  # tokens with a loss; all of them where None
    labels: int = 0  # of a classification head, which is scored in place of the vocabulary; 0: there is none


@dataclass(frozen=True)
class Memory:
    """Bytes of one device at the peak of tuning."""

    weights: float
    state: float
    activations: float
    logits: float
    context: float = CONTEXT

    @property
    def held(self) -> float:
        """What a run's own allocations come to, fragments and temporaries included."""
        return (self.weights + self.state + self.activations + self.logits) * MARGIN

    @property
    def total(self) -> float:
        return self.held + self.context


def weight_bytes(shape: Shape, base: Base) -> float:
    """The whole base: linear layers as `base` holds them; embedding, head, norms and biases stay in 16 bits or more."""
    linear = shape.layers * shape.linear_weights
    return linear * LINEAR_BYTES[base] + (shape.parameters - linear) * (4 if base == "float32" else 2)


def cache_bytes(shape: Shape, base: Base = "bfloat16") -> int:
    """Key/value cache of one token."""
    return shape.cache_width * (4 if base == "float32" else 2)


def activation_bytes(
    shape: Shape, kept: str, *, base: Base = "bfloat16", fused: bool = False, packed: int = 0
) -> float:
    """Of one token in one layer; `kept` is adapters, frozen or weights, `packed` the longest text of a packed row."""
    wide = 4 if base == "float32" else 2
    if fused:
        return wide * _sum(shape, FUSED[kept])
    tables = (PACKED, PACKED_MIXED) if packed else (HERE, HERE_MIXED)
    numbers = _sum(shape, tables[base != "float32"][kept])
    if packed and kept == "frozen":  # every layer joins the prefix to each text, under a mask of its own
        numbers += packed
    if shape.qk_norm:
        normed = (1 if base == "float32" else 2) + (kept == "weights")
        numbers += normed * (shape.query + shape.key)
    return wide * numbers


def _sum(shape: Shape, widths: Widths) -> float:
    h, a, k, f = widths
    return h * shape.hidden + a * shape.query + k * shape.key + f * shape.intermediate


def checkpoint_bytes(shape: Shape, base: Base = "bfloat16") -> int:
    """What one token leaves in all layers together with checkpointing: each layer's input."""
    return shape.hidden * shape.layers * (4 if base == "float32" else 2)


def memory(
    shape: Shape, share: Share, base: Base, sheet: Sheet, *,
    fused: bool = False, chunked: bool = True, split: int = 1, context: float = CONTEXT,
) -> Memory:  # fmt: skip
    """The peak of one device. `split`: over so many devices the frozen layers are divided (FSDP), two of them gathered
    at a time. `fused` and `chunked=False` describe other trainers."""
    packed = sheet.width if sheet.packed else 0
    layer = activation_bytes(shape, share.kept, base=base, fused=fused, packed=packed)
    depth = share.layers
    if sheet.checkpointing:
        activations = (checkpoint_bytes(shape, base) * depth / shape.layers + layer) * sheet.tokens
    else:
        activations = layer * depth * sheet.tokens
    targets = sheet.tokens if sheet.targets is None else sheet.targets
    entries = min(targets, CHUNK) * (0 if fused else LOGIT_BYTES) if chunked else targets * UNCHUNKED_BYTES
    weights = weight_bytes(shape, base)
    if split > 1:
        in_layers = shape.layers * shape.linear_weights * LINEAR_BYTES[base]
        weights += in_layers * (1 / split + 2 / shape.layers - 1)
    return Memory(weights, share.state_bytes, activations, entries * (sheet.labels or shape.vocab), context)
