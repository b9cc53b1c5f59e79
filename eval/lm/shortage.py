"""What vLLM says where memory ends, as one line with the remedy: while it starts, and while it answers.

vLLM shares a device's memory out at its start: weights, what a forward makes, and the rest of `gpu_memory_utilization`
for keys and values. So too small a share leaves no room for one row, and too large a one none beside the cache. Its
words are those of 0.10 to 0.32 (`vllm/v1/core/kv_cache_utils.py`, `worker/gpu_worker.py`, `worker/cpu_worker.py`,
`engine/exceptions.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eval.lm.budget import out_of_memory
from finetune.mistakes import BadInput
from finetune.recipe import VLLM

LONGEST = 300  # characters of what vLLM says
ASKED = r"requested memory for kv \("  # on a processor: what the share leaves beside what the process holds
TAKEN = re.compile(rf"less than desired|[Ff]ree memory on device|{ASKED}(?!-)")  # by somebody else
CRAMPED = re.compile(rf"cache blocks|KV cache|max(?:imum)? (?:seq(?:uence)? len|model length)|auto-fit|{ASKED}-")
DIED = re.compile(r"See (?:root cause|stack trace)|Failed core proc")  # in a process of its own, which said why itself
BESIDE = "lower engine.gpu_memory_utilization, so that more is left beside its cache, or exam.batch_tokens"


def at_start(fault: Exception, folder: Path, knobs: VLLM, longest: int) -> BadInput:
    """Why a checkpoint cannot be opened for rows of `longest` tokens, and the remedy where room is short."""
    said, share = line_of(fault), f"engine.gpu_memory_utilization ({knobs.gpu_memory_utilization:g})"
    if TAKEN.search(said):
        remedy = f"free what others hold of the device, or lower {share}"
    elif CRAMPED.search(said):
        remedy = (
            f"raise {share}, shorten model.decoding.max_new_tokens (the exam's longest row may have {longest:,} "
            f"tokens), or split the model by engine.tensor_parallel"
        )
    elif _short(fault):
        remedy = f"{BESIDE}; split the model by engine.tensor_parallel, or take a larger device"
    elif DIED.search(said):
        remedy = f"vLLM's own lines above say why; where that is memory, {BESIDE}"
    else:
        return BadInput(f"engine vllm: {folder} cannot be opened: {said}; or say engine: hf")
    return BadInput(f"engine vllm: {folder} cannot be opened: {said}; {remedy}; or say engine: hf")


@contextmanager
def watched() -> Iterator[None]:
    """BadInput in place of what vLLM raises where memory ends while it answers, or where a process of it has died."""
    try:
        yield
    except Exception as fault:
        if _short(fault):
            raise BadInput(
                f"engine vllm: out of memory while it answers ({line_of(fault)}); {BESIDE}; or shorten "
                f"model.decoding.max_new_tokens; what was scored is kept"
            ) from fault
        if type(fault).__name__ == "EngineDeadError":
            raise BadInput(
                f"engine vllm: a process of it has ended, and its own lines above say why; where that is memory, "
                f"{BESIDE}; what was scored is kept"
            ) from fault
        raise


def is_shortage(fault: Exception) -> bool:
    """Whether it says, or comes from what says, that there was no room; or that a process of vLLM has died."""
    return _short(fault) or type(fault).__name__ == "EngineDeadError"


def _short(fault: BaseException) -> bool:
    """Whether it, or what it was raised from, says that there was no room."""
    seen: BaseException | None = fault
    while seen is not None:
        if out_of_memory(seen):
            return True
        seen = seen.__cause__
    return False


def line_of(fault: BaseException) -> str:
    """Its own words, in one line."""
    said = " ".join(str(fault).split()) or type(fault).__name__
    return said if len(said) <= LONGEST else f"{said[: LONGEST - 1]}…"
