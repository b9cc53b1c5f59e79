"""How the processes of a run find each other, and what is told at once where they are not those of the launch file."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.tracking import get_available_trackers
from accelerate.utils import InitProcessGroupKwargs, LoggerType

from finetune.launch import Launch, absent
from finetune.mistakes import BadInput
from finetune.run.tracking import remedy

PATIENCE = timedelta(days=7)  # of a process for its peers: shares of generated answers differ by hours, not minutes


def join(promised: Launch | None, tracker: str | None, logs: Path) -> Accelerator:
    """This process among the peers that the launch file promises. BadInput: others came, or the tracker is missing."""
    _refuse_tracker(tracker)
    _refuse_unnamed(promised)
    asked = {"log_with": tracker, "project_dir": str(logs)}
    if promised and promised.zero:
        accelerator = _deepspeed(promised, asked)
    else:
        patience = InitProcessGroupKwargs(timeout=PATIENCE)
        accelerator = Accelerator(cpu=bool(promised and promised.cpu), kwargs_handlers=[patience], **asked)
    _refuse_others(accelerator, promised)
    return accelerator


def _deepspeed(promised: Launch, asked: dict[str, Any]) -> Accelerator:
    """Joined through DeepSpeed, as accelerate does it; on processors by gloo. BadInput: missing, or started alone."""
    if missing := absent(promised.path):
        raise BadInput(missing)
    if not (promised.cpu or torch.accelerator.is_available()):
        raise BadInput(
            f"{promised.path} asks for an accelerator, but none is seen; on processors set DS_ACCELERATOR=cpu"
        )
    if not {"RANK", "WORLD_SIZE"} <= os.environ.keys():
        raise BadInput(
            f"{promised.path} asks for DeepSpeed, which no launcher started; start it as `accelerate launch "
            f"--config_file {promised.path} -m finetune.train ...` (`tuneworth train --dry-run` prints the whole line)"
        )
    import deepspeed
    from accelerate.utils import DeepSpeedPlugin
    from transformers.integrations import unset_hf_deepspeed_config

    if promised.cpu:  # it would compile, for a minute, sums that only its inference asks for
        deepspeed.ops.__compatible_ops__.pop("deepspeed_shm_comm", None)
    joining = InitProcessGroupKwargs(timeout=PATIENCE, backend="gloo" if promised.cpu else None)
    plugin = DeepSpeedPlugin(zero_stage=promised.zero, gradient_accumulation_steps=1, zero3_init_flag=False)
    accelerator = Accelerator(deepspeed_plugin=plugin, kwargs_handlers=[joining], **asked)
    unset_hf_deepspeed_config()  # else transformers splits every checkpoint while it reads, also the one that proves
    return accelerator


def _refuse_unnamed(promised: Launch | None) -> None:
    """Before accelerate takes its own way with a DeepSpeed that it was started with: on processors one process each."""
    if os.environ.get("ACCELERATE_USE_DEEPSPEED") == "true" and not (promised and promised.zero):
        named = f"{promised.path} is not" if promised else "train.launch names no file"
        raise BadInput(
            f"DeepSpeed was started, but {named} of its kind; give the file it was started with as the recipe's launch "
            f"(recipes/launch/zero2.yaml)"
        )


def _refuse_others(accelerator: Accelerator, promised: Launch | None) -> None:
    """accelerate starts one CPU process, or several that know nothing of each other, and says nothing."""
    found, kind = accelerator.num_processes, accelerator.distributed_type.value
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if found != started:
        raise BadInput(
            f"{started} processes were started, each alone in its world; on CPUs start them with torchrun and name a "
            f"launch file that says so (recipes/launch/cpu2.torchrun.yaml) as the recipe's launch"
        )
    if promised is None:
        return
    if (found, kind) != (promised.processes, promised.kind):
        raise BadInput(
            f"{promised.path} promises {promised.processes} processes ({promised.kind}), but {found} ({kind}) run; "
            f"start it as `tuneworth train --dry-run` prints it, or correct the file"
        )
    if not promised.cpu and accelerator.device.type == "cpu":
        raise BadInput(f"{promised.path} asks for an accelerator, but none is seen here; use recipes/launch/cpu.yaml")


def _refuse_tracker(tracker: str | None) -> None:
    """accelerate drops a tracker whose package is missing, and says nothing."""
    if tracker is None:
        return
    known = [str(name) for name in LoggerType if str(name) != "all"]
    if tracker not in known:
        raise BadInput(f"train.tracker: {tracker} is unknown; accelerate has {', '.join(known)}")
    if tracker not in [str(name) for name in get_available_trackers()]:
        raise BadInput(f"train.tracker: the package of {tracker} is not installed; `{remedy(tracker)}`")
