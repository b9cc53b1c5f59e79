"""train.compile, with the real compiler: the same losses, the same adapter's keys, and runs that go on bit for bit."""

from __future__ import annotations

import shutil
import signal

import pytest
import torch
from safetensors import safe_open
from small_lesson import facts, finish, place, start, words, write_lesson

from finetune.mistakes import BadInput
from finetune.recipe import Recipe
from finetune.train.__main__ import main
from finetune.train.compiled import refuse_uncompiled
from finetune.train.misfits import configuration

LESSON = {"max_steps": 4, "tokens_per_step": 300, "evaluations": 0, "checkpointing": True}
COMPILED = ["--set", "train.compile=true"]
STOP = (
    "import os, signal; from finetune.train.loop import Loop; take = Loop._step\n"
    "def step(self):\n"
    "    if self.progress.step == 1: os.kill(os.getpid(), signal.SIGTERM)\n"
    "    return take(self)\n"
    "Loop._step = step"
)


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    """The environment in which runs compile, each into a cache that the next one reads."""
    monkeypatch.delenv("TORCHDYNAMO_DISABLE", raising=False)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))
    return tmp_path / "inductor"


def keys(recipe) -> list[str]:
    with safe_open(place(recipe).adapter / "adapter_model.safetensors", "pt") as tensors:
        return sorted(tensors.keys())


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler here")
def test_compiled_is_the_plain_run_but_for_rounding_and_goes_on_bit_for_bit(tmp_path, tiny, compiler):
    """On Qwen3, whose queries and keys have norms too, with checkpointing."""
    model = tiny("qwen3")
    plain, whole, stopped = (write_lesson(tmp_path / name, model, **LESSON) for name in ("plain", "whole", "stopped"))
    for recipe in (plain, whole, stopped):
        text = recipe.read_text("utf-8")
        recipe.write_text(text.replace("r1_distill_qwen", "qwen3"), "utf-8")
    assert main(words(plain)) == 0
    status, _, err = finish(start(words(whole, "lora", *COMPILED)))
    assert status == 0, err
    assert list(compiler.rglob("*.so")), "nothing was compiled"
    one, other = facts(whole), facts(plain)
    assert [loss for _, loss in one.losses] == pytest.approx([loss for _, loss in other.losses], rel=1e-4)
    assert keys(whole) == keys(plain)
    assert one.start_difference < 1e-4  # of the bare base, which nobody compiles
    assert finish(start(words(stopped, "lora", *COMPILED), code=STOP))[0] == 128 + signal.SIGTERM
    status, out, err = finish(start(words(stopped, "lora", *COMPILED)))
    assert status == 0, err
    assert "goes on after step 2" in out
    assert (facts(stopped).losses, facts(stopped).adapter_digest) == (one.losses, one.adapter_digest)


def test_it_stands_in_the_fingerprint_only_where_it_is_asked_for(tmp_path, tiny):
    recipe = write_lesson(tmp_path, tiny("qwen2"))
    digests = [Recipe.read(recipe, (f"train.compile={asked}",)).train_fingerprint("lora", 17) for asked in (0, 1)]
    assert digests[0] == Recipe.read(recipe).train_fingerprint("lora", 17) != digests[1]


def test_without_a_compiler_on_the_machine_one_line_says_so(tmp_path, tiny, compiler, monkeypatch):
    recipe = write_lesson(tmp_path, tiny("qwen2"), **LESSON)
    monkeypatch.setenv("CXX", "no-such-compiler")
    status, _, err = finish(start(words(recipe, "lora", *COMPILED)))
    assert status == 2
    assert err.startswith("tuneworth: train.compile: nothing compiles here (")
    assert "no-such-compiler" in err
    assert len(err.splitlines()) == 1
    assert not place(recipe).adapter.exists()


def test_what_it_is_not_built_for_is_refused(tiny, monkeypatch):
    config = configuration(tiny("qwen2"))
    monkeypatch.setattr("torch._dynamo.config.disable", True)
    with pytest.raises(BadInput, match="TORCHDYNAMO_DISABLE is set, so nothing would be compiled"):
        refuse_uncompiled(config, torch.device("cpu"), split=False)
    with pytest.raises(BadInput, match="not built for FSDP or DeepSpeed"):
        refuse_uncompiled(config, torch.device("cpu"), split=True)
    config.model_type = "phi3"
    with pytest.raises(BadInput, match="phi3 is not among llama, qwen2, qwen3"):
        refuse_uncompiled(config, torch.device("cpu"), split=False)
