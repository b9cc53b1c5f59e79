"""What does not go together, said before the first step: checkpoint, method, rows, machine, disk."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from finetune.data import Examples
from finetune.launch import refuse_unbuilt
from finetune.methods import AnyMethod, Full, adapter_parameters
from finetune.mistakes import BadInput
from finetune.recipe import Train
from finetune.train.adapter import Origin
from finetune.train.compiled import refuse_uncompiled
from finetune.train.savepoint import KEPT
from finetune.world import World, need_bitsandbytes, parameter_count

STATE = 16  # bytes of a trained weight in a checkpoint: itself and Adam's two means in float32, and the best so far


def refuse_misfits(origin: Origin, examples: Examples, knobs: Train, world: World) -> None:
    """What the checkpoint's configuration and the machine rule out, before its weights are read."""
    folder = origin.folder
    if origin.contender.four_bit:
        need_bitsandbytes("a base in 4 bits (nf4)")
    refuse_unbuilt(origin.contender, knobs, sharded=world.sharded, zero=world.zero)
    config = configuration(folder)
    if origin.contender.method:
        origin.contender.method.check(config)
    if knobs.compile:
        refuse_uncompiled(config, world.device, split=world.sharded or bool(world.zero))
    known = max(origin.chat.tokenizer.get_vocab(with_added_tokens=True).values()) + 1
    if known > config.vocab_size:  # rows are never resized: an embedding of noise would be trained, or a head copied
        raise BadInput(
            f"checkpoint {folder}: its tokenizer knows {known} tokens, its model has {config.vocab_size} rows; they do "
            f"not belong together"
        )
    if examples.longest > config.max_position_embeddings:
        raise BadInput(
            f"train.max_length: a row has {examples.longest} tokens, but the model has "
            f"{config.max_position_embeddings} positions; lower train.max_length to that"
        )


def configuration(folder: Path) -> Any:
    """The checkpoint's own (transformers configuration). BadInput: it cannot be read."""
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError) as fault:
        raise BadInput(f"checkpoint {folder}: config.json: {str(fault).partition(chr(10))[0]}") from None


def refuse_full_disk(method: AnyMethod | None, model: Any, folder: Path) -> None:
    """Checkpoints of full tuning are many times the model; a disk too small is known before the first step."""
    if not isinstance(method, Full):
        return
    trained = parameter_count(adapter_parameters(model).values())
    needed = trained * STATE * (KEPT + 1) + sum(p.nbytes for p in model.parameters())
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise BadInput(
            f"{folder}: {free / 1e9:.1f} GB are free, but the checkpoints of {trained:,} trained weights need "
            f"{needed / 1e9:.1f}; make room, give another --out, or set method.last_layers"
        )
