"""Tiny models with an adapter, LoRA and every form of a trained prompt, far from its start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from finetune.methods import LoRA, PTuningV1, PTuningV2, adapter_parameters

ARCHES = ("qwen2", "llama", "qwen3")
LENGTH = 7
FORMS: dict[str, Any] = {
    "direct": PTuningV2(virtual_tokens=LENGTH),
    "reencoded": PTuningV2(virtual_tokens=LENGTH, reencoder=24),
    "mlp": PTuningV1(virtual_tokens=LENGTH, encoder_hidden=24),
    "lstm": PTuningV1(virtual_tokens=LENGTH, encoder_hidden=24, encoder="lstm"),
}
ADAPTERS: dict[str, Any] = {"lora": LoRA(rank=4), **FORMS}
FAR = {"direct": 1.0, "lora": 0.03}  # how far from its start; the other forms 0.3
every_arch = pytest.mark.parametrize("arch", ARCHES)
every_form = pytest.mark.parametrize("form", list(FORMS))
every_adapter = pytest.mark.parametrize("form", list(ADAPTERS))
# PEFT itself asks transformers by a name that is to go; nothing of ours does.


def fresh(folder: Path, **options: Any) -> Any:
    options = {"dtype": torch.float32, **options}
    return AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, **options)


def tokenizer_of(folder: Path) -> Tokenizer:
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def prompted(folder: Path, form: str, **options: Any) -> Any:
    """The checkpoint with an adapter that is far from any start."""
    return moved(fresh(folder, **options), folder, form)


def moved(model: Any, folder: Path, form: str) -> Any:
    """`model` with an adapter attached and moved by seeded draws: a prompt by some as large as its weights."""
    model = ADAPTERS[form].attach(model, tokenizer=tokenizer_of(folder), seed=0)
    draw = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for tensor in adapter_parameters(model).values():
            tensor += FAR.get(form, 0.3) * torch.randn(tensor.shape, generator=draw)
    return model.eval()


def rows(batch: int = 3, length: int = 20, seed: int = 1) -> torch.Tensor:
    return torch.randint(10, 470, (batch, length), generator=torch.Generator().manual_seed(seed))


def left_padded() -> tuple[torch.Tensor, torch.Tensor]:
    """Three rows of 13, 17 and 20 real tokens."""
    ids, mask = rows(), torch.ones(3, 20, dtype=torch.long)
    mask[0, :7] = mask[1, :3] = 0
    return ids, mask


def gap(one: torch.Tensor, other: torch.Tensor) -> float:
    """Largest difference, as a share of the largest value where that is above 1 (the bare base is 6e-7 off itself)."""
    return (one - other).abs().max().item() / max(1.0, other.abs().max().item())


def gradients(model: Any, ids: torch.Tensor, mode: str | None) -> tuple[float, dict[str, torch.Tensor]]:
    """Loss of a training forward, and the gradients of all that has one; `mode` of checkpointing, or none."""
    if mode is not None:
        # The name was changed in transformers 5.2x; the older one warns where the newer one is.
        switch = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
        switch({"use_reentrant": mode == "reentrant"})
        model.enable_input_require_grads()
    model.train()
    loss = model(input_ids=ids, labels=ids, use_cache=False).loss
    loss.backward()
    return loss.item(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
