"""Ways to tune a model, one file each: its knobs, what it refuses, how it is attached, saved and loaded.

Every method writes the folder that PEFT writes (adapter_config.json, adapter_model.safetensors), so that an adapter
made here loads in plain PEFT, and one made elsewhere by PEFT loads here.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from finetune.files import digest_of, file_digest
from finetune.methods import lora, ptuning_v2
from finetune.methods.lora import LoRA
from finetune.methods.ptuning_v2 import PTuningV2
from finetune.mistakes import BadInput

__all__ = [
    "METHODS",
    "AnyMethod",
    "LoRA",
    "PTuningV2",
    "adapter_digest",
    "adapter_parameters",
    "load",
    "restore",
    "shared_rates",
]

METHODS = (LoRA, PTuningV2)
AnyMethod = Annotated[LoRA | PTuningV2, Field(discriminator="kind")]
LOADERS = {"LORA": lora.load, "PREFIX_TUNING": ptuning_v2.load}  # by PEFT's own word for the kind of an adapter


def load(model: Any, folder: Path, *, trainable: bool = False) -> Any:
    """Put the adapter of a PEFT folder on `model` (transformers, causal LM); ready to score, or to train on.

    BadInput when the folder is no PEFT folder, or its adapter is of another kind or does not fit the model.
    """
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        if not (folder / name).is_file():
            raise BadInput(f"{folder}: no {name}; a PEFT folder with safetensors is needed")
    try:
        found = json.loads((folder / "adapter_config.json").read_text("utf-8"))["peft_type"]
    except (ValueError, KeyError, TypeError) as fault:
        raise BadInput(f"{folder}/adapter_config.json: no peft_type to be read ({fault!r})") from None
    if found not in LOADERS:
        raise BadInput(f"{folder}/adapter_config.json: peft_type {found} is not among {', '.join(LOADERS)}")
    return LOADERS[found](model, folder, trainable=trainable)


def adapter_digest(folder: Path) -> str:
    """sha256 over an adapter folder's configuration and tensors. BadInput when it is not a PEFT folder."""
    names = ("adapter_config.json", "adapter_model.safetensors")
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise BadInput(f"adapter {folder}: no {' and no '.join(missing)}; a PEFT folder with safetensors is needed")
    return digest_of([file_digest(folder / name) for name in names])


def adapter_parameters(model: Any) -> dict[str, Any]:
    """The adapter's own parameters by name, trainable or loaded, in the model's order; empty for a bare model."""
    marks = (*lora.MARKS, *ptuning_v2.MARKS)
    return {name: tensor for name, tensor in model.named_parameters() if any(mark in name for mark in marks)}


def shared_rates(methods: Mapping[str, AnyMethod]) -> list[str]:
    """A line for each learning rate that contenders with methods of unlike rates share: one of them looks bad by it."""
    lines = []
    for rate in dict.fromkeys(method.learning_rate for method in methods.values()):
        sharing = {name: method for name, method in methods.items() if method.learning_rate == rate}
        own = {method.kind: type(method)().learning_rate for method in sharing.values()}
        if len(set(own.values())) > 1:
            lines.append(
                f"learning rate {rate:g} is shared by {', '.join(sharing)}, whose methods want unlike ones "
                f"({', '.join(f'{kind} {wanted:g}' for kind, wanted in own.items())} by default): what is measured may "
                f"be the rate; leave method.learning_rate out, or choose one for each"
            )
    return lines


def restore(model: Any, tensors: Mapping[str, Any]) -> None:
    """Copy tensors saved from `adapter_parameters` back, in place (an optimizer keeps its hold on them).

    BadInput, with nothing copied, when a name is missing, unknown or of another shape.
    """
    import torch

    own = adapter_parameters(model)
    for name in sorted(own.keys() ^ tensors.keys()):
        raise BadInput(f"adapter tensor {name}: {'not saved' if name in own else 'not in this model'}")
    for name, parameter in own.items():
        if parameter.shape != tensors[name].shape:
            raise BadInput(f"adapter tensor {name}: saved as {list(tensors[name].shape)}, is {list(parameter.shape)}")
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(tensors[name])
