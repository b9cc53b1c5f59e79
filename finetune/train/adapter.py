"""The adapter folder: tensors, chat fingerprint and card, kept only once it is proven to be what was trained."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import yaml

from finetune.chat import Chat
from finetune.files import folder_whole
from finetune.methods import adapter_digest, heads
from finetune.methods.heads import PIPELINES
from finetune.methods.merging import BOUND
from finetune.mistakes import BadInput
from finetune.recipe import Contender, DataUse
from finetune.run import SeedDir
from finetune.train.reread import Reading
from finetune.world import World, logits

PROBE = 64  # tokens on which logits are compared
SLACK = {torch.float32: 1e-4, torch.bfloat16: 5e-2}  # of the largest logit; on one device the difference is 0


@dataclass(frozen=True)
class Proof:
    """That the saved adapter is the trained one and does something; differences are of logits."""

    digest: str
    norm: float
    reload_difference: float
    logit_shift: float
    merge_difference: float | None  # None where it cannot be merged into the base that it was trained on
    reread: Literal["fresh", "here"]
    head_difference: float | None = None  # of a classification head's scores; None where there is none


@dataclass(frozen=True)
class Origin:
    """Where an adapter comes from: what its folder and its card say of it."""

    contender: Contender
    folder: Path  # of the checkpoint
    chat: Chat
    data: Sequence[DataUse]
    dtype: torch.dtype


def keep(
    model: Any, origin: Origin, place: SeedDir, world: World, ids: Sequence[int],
    release: Callable[[], None], *, fresh: bool = True,
) -> Proof | None:  # fmt: skip
    """Save, reload into a fresh base and compare on `ids`, then rename to its place. The proof, on the main process.

    `release` is called once the trained model has answered. `fresh`: a process of its own reads it back. BadInput: the
    training changed nothing. RuntimeError: what was reloaded (or merged) is not what was trained. Either way nothing is
    kept. `model` is emptied on the way, for two copies may not fit on a device.
    """
    probe = tuple(ids[:PROBE])
    trained, told = logits(model, probe), heads.answers(model, probe)
    release()
    found: list[Proof] = []

    def build(scratch: Path) -> None:
        _write(model, origin, scratch)
        if not world.sharded:
            _empty(model)
        again = _read_back(origin, scratch, world, probe, fresh=fresh)
        head = _head_apart(told, again, origin.dtype)
        proof = _proof(adapter_digest(scratch), trained, again, "fresh" if fresh else "here", head)
        _refuse_unmoved(proof, place.checkpoints)
        _refuse_others(proof, float(trained.abs().max()), origin.dtype)
        found.append(proof)

    if world.main:
        folder_whole(place.adapter, build)
    world.accelerator.wait_for_everyone()
    return found[0] if found else None


def _read_back(
    origin: Origin, folder: Path, world: World, probe: tuple[int, ...], *, fresh: bool
) -> dict[str, torch.Tensor]:
    """What the adapter in `folder` answers on a fresh base."""
    reading = Reading(
        checkpoint=str(origin.folder),
        adapter=str(folder),
        dtype=str(origin.dtype).removeprefix("torch."),
        four_bit=origin.contender.four_bit,
        device="cpu" if world.sharded else str(world.device),
        threads=torch.get_num_threads(),
        ids=probe,
    )
    return reading.afresh(folder.with_name(f"{folder.name}.safetensors")) if fresh else reading.here()


def _empty(model: Any) -> None:
    """Let go of the weights. To the meta device 4-bit ones do not go."""
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data = tensor.data.new_empty(0)
    if torch.accelerator.is_available():
        torch.accelerator.empty_cache()


def _proof(
    digest: str, trained: torch.Tensor, read: dict[str, torch.Tensor], how: Literal["fresh", "here"], head: float | None
) -> Proof:
    def apart(name: str) -> float:
        return float((trained - read[name]).abs().max())

    merged = apart("merged") if "merged" in read else None
    return Proof(digest, float(read["norm"]), apart("tuned"), apart("bare"), merged, how, head)


def _head_apart(told: torch.Tensor | None, read: dict[str, torch.Tensor], dtype: torch.dtype) -> float | None:
    """By how much the head read back scores otherwise, if there is one. RuntimeError: more than rounding explains."""
    if told is None:
        return None
    apart = float((told - read["head"]).abs().max()) if "head" in read else float("inf")
    if not apart <= max(1.0, float(told.abs().max())) * SLACK[dtype]:
        raise RuntimeError(f"the head read back from disk gives other scores (by {apart:g}); it is not kept")
    return apart


def _refuse_unmoved(proof: Proof, checkpoints: Path) -> None:
    """BadInput: nothing was learnt; what a run with other knobs would trip over is named."""
    if not proof.norm > 0 or not proof.logit_shift > 0:
        raise BadInput(
            f"training changed nothing (adapter norm {proof.norm:g}, logits moved by {proof.logit_shift:g}); move "
            f"{checkpoints} away, which is of this recipe alone, then raise method.learning_rate or train longer"
        )


def _refuse_others(proof: Proof, top: float, dtype: torch.dtype) -> None:
    """RuntimeError: what was read back is not what was trained; `top` is the largest logit."""
    if not proof.reload_difference <= top * SLACK[dtype] or not proof.reload_difference < proof.logit_shift:
        raise RuntimeError(
            f"the adapter read back from disk gives other logits (by {proof.reload_difference:g}, where tuning moved "
            f"them by {proof.logit_shift:g}); it is not kept"
        )
    bound = BOUND[str(dtype).removeprefix("torch.")]
    if proof.merge_difference is not None and not proof.merge_difference <= top * bound:
        raise RuntimeError(
            f"merged into its base the adapter gives other logits (by {proof.merge_difference:g}, of {top:g}); it is "
            f"not kept: a weight is shared by two layers, or this version of PEFT merges otherwise than it trains"
        )


def _write(model: Any, origin: Origin, folder: Path) -> None:
    method = origin.contender.method
    assert method is not None, "only a contender with a method is trained"
    method.save(model, folder, base=origin.contender.model.id)
    heads.save(model, folder)
    (folder / "chat.json").write_text(json.dumps(origin.chat.fingerprint(), indent=1, ensure_ascii=False), "utf-8")
    (folder / "README.md").write_text(card(origin), "utf-8")


def card(origin: Origin) -> str:
    """The model card: front matter for machines, a few lines for people."""
    contender, chat = origin.contender, origin.chat
    spec, kind = contender.model, contender.method.kind if contender.method else "adapter"
    method = contender.method.model_dump(mode="json", exclude={"search"}) if contender.method else {}
    lines = [
        f"# {'A tuned copy of' if kind == 'full' else 'An adapter for'} {spec.id}",
        "",
        f"- Base: {spec.id} {spec.revision or ''}".rstrip(),
        f"- Licence of the base: {spec.licence or 'not stated'}. It binds what is tuned, as that of the data does.",
        f"- Method: {', '.join(f'{key} {value}' for key, value in method.items() if key != 'init_text')}",
        *([_headed(contender.head)] if contender.head else []),
        *([f"- Goes on from contender {contender.start}."] if contender.start else []),
        *(f"- Data: {_said(use)}" for use in origin.data),
        *([f"- Share of its rows: {contender.data_share:g}"] if contender.data_share != 1 else []),
        f"- Chat family {chat.family}, think policy {chat.think}, fingerprint {chat.digest[:12]} (`chat.json`). Score",
        "  and serve it with the same rendering: another one is another model.",
        "- Prompt frame: " + ("as in the recipe; it belongs around every question" if contender.prompt else "none"),
    ]
    front = yaml.safe_dump(_front(origin, kind), allow_unicode=True, sort_keys=False)
    return f"---\n{front}---\n\n" + "\n".join(lines) + "\n"


def _front(origin: Origin, kind: str) -> dict[str, Any]:
    return {
        "base_model": origin.contender.model.id,
        "library_name": "transformers" if kind == "full" else "peft",
        "pipeline_tag": PIPELINES[origin.contender.head],
        "tags": [kind, "tuneworth"],
        "datasets": [use.card.name for use in origin.data],
        "license": "other",
    }


def _headed(kind: str) -> str:
    return (
        f"- Classification head: {kind}, its labels and weights in head.json and head.safetensors. It reads the last\n"
        "  hidden states of the prompt and answers in place of words."
    )


def _said(use: DataUse) -> str:
    licence = use.card.licence
    return f"{use.card.name} ({use.split}), {licence.name}, {'' if licence.commercial else 'no '}commercial use"
