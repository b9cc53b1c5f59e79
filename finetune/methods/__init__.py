"""Ways to tune a model, one file each: its knobs, what it refuses, how it is attached, saved and loaded.

Every method but full tuning writes the folder that PEFT writes (adapter_config.json, adapter_model.safetensors), so
that an adapter made here loads in plain PEFT, and one made elsewhere by PEFT loads here. Full tuning writes a whole
checkpoint, which plain transformers loads; one tuned elsewhere loads here too. A classification head (`heads`) has two
files of its own beside either.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from finetune.files import digest_of, file_digest
from finetune.methods import full, heads, lora, prefix, ptuning_v1, ptuning_v2
from finetune.methods.full import Full
from finetune.methods.lora import LoRA
from finetune.methods.ptuning_v1 import PTuningV1
from finetune.methods.ptuning_v2 import PTuningV2
from finetune.methods.search import Knobs, SearchFacts, declared, settled, trials
from finetune.mistakes import BadInput

__all__ = [
    "METHODS",
    "AnyMethod",
    "Full",
    "Knobs",
    "LoRA",
    "PTuningV1",
    "PTuningV2",
    "SearchFacts",
    "adapter_digest",
    "adapter_norm",
    "adapter_parameters",
    "declared",
    "load",
    "restore",
    "settled",
    "shared_rates",
    "trials",
]

METHODS = (LoRA, PTuningV2, PTuningV1, Full)
AnyMethod = Annotated[LoRA | PTuningV2 | PTuningV1 | Full, Field(discriminator="kind")]
PEFT_FILES = ("adapter_config.json", "adapter_model.safetensors")
# By PEFT's own word for the kind of an adapter.
LOADERS = {"LORA": lora.load, "PREFIX_TUNING": ptuning_v2.load, "P_TUNING": ptuning_v1.load}


def load(model: Any, folder: Path, *, trainable: bool = False) -> Any:
    """Put what `folder` holds on `model` (transformers, causal LM): a PEFT adapter, or weights tuned as a whole.

    With the head that it holds, if any. Ready to score, or to train on. BadInput when it is neither, or of another
    kind, or does not fit the model, or its tensors are torn.
    """
    from safetensors import SafetensorError

    try:
        loaded = _load(model, folder, trainable=trainable)
        heads.load(loaded, folder, trainable=trainable)
    except SafetensorError as fault:
        raise BadInput(f"adapter {folder}: its tensors cannot be read ({fault}); fetch the folder again") from None
    return loaded


def _load(model: Any, folder: Path, *, trainable: bool) -> Any:
    if _content(folder) != PEFT_FILES:
        return full.load(model, folder, trainable=trainable)
    try:
        found = json.loads((folder / "adapter_config.json").read_text("utf-8"))["peft_type"]
    except (ValueError, KeyError, TypeError) as fault:
        raise BadInput(f"{folder}/adapter_config.json: no peft_type to be read ({fault!r})") from None
    if found not in LOADERS:
        raise BadInput(f"{folder}/adapter_config.json: peft_type {found} is not among {', '.join(LOADERS)}")
    return LOADERS[found](model, folder, trainable=trainable)


def adapter_digest(folder: Path) -> str:
    """sha256 over configuration and tensors of an adapter, or of a whole checkpoint, and of a head with it.

    BadInput when it is neither.
    """
    return digest_of([file_digest(folder / name) for name in (*_content(folder), *heads.files(folder))])


def _content(folder: Path) -> tuple[str, ...]:
    """Names of the files that decide: PEFT_FILES, or a checkpoint's config.json and weights."""
    missing = [name for name in PEFT_FILES if not (folder / name).is_file()]
    if not missing:
        return PEFT_FILES
    weights = full.weight_files(folder)
    if missing == list(PEFT_FILES) and (folder / "config.json").is_file() and weights:
        return ("config.json", *(path.name for path in weights))
    raise BadInput(f"adapter {folder}: no {' and no '.join(missing)}; a PEFT folder with safetensors is needed")


def adapter_parameters(model: Any) -> dict[str, Any]:
    """The trained or loaded parameters by name, in the model's order; empty for a bare model.

    Of full tuning all that were trained, of any other method the adapter's own; of either the head's too.
    """
    whole, marks = full.noted(model), (*lora.MARKS, *prefix.MARKS, heads.MARK)
    if whole is not None:
        own = {*whole.names, *(name for name, _ in model.named_parameters() if name.startswith(heads.MARK))}
        return {name: tensor for name, tensor in model.named_parameters() if name in own}
    return {name: tensor for name, tensor in model.named_parameters() if any(mark in name for mark in marks)}


def adapter_norm(model: Any) -> float:
    """L2 norm of a loaded adapter's tensors, or of the change where every weight was tuned; 0 for a bare model."""
    import torch

    whole = full.noted(model)
    if whole is not None:
        return whole.change
    norms = [tensor.detach().float().norm() for tensor in adapter_parameters(model).values()]
    return float(torch.stack(norms).norm()) if norms else 0.0


def shared_rates(methods: Mapping[str, AnyMethod]) -> list[str]:
    """A line for each learning rate that contenders with methods of unlike rates share: one of them looks bad by it."""
    lines, fixed = [], {name: method for name, method in methods.items() if "learning_rate" not in declared(method)}
    for rate in dict.fromkeys(method.learning_rate for method in fixed.values()):
        sharing = {name: method for name, method in fixed.items() if method.learning_rate == rate}
        own = {method.kind: _own_rate(method) for method in sharing.values()}
        if len(set(own.values())) > 1:
            lines.append(
                f"learning rate {rate:g} is shared by {', '.join(sharing)}, whose methods want unlike ones "
                f"({', '.join(f'{kind} {wanted:g}' for kind, wanted in own.items())} by default): what is measured may "
                f"be the rate; leave method.learning_rate out, or choose one for each"
            )
    return lines


def _own_rate(method: AnyMethod) -> float:
    """The rate a method has where none is given."""
    return type(method)(**method.model_dump(exclude={"learning_rate", "search"})).learning_rate


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
