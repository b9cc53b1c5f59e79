"""A classification head: a linear layer from the decoder's last hidden states to labels, trained beside any method.

P-Tuning v2's return to labels (Liu et al. 2021, arXiv 2110.07602, 3.3): no verbalizer, but a layer drawn at random as
in BERT, its weights normal with the model's own `initializer_range`, its bias zero. It is trained in float32 whatever
the base is in, and kept as head.json and head.safetensors beside the adapter's or the checkpoint's own files.

    sequence    one label a prompt, read at the prompt's last token, where the answer would begin
    token       a tag for each token of the text inside the prompt (`finetune.methods.tagging`)
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from finetune.methods.lora import causal
from finetune.mistakes import BadInput

NOTE, TENSORS = "head.json", "head.safetensors"
PLACE = "label_head"  # the layer's name on the transformers model
MARK = f"{PLACE}."  # in the name of a parameter: it is the head's
Kind = Literal["sequence", "token"]
# As the Hub calls what a model does, by its head.
PIPELINES = {None: "text-generation", "sequence": "text-classification", "token": "token-classification"}


class Head(BaseModel):
    """What a head is, as head.json says it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Kind
    labels: tuple[str, ...] = Field(min_length=2)  # in the order of the layer's outputs
    hidden: int = Field(ge=1)  # width of the model's states


def attach(model: Any, head: Head, seed: int) -> None:
    """Draw the layer by `seed`, the same on every device, and put it on `model` in float32, trainable."""
    import torch

    bare = causal(model)
    layer: Any = torch.nn.Linear(head.hidden, len(head.labels), dtype=torch.float32)
    spread = float(bare.config.initializer_range)
    with torch.no_grad():
        layer.weight.normal_(0.0, spread, generator=torch.Generator().manual_seed(seed))
        layer.bias.zero_()
    _put(bare, layer, head)


def fit(model: Any, wanted: Head | None, seed: int) -> None:
    """Leave on `model` the head that is wanted: none, the one that it brought, or a fresh one where labels are others.

    A prompt trained over several sets is shared by them, the heads are each set's own (Liu et al. 2021, 3.3).
    """
    layer = of(model)
    if layer is not None and (wanted is None or layer.head != wanted):
        delattr(causal(model), PLACE)
        layer = None
    if layer is None and wanted is not None:
        attach(model, wanted, seed)


def of(model: Any) -> Any:
    """The layer, whose `head` says what it is; None where a model has none."""
    return getattr(causal(model), PLACE, None)


def classify(layer: Any, hidden: Any) -> Any:
    """Scores [..., labels] in float32 of states [..., hidden], whatever autocast surrounds it."""
    import torch

    with torch.autocast(hidden.device.type, enabled=False):
        return layer(hidden.float())


def scores(model: Any, ids: Any, positions: Any, mask: Any = None, cache: Any = None) -> Any:
    """Scores [rows, length, labels] at every token of `ids` [rows, length]; without a mask nothing is padding.

    `cache`: keys and values of what was read before, in the form of transformers; `mask` then says what is seen."""
    decoder = causal(model).get_decoder()
    found = decoder(
        input_ids=ids, position_ids=positions, attention_mask=mask, past_key_values=cache, use_cache=cache is not None
    )
    return classify(of(model), found.last_hidden_state)


def answers(model: Any, ids: Sequence[int]) -> Any:
    """Scores [length, labels] of one row, float32 on the CPU; None for a model without a head."""
    import torch

    if of(model) is None:
        return None
    row = torch.tensor([list(ids)], device=next(model.parameters()).device)
    positions = torch.arange(row.shape[1], device=row.device)[None]
    with torch.no_grad():
        return scores(model.eval(), row, positions)[0].cpu()


def save(model: Any, folder: Path) -> None:
    """Write the two files into `folder`; nothing where the model has no head."""
    from safetensors.torch import save_file

    layer = of(model)
    if layer is None:
        return
    (folder / NOTE).write_text(json.dumps(layer.head.model_dump(mode="json"), ensure_ascii=False, indent=1), "utf-8")
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in layer.named_parameters()}
    save_file(whole, folder / TENSORS, metadata={"format": "pt"})


def files(folder: Path) -> tuple[str, ...]:
    """Names of a head's files in a folder; none where it holds no head. BadInput: one of the two is missing."""
    found = tuple(name for name in (NOTE, TENSORS) if (folder / name).is_file())
    if len(found) == 1:
        (other,) = {NOTE, TENSORS} - {*found}
        raise BadInput(f"adapter {folder}: {found[0]} without {other}; a head is both, so fetch the folder again")
    return found


def read(folder: Path) -> Head | None:
    """What the head of a folder is; None where there is none. BadInput: head.json is not one of ours."""
    if not files(folder):
        return None
    try:
        return Head.model_validate_json((folder / NOTE).read_text("utf-8"))
    except (ValidationError, UnicodeDecodeError) as fault:
        line = str(fault).splitlines()[0]
        raise BadInput(f"{folder / NOTE}: says of no head what it is ({line}); fetch the folder again") from None


def load(model: Any, folder: Path, *, trainable: bool) -> None:
    """Put the head of `folder`, if it holds one, on `model`. BadInput names what does not fit."""
    import torch
    from safetensors.torch import load_file

    head = read(folder)
    if head is None:
        return
    bare, tensors = causal(model), load_file(folder / TENSORS)
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    wanted = {"weight": (len(head.labels), bare.config.hidden_size), "bias": (len(head.labels),)}
    if shapes != wanted or head.hidden != bare.config.hidden_size:
        raise BadInput(f"{folder}: the head does not fit this model: it is {shapes}, here {wanted} is needed")
    layer = torch.nn.Linear(head.hidden, len(head.labels), dtype=torch.float32)
    layer.load_state_dict(tensors)
    _put(bare, layer.requires_grad_(trainable), head)


@contextmanager
def without(model: Any) -> Iterator[None]:
    """While it is entered the model is bare of its head: what saves the model's weights would take it for one."""
    bare, layer = causal(model), of(model)
    if layer is not None:
        delattr(bare, PLACE)
    try:
        yield
    finally:
        if layer is not None:
            setattr(bare, PLACE, layer)


def _put(bare: Any, layer: Any, head: Head) -> None:
    """The layer onto the model. What writes words is not trained with it: no gradient would reach an untied one."""
    layer.head = head
    setattr(bare, PLACE, layer.to(bare.device))
    whole, words = getattr(bare, "tuned_whole", None), bare.get_output_embeddings()
    if whole is not None and words.weight is not bare.get_input_embeddings().weight:
        own = {id(tensor) for tensor in words.requires_grad_(False).parameters()}
        idle = {name for name, tensor in bare.named_parameters() if id(tensor) in own}
        bare.tuned_whole = replace(whole, names=whole.names - idle)
