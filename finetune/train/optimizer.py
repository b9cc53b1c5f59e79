"""The optimizer by its name in the recipe, and its state as named tensors: exact, and with no pickle to read back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from finetune.recipe import Train
from finetune.world import need_bitsandbytes

Named = Mapping[str, torch.Tensor]


def build(named: Named, knobs: Train, rate: float) -> torch.optim.Optimizer:
    """Over the trainable parameters by name. BadInput: one in 8 bits without bitsandbytes."""
    groups = _groups(named, knobs.weight_decay)
    if knobs.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=rate)
    need_bitsandbytes(f"train.optimizer: {knobs.optimizer}")
    from bitsandbytes.optim import AdamW8bit, PagedAdamW8bit

    # Pages move between a device and its host; where the host is the device there is nowhere to move them.
    paged = knobs.optimizer == "paged_adamw_8bit" and groups[0]["params"][0].device.type != "cpu"
    found: torch.optim.Optimizer = (PagedAdamW8bit if paged else AdamW8bit)(groups, lr=rate)
    return found


def _groups(named: Named, decay: float) -> list[dict[str, Any]]:
    """Matrices are pulled towards zero, norms, biases and other vectors are not, as in BERT (Devlin et al. 2018, their
    code) and in transformers' Trainer."""
    matrices, vectors = ([each for each in named.values() if (each.ndim < 2) == flat] for flat in (False, True))
    groups = ({"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0})
    return [group for group in groups if group["params"]]


def tensors(optimizer: torch.optim.Optimizer, named: Named) -> dict[str, torch.Tensor]:
    """The state by `<slot>/<parameter>`; what one step needs of all before it."""
    return {
        f"{slot}/{name}": torch.as_tensor(value)
        for name, parameter in named.items()
        for slot, value in _slots(optimizer, parameter)
    }


def restore(optimizer: torch.optim.Optimizer, named: Named, saved: Mapping[str, torch.Tensor]) -> None:
    """Put back what `tensors` took, bit for bit, into an optimizer that has not stepped yet."""
    for index, (name, parameter) in enumerate(named.items()):
        state = {key.partition("/")[0]: saved[key] for key in saved if key.partition("/")[2] == name}
        if state and hasattr(optimizer, "init_state"):  # bitsandbytes, whose buffers may be pages of their own kind
            _fill(optimizer, index, parameter, state)
        elif state:  # torch, which counts its steps on the processor
            moved = {slot: value if slot == "step" else value.to(parameter.device) for slot, value in state.items()}
            optimizer.state[parameter] = moved


def _fill(optimizer: Any, index: int, parameter: torch.Tensor, state: Mapping[str, torch.Tensor]) -> None:
    group = next(each for each in optimizer.param_groups if any(own is parameter for own in each["params"]))
    optimizer.init_state(group, parameter, 0, index)
    for slot, buffer in _slots(optimizer, parameter):
        if isinstance(buffer, torch.Tensor):
            buffer.copy_(state[slot])
        else:
            optimizer.state[parameter][slot] = int(state[slot])


def _slots(optimizer: torch.optim.Optimizer, parameter: torch.Tensor) -> Iterator[tuple[str, Any]]:
    """Without bitsandbytes' tables of the 256 values, which are of its code and shared by all parameters."""
    held = optimizer.state.get(parameter, {})
    return ((slot, value) for slot, value in list(held.items()) if not slot.startswith("qmap"))
