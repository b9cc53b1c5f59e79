"""Products with frozen weights, by the library that is fastest at them on this processor.

torch hands float32 products to MKL, which on processors that are not Intel's leaves AVX-512 unused; oneDNN, which torch
carries too, uses it wherever it is. On an AMD EPYC of the fourth generation its products of 740 tokens took 7 to 11 %
less time, and an output head's a third less (shapes of `tests/benchmarks/material.py`, one thread). Sums differ by
rounding alone (oneDNN's are one chain, so their error is up to twice that of MKL's). Training takes it for a LoRA's
frozen weights (`finetune.train.beside`) and a frozen output head, scoring for every plain linear layer.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from types import MethodType
from typing import Any

import torch
from torch.nn.functional import linear

CPUINFO = Path("/proc/cpuinfo")
WORTH = 2**23  # multiplications of a layer's forward: with fewer, the longer way to oneDNN costs more than it saves


def product(x: Any, weight: Any, bias: Any = None) -> Any:
    """x W' + bias of inputs [..., in] and a weight [out, in]. oneDNN's has no way back for autograd."""
    if x.dtype == torch.float32 == weight.dtype and x.device.type == "cpu" and x.numel() and _better_with_onednn():
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return linear(x, weight, bias)


def adopt(model: Any) -> None:
    """Let plain linear layers on a processor multiply so in inference mode; elsewhere they are as they were.

    Layers whose forward is another's already (quantised ones, offloaded ones, those adopted before) are left alone.
    """
    if not _better_with_onednn():
        return
    for layer in model.modules():
        if type(layer) is torch.nn.Linear and type(layer.weight.data) is torch.Tensor and "forward" not in vars(layer):
            layer.forward = MethodType(_forward, layer)  # type: ignore[method-assign]


def _forward(layer: Any, x: Any) -> Any:
    worth = torch.is_inference_mode_enabled() and x.numel() * layer.out_features >= WORTH
    return (product if worth else linear)(x, layer.weight, layer.bias)


@lru_cache(maxsize=1)
def _better_with_onednn() -> bool:
    """Whether the processor is AMD's with AVX-512, and this torch has oneDNN's product and would have taken MKL's."""
    known = hasattr(torch.ops.mkldnn, "_linear_pointwise") and torch.backends.mkl.is_available()
    wide = torch.backends.cpu.get_cpu_capability() == "AVX512"
    return known and wide and CPUINFO.is_file() and "AuthenticAMD" in CPUINFO.read_text("utf-8", errors="replace")
