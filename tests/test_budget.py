"""Out of memory in earnest: a process that may not take more halves its budget and scores the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import build_checkpoint

from eval.lm.budget import LEAST, Budget, batches, out_of_memory
from eval.lm.context import refuse_windows
from finetune.mistakes import BadInput

TIGHT = """
import json, resource, sys, torch
from transformers import AutoModelForCausalLM
from eval.lm import Choice, likelihoods
from eval.lm.draw import Sampling
from eval.lm.generate import write
from finetune.chat import Chat

torch.set_num_threads(1)
folder, room = sys.argv[1], int(sys.argv[2])
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
chat = Chat.open(folder, "r1_distill_qwen", "keep")
draw = torch.Generator().manual_seed(0)
ids = lambda n: tuple(torch.randint(10, 400, (n,), generator=draw).tolist())
asked = [Choice(ids(300), tuple(ids(9) for _ in range(4))) for _ in range(24)]
prompts = [ids(300) for _ in range(24)]
likelihoods(model, asked[:1], 4096)  # what is allocated once
if room:
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + room, used + room))
scores = likelihoods(model, asked, 16384)
written = write(model, chat, prompts, range(24), Sampling(0.8, max_new_tokens=12), tokens=16384)
print(json.dumps([scores, [one.ids for one in written]]))
"""


def ran(folder: Path, room: int) -> subprocess.CompletedProcess[str]:
    """Scores and answers of a tiny wide model in a process that may take `room` bytes more (0: as it likes)."""
    words = [sys.executable, "-c", TIGHT, str(folder), str(room)]
    return subprocess.run(
        words, capture_output=True, text=True, check=False, env=os.environ | {"MALLOC_ARENA_MAX": "1"}
    )


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_out_of_memory_halves_the_budget_and_goes_on(tmp_path):
    folder = build_checkpoint(tmp_path / "wide", "qwen2", intermediate_size=4096)
    free, tight = ran(folder, 0), ran(folder, 120 << 20)
    assert free.returncode == tight.returncode == 0, tight.stderr[-2000:]
    assert "out of memory" not in free.stderr
    assert "out of memory: going on with 8192 tokens in one forward" in tight.stderr
    (scores, answers), (calm, wanted) = json.loads(tight.stdout), json.loads(free.stdout)
    assert answers == wanted
    for found, expected in zip(scores, calm, strict=True):
        assert [one for one, _ in found] == pytest.approx([one for one, _ in expected], rel=1e-6, abs=1e-5)


def test_what_is_out_of_memory_and_what_is_not():
    with pytest.raises(RuntimeError) as fault:
        torch.empty(1 << 60)
    assert out_of_memory(fault.value)
    assert out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"))
    assert out_of_memory(MemoryError())
    with pytest.raises(RuntimeError) as other:
        torch.ones(2) @ torch.ones(3)
    assert not out_of_memory(other.value)
    with pytest.raises(RuntimeError, match="size"):
        Budget(512).within(lambda: torch.ones(2) @ torch.ones(3))


def test_a_budget_that_halving_does_not_help_says_so(capsys):
    budget = Budget(4 * LEAST)
    with pytest.raises(BadInput, match=f"out of memory at {LEAST} tokens in one forward"):
        list(budget.batches([100, 100], None, lambda batch: torch.empty(1 << 60)))
    assert capsys.readouterr().err.count("going on with") == 2


def test_after_a_halving_only_what_is_left_is_run_again(capsys):
    budget, seen = Budget(400), []

    def work(batch: list[int]) -> int:
        if len(seen) == 1:
            seen.append(batch)
            torch.empty(1 << 60)
        seen.append(batch)
        return len(batch)

    found = [place for batch, _ in budget.batches([100] * 10, None, work) for place in batch]
    assert sorted(found) == list(range(10))
    assert [len(batch) for batch in seen] == [4, 4, 2, 2, 2]
    assert batches([100] * 10, 400)[0] == seen[0]
    capsys.readouterr()


@pytest.mark.parametrize(
    ("said", "longest", "fine"),
    [
        ({}, 9000, True),
        ({"sliding_window": 512, "use_sliding_window": True}, 500, True),
        ({"sliding_window": 512, "use_sliding_window": True}, 513, False),
        ({"sliding_window": 512, "use_sliding_window": False}, 513, True),
    ],
)
def test_a_layer_that_sees_a_window_is_refused_beyond_it(said, longest, fine):
    from transformers import Qwen2Config

    config = Qwen2Config(num_hidden_layers=4, max_window_layers=2, **said)
    if fine:
        refuse_windows(config, longest)
    else:
        with pytest.raises(BadInput, match="sliding_attention, window 512, and texts of 513 tokens"):
            refuse_windows(config, longest)
