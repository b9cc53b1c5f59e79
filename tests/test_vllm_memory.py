"""Where memory ends in vLLM: one line with the remedy. vLLM is not needed: its words and kinds of faults are, as its
source has them (0.10 to 0.32); torch's allocator is asked for real. A start without room in vLLM itself: test_vllm.py.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch

from eval.lm import vllm_engine
from eval.lm.shortage import at_start, watched
from eval.lm.vllm_engine import Paged
from finetune.mistakes import BadInput
from finetune.recipe import VLLM

KNOBS = VLLM(kind="vllm", gpu_memory_utilization=0.8)
SEE = "See https://docs.vllm.ai/en/latest/configuration/conserving_memory/ for more details."


class EngineDeadError(Exception):
    """As vllm.v1.engine.exceptions has it."""


def from_worker() -> RuntimeError:
    """What a process of its own raises of one that found no room."""
    fault = RuntimeError("Worker failed")
    fault.__cause__ = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    return fault


STARTS = [
    (
        ValueError(f"No available memory for the cache blocks. Try increasing `gpu_memory_utilization`. {SEE}"),
        "raise engine.gpu_memory_utilization (0.8), shorten model.decoding.max_new_tokens (the exam's longest row may "
        "have 33,000 tokens), or split the model by engine.tensor_parallel",
    ),
    (
        ValueError("To serve at least one request with the models's max seq len (33001), (10.00 GiB KV cache is "
                   "needed, which is larger than the available KV cache memory (1.25 GiB)."),
        "raise engine.gpu_memory_utilization (0.8), shorten model.decoding.max_new_tokens",
    ),
    (
        ValueError("Free memory on device cuda:0 (10.1/79.2 GiB) on startup is less than desired GPU memory "
                   "utilization (0.8, 63.4 GiB). Decrease GPU memory utilization or reduce GPU memory used by other "
                   "processes."),
        "free what others hold of the device, or lower engine.gpu_memory_utilization (0.8)",
    ),
    (
        ValueError("Available memory on node 0 (21.11/23.47 GiB) on kv cache allocation is less than requested memory "
                   "for kv (-0.8/0.0 GiB). Reduce CPU memory used by other processes."),
        "raise engine.gpu_memory_utilization (0.8)",
    ),
    (
        ValueError("Available memory on node 0 (2.11/23.47 GiB) on kv cache allocation is less than requested memory "
                   "for kv (17.9/18.8 GiB). Reduce CPU memory used by other processes."),
        "free what others hold of the device, or lower engine.gpu_memory_utilization (0.8)",
    ),
    (
        RuntimeError("CUDA out of memory occurred when warming up sampler with 256 dummy requests."),
        "lower engine.gpu_memory_utilization, so that more is left beside its cache, or exam.batch_tokens; split the",
    ),
    (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), "or take a larger device"),
    (MemoryError(), "MemoryError; lower engine.gpu_memory_utilization"),
    (from_worker(), "or take a larger device"),
    (
        RuntimeError("Engine core initialization failed. See root cause above. Failed core proc(s): {}"),
        "vLLM's own lines above say why; where that is memory, lower engine.gpu_memory_utilization",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "remedy"), STARTS)
def test_a_start_without_room_says_what_to_change(fault, remedy):
    said = str(at_start(fault, Path("/models/r1"), KNOBS, 33_000))
    assert said.startswith("engine vllm: /models/r1 cannot be opened: ")
    assert remedy in said
    assert said.endswith("; or say engine: hf")
    assert "\n" not in said


def test_another_fault_of_a_start_is_told_without_a_word_of_memory():
    said = str(at_start(ValueError("Model architectures ['X'] are not\n supported"), Path("m"), KNOBS, 10))
    assert said == "engine vllm: m cannot be opened: Model architectures ['X'] are not supported; or say engine: hf"


def test_what_vllm_says_at_length_stays_one_line():
    said = str(at_start(RuntimeError("out of memory\n" * 900), Path("m"), KNOBS, 10))
    assert len(said) < 700
    assert "\n" not in said


def test_memory_that_ends_while_it_answers_is_one_line():
    """The fault is torch's own, of an allocation that no machine has."""
    with pytest.raises(BadInput) as found, watched():
        torch.empty(1 << 60, dtype=torch.uint8)
    said = str(found.value)
    assert said.startswith("engine vllm: out of memory while it answers (")
    assert "lower engine.gpu_memory_utilization, so that more is left beside its cache, or exam.batch_tokens" in said
    assert "shorten model.decoding.max_new_tokens; what was scored is kept" in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (from_worker(), "out of memory while it answers (Worker failed)"),
        (EngineDeadError("EngineCore encountered an issue. See stack trace (above)"), "its own lines above say why"),
    ],
)
def test_a_process_that_died_is_told(fault, said):
    with pytest.raises(BadInput, match="what was scored is kept") as found, watched():
        raise fault
    assert said in str(found.value)


def test_any_other_fault_keeps_its_trace():
    with pytest.raises(RuntimeError, match="^shape mismatch$"), watched():
        raise RuntimeError("shape mismatch")


@pytest.mark.parametrize("fault", [fault for fault, _ in STARTS])
def test_no_start_without_room_ends_in_a_trace(monkeypatch, fault):
    def refuse(_):
        raise fault

    stand_in = ModuleType("vllm")  # where vLLM is not: its two names that opening asks for
    stand_in.EngineArgs, stand_in.LLMEngine = dict, SimpleNamespace(from_engine_args=refuse)
    monkeypatch.setitem(sys.modules, "vllm", stand_in)
    monkeypatch.setattr(vllm_engine, "need_vllm", lambda: None)
    with pytest.raises(BadInput, match="cannot be opened"):
        Paged.open(Path("m"), "float32", KNOBS, known=9, rows=9, longest=33_000, tokens=64)
