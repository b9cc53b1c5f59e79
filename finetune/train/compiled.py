"""The small products of a decoder's layers by torch's compiler: norms, and the gate of each MLP.

Between the large products, which no compiler makes faster, torch runs each addition, power and cast as a kernel of its
own over tensors as wide as the layer. Compiled, a norm is one kernel each way, and so is the gate. Attention and the
adapters stay as they are: theirs are kernels already. Parameters keep their names, so that adapters and checkpoints do
too.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import torch

from finetune.mistakes import BadInput

PROVEN = ("llama", "qwen2", "qwen3")  # whose norms and MLPs are as here


def refuse_uncompiled(config: Any, device: torch.device, *, split: bool) -> None:
    """BadInput: `config` (transformers) is of another architecture, the base is split, or nothing compiles here."""
    import torch._dynamo.config as compiler

    remedy = "or leave train.compile out"
    if split:
        raise BadInput(f"train.compile: not built for FSDP or DeepSpeed, which take weights apart; use DDP, {remedy}")
    if config.model_type not in PROVEN:
        raise BadInput(f"train.compile: {config.model_type} is not among {', '.join(PROVEN)}; leave it out")
    if compiler.disable:
        raise BadInput(f"train.compile: TORCHDYNAMO_DISABLE is set, so nothing would be compiled; unset it, {remedy}")
    try:
        _compiled()(torch.nn.SiLU(), *torch.ones(2, 8, device=device))
    except Exception as fault:  # the compiler's own, of which there are many
        said = (str(fault).strip() or type(fault).__name__).partition("\n")[0]
        raise BadInput(f"train.compile: nothing compiles here ({said}); install what it lacks, {remedy}") from None


def fuse(model: Any) -> None:
    """Let the layers of a transformers causal model run their norms and gates so from now on."""
    decoder, gated = model.get_decoder(), _compiled()
    for part in decoder.modules():
        if type(part).__name__.endswith("RMSNorm"):
            part.compile(dynamic=True)
    for layer in decoder.layers:
        layer.mlp.forward = partial(_mlp, gated, layer.mlp)


def _mlp(gated: Any, mlp: Any, x: Any) -> Any:
    return mlp.down_proj(gated(mlp.act_fn, mlp.gate_proj(x), mlp.up_proj(x)))


@lru_cache(maxsize=1)
def _compiled() -> Any:
    return torch.compile(_gated, dynamic=True)


def _gated(act: Any, gate: Any, up: Any) -> Any:
    return act(gate) * up
