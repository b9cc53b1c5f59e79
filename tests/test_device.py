"""Tuning on an accelerator, whichever there is: `-m gpu`. On a processor the same steps on a tiny shape.

Layers of the 7B shape are cut where the device's memory asks for it.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from small_exam import HANGS

from finetune import segments
from finetune.methods import Full, LoRA, PTuningV1, PTuningV2, adapter_parameters
from finetune.methods.lora import causal
from finetune.train.loss import sheet_loss
from finetune.train.packing import packed
from finetune.world import World, need_bitsandbytes
from tests.benchmarks import device

ROOT = Path(__file__).parents[1]
THERE = torch.accelerator.is_available()
SHAPE = "7b" if THERE else "tiny"
RACE = device.RACES["device.train.lora.4096"]
METHODS = {
    "lora": LoRA(rank=16),
    "kin": LoRA(rank=16, dora=True, rslora=True, learning_rate=5e-5),
    "prompt": PTuningV1(virtual_tokens=20),
    "lstm": PTuningV1(virtual_tokens=20, encoder="lstm"),
    "prefix": PTuningV2(virtual_tokens=32, init="random"),
    "reencoded": PTuningV2(virtual_tokens=32, init="random", reencoder=512),
    "full": Full(),
}
gpu = pytest.mark.gpu
only_there = pytest.mark.skipif(not THERE, reason="needs an accelerator; none is seen here")


@pytest.fixture
def world(tmp_path):
    yield World.open(None, None, tmp_path)
    device.clear()


def layers(method) -> int:
    """As many as fit. Full tuning holds 18 bytes a weight: 4.2 GB a layer, 20 GB for embedding and head; an adapter's
    base 2. Beside it stands what a sheet of 4096 tokens keeps."""
    most = device.CONFIGS[SHAPE]["num_hidden_layers"]
    if not THERE:
        return most
    each, rest = (5.2e9, 40e9) if isinstance(method, Full) else (1.9e9, 20e9)
    free, _ = torch.get_device_module(torch.accelerator.current_accelerator()).mem_get_info()
    return max(2, min(most, int((free - rest) / each)))


@gpu
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("name", list(METHODS))
def test_every_method_learns_there(world, name, checkpointing):
    method = METHODS[name]
    race = replace(RACE, method=method, texts=4, checkpointing=checkpointing)
    ran = device.ours(race, SHAPE, 4, world, num_hidden_layers=layers(method))
    assert all(map(math.isfinite, ran.losses))
    assert ran.losses[-1] < ran.losses[0], ran.losses


@gpu
@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="needs bitsandbytes")
def test_four_bits_learn_there(world, tmp_path, monkeypatch):
    from finetune.world import open_base

    need_bitsandbytes("this test")
    device.network(SHAPE, world.device, num_hidden_layers=2).save_pretrained(tmp_path / "base")
    opened = open_base(tmp_path / "base", torch.bfloat16, four_bit=True)
    monkeypatch.setattr(device, "network", lambda *_, **__: opened)
    ran = device.ours(replace(RACE, method=LoRA(kind="qlora"), texts=4), SHAPE, 4, world)
    assert ran.losses[-1] < ran.losses[0], ran.losses


def step(model, sheet, place):
    """(loss, gradients of what is trained) of a sheet."""
    loss = sheet_loss(model, sheet, place)
    return float(loss.detach()), torch.autograd.grad(loss, list(adapter_parameters(model).values()))


@gpu
@only_there
@pytest.mark.parametrize("name", ["lora", "prefix"])
def test_flash_kernels_over_the_row_are_the_texts_gathered(world, monkeypatch, name):
    """Also that the prefix's keys stand before each text's own: flash attention is causal to the lower right."""
    model = METHODS[name].attach(device.network(SHAPE, world.device, num_hidden_layers=2), tokenizer=None, seed=0)
    segments.adopt(causal(model))
    with torch.no_grad():
        for tensor in adapter_parameters(model).values():
            tensor += 0.02 * torch.randn_like(tensor)
    sheet, taken = packed(device.texts(replace(RACE, texts=6), SHAPE)), []
    found = segments.in_place

    def watched(query, **kwargs):
        taken.append(found(query, **kwargs))
        return taken[-1]

    monkeypatch.setattr(segments, "in_place", watched)
    loss, gradients = step(model, sheet, world.device)
    if taken[0] is None:
        pytest.skip("no flash kernels for this device, or torch before 2.10: rows are gathered")
    assert len(taken) == 2
    monkeypatch.setattr(segments, "in_place", lambda query, **kwargs: None)
    own, others = step(model, sheet, world.device)
    assert own == pytest.approx(loss, rel=1e-3)
    for one, other in zip(gradients, others, strict=True):
        assert float((one - other).norm() / other.norm()) < 3e-2  # of bfloat16's 8 bits, through two layers


@gpu
@only_there
def test_a_base_split_through_accelerate_is_the_whole_one(world, tmp_path):
    """FSDP2 with one process: what accelerate starts, what `World.place` splits."""
    said = yaml.safe_load((ROOT / "recipes" / "launch" / "fsdp.yaml").read_text("utf-8"))
    launch = tmp_path / "fsdp1.yaml"
    launch.write_text(yaml.safe_dump(said | {"num_processes": 1}), "utf-8")
    line = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(launch), "-m"]
    done = run([*line, "tests.device_split", str(launch), SHAPE, "4"])
    split = json.loads(done.splitlines()[-1])
    whole = device.ours(RACE, SHAPE, 3, world, num_hidden_layers=4)
    assert split["split"] is True
    assert split["losses"] == pytest.approx(whole.losses, rel=5e-3)


def run(line) -> str:
    """What a command printed; it must end well."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=HANGS)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.skipif(THERE, reason="the tiny shape is for processors")
def test_the_benchmark_for_accelerators_runs_to_its_end(tmp_path):
    line = [sys.executable, "-m", "tests.benchmarks.device", "--shape", "tiny", "--steps", "3"]
    run([*line, "--out", str(tmp_path / "rows.json")])
    told = json.loads((tmp_path / "rows.json").read_text("utf-8"))
    assert [row["id"] for row in told["rows"]] == list(device.RACES)
    for row in told["rows"]:
        # The same texts from the same weights, where neither adapter changes anything yet.
        assert row["ours"]["loss"][0] == pytest.approx(row["Trainer"]["loss"][0], rel=3e-3)
        assert row["ours"]["tokens_per_second"] > 0  # mfu may be anything: its ceiling is timed apart
        assert row["ours"]["peak_gib"] > 0
