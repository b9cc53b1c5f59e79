"""Full tuning: every weight of the checkpoint, or those of its last layers, is trained; the result is a checkpoint.

Nothing is added to the model, so there is no name that marks what was trained: `attach` and `load` note it on the
model itself (`Noted`). What is saved is no adapter but a whole checkpoint, which plain transformers, and any server,
loads. Weights in bfloat16 lose small updates to rounding (Micikevicius et al. 2017, arXiv 1710.03740, 3.1), so the
loop keeps and steps copies in float32 unless `master` says otherwise.
"""

import json
import math
import shutil
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field

from finetune.methods import heads
from finetune.methods.lora import refuse_second
from finetune.methods.search import FROZEN, SAID, Rates, Sizes, several
from finetune.mistakes import BadInput

NOTE = "full.json"  # in the folder: which layers were trained
SHARD = "5GB"
BESIDE = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "generation_config.json",
)


@dataclass(frozen=True)
class Noted:
    """What full tuning knows of a model, kept at the model as `tuned_whole`."""

    names: frozenset[str]  # parameters trained
    change: float  # L2 norm of trained minus base, over all weights; 0 before training


class FullSearch(BaseModel):
    """Values to be tried of full tuning's knobs."""

    model_config = FROZEN
    learning_rate: Rates = Field((), description="5e-6 to 2e-5, a factor 2 apart")
    last_layers: Sizes = Field((), description="Fewer forget less; the dev loss tells what they still learn")


class Full(BaseModel):
    """Knobs of full tuning."""

    model_config = FROZEN
    kind: Literal["full"] = "full"
    last_layers: int | None = Field(
        None,
        ge=1,
        description="Train the last n decoder layers and the final norm only; embedding and output head stay, tied or"
        " not. Fewer need less memory, learn and forget less; without it every weight is trained",
    )
    master: Literal["float32", "none"] = Field(
        "float32",
        description="bfloat16 weights are stepped as float32 copies: 4 more bytes a weight, and small updates count."
        " none: rounding swallows updates below 1/256 of a weight. No difference on a float32 base",
    )
    learning_rate: float = Field(
        1e-5, gt=0, description="A tenth of LoRA's; 2e-5 for little data, lower for large models; higher forgets"
    )
    search: Annotated[FullSearch | None, AfterValidator(several)] = Field(None, description=SAID)

    def check(self, config: Any) -> None:
        """BadInput when there are fewer layers than are to be trained (transformers configuration)."""
        if self.last_layers and self.last_layers > config.num_hidden_layers:
            raise BadInput(
                f"last_layers: {self.last_layers}, but {config.model_type} here has {config.num_hidden_layers} layers;"
                " leave it out to train every weight"
            )

    def attach(self, model: Any, *, tokenizer: Any, seed: int) -> Any:
        """The same `model` with the weights that are trained noted and trainable, all else frozen; nothing is drawn.

        BadInput when it already carries an adapter, is quantized, or has fewer layers than asked.
        """
        refuse_second(model)
        self.check(model.config)
        return _note(model, self.last_layers, change=0.0, trainable=True)

    def save(self, model: Any, folder: Path, *, base: str) -> None:
        """A whole checkpoint with its tokenizer: the same weights give the same bytes. `base` is its origin's name."""
        save_checkpoint(model, folder)
        (folder / NOTE).write_text(json.dumps({"base": base, "last_layers": self.last_layers}), "utf-8")


def save_checkpoint(model: Any, folder: Path) -> None:
    """The weights of a transformers model and the tokenizer of the folder it was read from, for plain transformers.

    The same weights give the same bytes.
    """
    from transformers import GenerationConfig

    origin, said = Path(model.name_or_path), model.generation_config
    model.generation_config = GenerationConfig()  # a vendor's own may contradict itself and be refused on saving
    with heads.without(model):
        model.save_pretrained(folder, max_shard_size=SHARD)
    model.generation_config = said
    (folder / "generation_config.json").unlink(missing_ok=True)
    for name in BESIDE:
        if (origin / name).is_file():
            shutil.copyfile(origin / name, folder / name)


def load(model: Any, folder: Path, *, trainable: bool = False) -> Any:
    """The same `model` with the weights of the checkpoint in `folder`, in the model's dtype.

    BadInput, with nothing copied, names the weight that is missing, unknown or of another shape.
    """
    import torch
    from safetensors import safe_open

    refuse_second(model)
    own, squares = dict(model.named_parameters()), 0.0
    files = _fitting(folder, own, tied=model.state_dict().keys() - own.keys())
    for path, names in files.items():
        with safe_open(path, framework="pt") as tensors, torch.no_grad():
            for name in names:
                new = tensors.get_tensor(name).to(own[name])
                squares += float((new.float() - own[name].float()).norm()) ** 2
                own[name].copy_(new)
    note = folder / NOTE
    layers = json.loads(note.read_text("utf-8"))["last_layers"] if note.is_file() else None
    return _note(model, layers, change=math.sqrt(squares), trainable=trainable).train(trainable)


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a checkpoint, as its index lists them where there is one. BadInput: one is not there."""
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return sorted(path for path in folder.glob("*.safetensors") if path.name != heads.TENSORS)
    listed = json.loads(index.read_text("utf-8"))["weight_map"].values()
    files = [folder / name for name in sorted(set(listed))]
    for path in files:
        if not path.is_file():
            raise BadInput(f"{folder}: no {path.name}, which {index.name} lists")
    return files


def noted(model: Any) -> Noted | None:
    """What `attach` or `load` noted; None for a model that is not tuned as a whole."""
    return getattr(model, "tuned_whole", None)


def _fitting(folder: Path, own: dict[str, Any], tied: Set[str]) -> dict[Path, list[str]]:
    """File -> the weights to be read from it. A tied weight written twice is taken once, as in transformers."""
    from safetensors import safe_open

    files: dict[Path, list[str]] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for path in weight_files(folder):
        with safe_open(path, framework="pt") as tensors:
            files[path] = [name for name in tensors.keys() if name not in tied]  # noqa: SIM118 (no mapping)
            shapes |= {name: tuple(tensors.get_slice(name).get_shape()) for name in files[path]}
    for name in sorted(own.keys() | shapes.keys()):
        if name not in shapes or name not in own:
            what = "is not in the checkpoint" if name in own else "has no place in this model"
            raise BadInput(f"{folder}: the tuned weights do not fit this model: {name} {what}")
        if shapes[name] != tuple(own[name].shape):
            here = f"{list(shapes[name])} in the checkpoint, {list(own[name].shape)} in this model"
            raise BadInput(f"{folder}: the tuned weights do not fit this model: {name} is {here}")
    return files


def _note(model: Any, last_layers: int | None, *, change: float, trainable: bool) -> Any:
    """Note what is trained; it alone is trainable, if anything is."""
    decoder = model.get_decoder()
    parts = [model] if last_layers is None else [*decoder.layers[-last_layers:], decoder.norm]
    kept = {id(parameter) for part in parts for parameter in part.parameters()}
    chosen = [(name, parameter) for name, parameter in model.named_parameters() if id(parameter) in kept]
    model.requires_grad_(False)
    for name, parameter in chosen:
        if not parameter.is_floating_point():
            raise BadInput(
                f"full: {name} is quantized ({parameter.dtype}) and cannot be tuned; use lora on such a base"
            )
        parameter.requires_grad_(trainable)
    model.tuned_whole = Noted(frozenset(name for name, _ in chosen), change)
    return model
