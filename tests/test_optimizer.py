"""The optimizer in 8 bits: it learns as the plain one does, and a killed run goes on bit for bit."""

from __future__ import annotations

import signal

import pytest
import torch
from conftest import build_checkpoint
from safetensors.torch import load_file
from small_lesson import facts, finish, place, start, words, write_lesson

from finetune.recipe import Train
from finetune.train import optimizer
from finetune.train.__main__ import main

bitsandbytes = pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
torch.set_num_threads(1)
KINDS = ["adamw", "adamw_8bit", "paged_adamw_8bit"]
WIDE = ("--set", "contenders.lora.method.rank=64")  # 64 x 64: from 4,096 entries on the state is in 8 bits
LONG = {"epochs": 4, "tokens_per_step": 240, "save_every": 4, "dev": 0.2, "evaluations": 3}
KILL = """import os
from finetune.train.loop import Loop
take = Loop._step
def step(self):
    return os.kill(os.getpid(), 9) if self.progress.step == 7 else take(self)
Loop._step = step"""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return build_checkpoint(tmp_path_factory.mktemp("wide"), "llama", intermediate_size=128, family="r1_distill_qwen")


def stepped(kind, steps, state=None):
    """Parameters, large and small, after some steps on seeded gradients, and the optimizer's state."""
    draw = torch.Generator().manual_seed(3)
    named = {
        name: torch.nn.Parameter(torch.randn(size, generator=draw)) for name, size in (("wide", 5000), ("small", 40))
    }
    if state:
        for name, parameter in named.items():
            parameter.data.copy_(state[0][name])
    found = optimizer.build(named, Train(optimizer=kind, weight_decay=0.1), 0.01)
    if state:
        optimizer.restore(found, named, state[1])
    for step in steps:
        for parameter in named.values():
            seeded = torch.Generator().manual_seed(step)
            parameter.grad = torch.randn(parameter.shape, generator=seeded)
        found.step()
    saved = {name: tensor.clone() for name, tensor in optimizer.tensors(found, named).items()}
    return {name: p.detach().clone() for name, p in named.items()}, saved


@pytest.mark.parametrize("kind", KINDS)
def test_the_state_comes_back_bit_for_bit(kind):
    straight, state = stepped(kind, range(9))
    again, restored = stepped(kind, range(4, 9), stepped(kind, range(4)))
    assert all(torch.equal(straight[name], again[name]) for name in straight)
    assert state.keys() == restored.keys()
    assert all(torch.equal(state[name], restored[name]) for name in state)


def test_large_states_alone_are_in_eight_bits():
    _, state = stepped("adamw_8bit", range(2))
    assert {name: str(tensor.dtype) for name, tensor in state.items() if name.startswith("state1")} == {
        "state1/wide": "torch.uint8",
        "state1/small": "torch.float32",
    }
    assert not any(name.startswith("qmap") for name in state)


def test_eight_bits_learn_as_thirty_two_do(tmp_path, checkpoint):
    last = {}
    for kind in KINDS:
        recipe = write_lesson(tmp_path / kind, checkpoint, epochs=4, optimizer=kind)
        assert main(words(recipe, "lora", *WIDE, "--set", "contenders.lora.method.learning_rate=0.002")) == 0
        assert facts(recipe).loss_last < 0.95 * facts(recipe).loss_first
        last[kind] = facts(recipe).loss_last
    assert last["adamw_8bit"] != last["adamw"]
    assert last["paged_adamw_8bit"] == last["adamw_8bit"]  # on a processor there is nowhere to page to
    assert last["adamw_8bit"] == pytest.approx(last["adamw"], abs=0.1)


@pytest.mark.parametrize("kind", ["lora", pytest.param("qlora", marks=pytest.mark.slow)])
def test_killed_and_started_again_is_the_undisturbed_run(tmp_path, checkpoint, kind):
    """Bit for bit, on a base in 4 bits too: quantising the same weights gives the same bytes."""
    more = (*WIDE, "--set", f"contenders.lora.method.kind={kind}", "--set", "train.optimizer=adamw_8bit")
    straight, broken = (write_lesson(tmp_path / name, checkpoint, **LONG) for name in ("straight", "broken"))
    assert main(words(straight, "lora", *more)) == 0
    status, _, _ = finish(start(words(broken, "lora", *more), code=KILL))
    assert status == -signal.SIGKILL
    kept = load_file(place(broken).checkpoints / "step-000004" / "optimizer.safetensors")
    assert {str(t.dtype) for name, t in kept.items() if name.startswith("state1")} == {
        "torch.uint8",
        "torch.float32",  # of k_proj and v_proj, which are smaller
    }
    assert main(words(broken, "lora", *more)) == 0
    one, other = facts(straight), facts(broken)
    assert one.losses == other.losses
    assert one.dev_losses == other.dev_losses
    assert one.adapter_digest == other.adapter_digest
