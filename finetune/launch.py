"""What a launch file says of the processes of a run: accelerate's config, or our two-key file for processors."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.mistakes import BadInput
from finetune.recipe import read_yaml

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
    if told.get("zero_stage") not in (2, 3):
        raise BadInput(
            f"{path}: deepspeed_config.zero_stage is {told.get('zero_stage')}; 2 and 3 are built "
            f"(recipes/launch/zero2.yaml, zero3.yaml), and of ZeRO-1 an adapter has nothing to gain: use ddp.yaml"
        )
    for key in sorted(told.keys() - {"zero_stage", "zero3_init_flag"}):
        raise BadInput(
            f"{path}: deepspeed_config.{key} is not obeyed here: clipping, accumulation and precision are the recipe's "
            f"(train.clip, train.tokens_per_step, model.dtype), and nothing is offloaded; leave it out"
        )
    return int(told["zero_stage"])


def _count(path: str, file: dict[str, Any], key: str) -> int:
    count = file.get(key)
    if not isinstance(count, int) or count < 1:
        raise BadInput(f"{path}: {key} is {count}; give the number of processes to start")
    return count
