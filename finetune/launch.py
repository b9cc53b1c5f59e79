"""What a launch file says of the processes of a run: accelerate's config, or our two-key file for processors.

And what those processes are not built for, which a recipe and its launch file tell before anything is started.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.methods import Full, LoRA
from finetune.mistakes import BadInput
from finetune.recipe import Contender, Recipe, Train, read_yaml

DEEPSPEED = "DEEPSPEED"
BUILT_FOR = {"NO", "MULTI_CPU", "MULTI_GPU", "MULTI_NPU", "MULTI_XPU", "MULTI_MLU", "MULTI_MUSA", "MULTI_HPU", "FSDP"}


@dataclass(frozen=True)
class Launch:
    """What a launch file promises."""

    path: str
    processes: int
    kind: str  # accelerate's distributed_type
    cpu: bool
    zero: int = 0  # DeepSpeed's stage; 0 without it

    @property
    def sharded(self) -> bool:
        """The frozen base is split over the processes."""
        return self.kind == "FSDP" or self.zero == 3

    @classmethod
    def read(cls, path: str) -> Launch:
        """An accelerate config, or our two-key file for CPU processes. BadInput: a kind that is not built."""
        file = read_yaml(Path(path))
        if file.get("launcher") == "torchrun":
            return cls(path, _count(path, file, "processes"), "MULTI_CPU", True)
        kind = str(file.get("distributed_type", "NO"))
        if kind == DEEPSPEED:  # accelerate starts one process where a file says use_cpu; DeepSpeed has its own word
            cpu = os.environ.get("DS_ACCELERATOR") == "cpu"
            return cls(path, _count(path, file, "num_processes"), kind, cpu, _stage(path, file))
        if kind not in BUILT_FOR:
            raise BadInput(f"{path}: distributed_type {kind} is not supported; use NO, MULTI_GPU, FSDP or DEEPSPEED")
        return cls(path, _count(path, file, "num_processes"), kind, bool(file.get("use_cpu", False)))


def _stage(path: str, file: dict[str, Any]) -> int:
    """ZeRO's stage. BadInput: one that is not built, or a key that would be obeyed by nobody."""
    told = file.get("deepspeed_config") or {}
    if not isinstance(told, dict):
        raise BadInput(f"{path}: deepspeed_config is {told!r}; write keys below it, as `  zero_stage: 2`")
    stage = told.get("zero_stage")
    if isinstance(stage, (str, float)) and str(stage) in ("2", "3", "2.0", "3.0"):
        raise BadInput(f"{path}: deepspeed_config.zero_stage is {stage!r}; write a whole number, without quotes")
    if stage not in (2, 3):
        raise BadInput(
            f"{path}: deepspeed_config.zero_stage is {stage}; 2 and 3 are built "
            f"(recipes/launch/zero2.yaml, zero3.yaml), and of ZeRO-1 an adapter has nothing to gain: use ddp.yaml"
        )
    for key in sorted(map(str, told.keys() - {"zero_stage", "zero3_init_flag"})):
        raise BadInput(
            f"{path}: deepspeed_config.{key} is not obeyed here: clipping, accumulation and precision are the recipe's "
            f"(train.clip, train.tokens_per_step, model.dtype), and nothing is offloaded; leave it out"
        )
    return int(stage)


def absent(path: str | None) -> str | None:
    """What a launch file needs and is not installed here, and the remedy; accelerate would tell of it in a trace."""
    if path is None or not Launch.read(path).zero or importlib.util.find_spec("deepspeed"):
        return None
    return f"{path} needs deepspeed, which is missing; `pip install 'tuneworth[deepspeed]'`"


def refuse_start(recipe: Recipe, names: Iterable[str]) -> None:
    """BadInput: contenders tuned here for which what the recipe's launch file starts is not built.

    Once started every process would say it, and the launcher trace each of them.
    """
    if recipe.train.launch is None:
        return
    launch = Launch.read(recipe.train.launch)
    for name in names:
        refuse_unbuilt(recipe.contenders[name], recipe.train, sharded=launch.sharded, zero=launch.zero)


def refuse_unbuilt(contender: Contender, knobs: Train, *, sharded: bool, zero: int) -> None:
    """BadInput: what a split base, or DeepSpeed's engine (`zero` is its stage, 0 without it), is not built for."""
    if zero:
        _refuse_deepspeed(contender, knobs, zero)
    if sharded and contender.four_bit:
        raise BadInput(
            "train.launch: FSDP splits the base, which is not built for one in 4 bits (nf4); use a DDP file, or kind: "
            "lora on a base that is not quantised"
        )
    if sharded and isinstance(contender.method, Full):
        raise BadInput(
            "train.launch: FSDP splits the frozen base alone, and method full trains it; use a DDP file "
            "(recipes/launch/ddp.yaml), or method.kind lora"
        )


def _refuse_deepspeed(contender: Contender, knobs: Train, stage: int) -> None:
    method, ddp = contender.method, "use a DDP file (recipes/launch/ddp.yaml)"
    if contender.four_bit:
        raise BadInput(f"train.launch: DeepSpeed is not built here for a base in 4 bits (nf4); {ddp}")
    if isinstance(method, Full):
        raise BadInput(
            f"train.launch: DeepSpeed is not built here for method full, of which each process would gather all weights"
            f" for every checkpoint; {ddp}, or method.kind lora"
        )
    if stage == 3 and isinstance(method, LoRA) and method.dora:
        raise BadInput(
            "train.launch: under DeepSpeed ZeRO-3 method.dora finds no weight to norm, for the engine lets go of it "
            "before PEFT reads it; use recipes/launch/fsdp.yaml, or zero2.yaml where the base fits"
        )
    if knobs.optimizer != "adamw":
        raise BadInput(
            f"train.optimizer: {knobs.optimizer} is not built for DeepSpeed's flat parts; use adamw, whose state it "
            f"splits, or {ddp.removeprefix('use ')}"
        )


def _count(path: str, file: dict[str, Any], key: str) -> int:
    count = file.get(key)
    if not isinstance(count, int) or count < 1:
        raise BadInput(f"{path}: {key} is {count}; give the number of processes to start")
    return count
