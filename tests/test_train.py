"""Training by its entry point: it learns, keeps the best, proves what it saved, and says what it did."""

from __future__ import annotations

import json
import math
import random
import shutil
import sys
from itertools import chain
from pathlib import Path

import pytest
import torch
from conftest import build_checkpoint
from safetensors.torch import load_file, save_file
from small_lesson import LAUNCH, METHODS, facts, manifest, place, rows, words, write_lesson

from finetune.chat import Chat
from finetune.files import digest_of
from finetune.methods import adapter_digest, load
from finetune.recipe import Recipe, Train
from finetune.train.__main__ import main
from finetune.train.loop import Work
from finetune.world import open_base

torch.set_num_threads(1)
both = pytest.mark.parametrize("contender", list(METHODS))


@pytest.fixture
def lesson(tmp_path, tiny):
    """lesson(rows=None, **train) -> the path of a recipe on a tiny checkpoint."""
    return lambda lesson=None, **train: write_lesson(tmp_path, tiny("qwen2"), lesson, **train)


@pytest.fixture(scope="session")
def wide(tmp_path_factory):
    """A tiny checkpoint whose widths are multiples of 64, as a 4-bit base needs."""
    return build_checkpoint(tmp_path_factory.mktemp("wide"), "qwen2", intermediate_size=128)


@pytest.fixture(scope="session")
def sharp(wide, tmp_path_factory):
    """`wide` with a louder last norm: with the bare one no token can reach a probability over one half."""
    folder = Path(shutil.copytree(wide, tmp_path_factory.mktemp("sharp"), dirs_exist_ok=True))
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"] *= 5
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


slow = pytest.mark.slow
MEMORY = [  # contender, epochs until it knows ten rows by heart, knobs
    pytest.param("lora", 60, {"rank": 16}, id="lora"),
    pytest.param("lora", 100, {"rank": 16, "dora": "true"}, id="dora", marks=slow),
    pytest.param("lora", 140, {"rank": 16, "rslora": "true", "learning_rate": 0.01}, id="rslora", marks=slow),
    pytest.param("lora", 100, {"rank": 16, "kind": "qlora"}, id="qlora", marks=slow),
    pytest.param(
        "prompt", 700, {"virtual_tokens": 64, "encoder": "mlp", "encoder_hidden": 64}, id="ptuning_v1", marks=slow
    ),
    pytest.param("prefix", 400, {"virtual_tokens": 64, "learning_rate": 0.1}, id="ptuning_v2"),
    pytest.param("reencoded", 300, {"virtual_tokens": 64, "reencoder": 64}, id="reencoder", marks=slow),
    pytest.param("full", 60, {}, id="full"),
]


@pytest.mark.parametrize(("contender", "epochs", "knobs"), MEMORY)
def test_ten_rows_are_memorised_and_said_again(tmp_path, sharp, contender, epochs, knobs):
    """By the adapter read from disk into a fresh base: the very answers, each ended."""
    if knobs.get("kind") == "qlora":
        pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    ten = [{"prompt": f"{n}", "completion": f"{'利好' if n % 3 else '利空'} {n * 7 % 10}"} for n in range(10)]
    recipe = write_lesson(tmp_path, sharp, ten, epochs=epochs, dev=0, save_every=1000)
    changes = (("--set", f"contenders.{contender}.method.{key}={value}") for key, value in knobs.items())
    assert main(words(recipe, contender, *chain.from_iterable(changes))) == 0
    assert facts(recipe, contender).loss_last < 0.02
    chat = Chat.open(sharp, "r1_distill_qwen", "drop")
    base = open_base(sharp, torch.float32, four_bit=knobs.get("kind") == "qlora")
    model = load(base, place(recipe, contender).adapter).eval()
    for row in ten:
        prompt = torch.tensor([chat.prompt([{"role": "user", "content": row["prompt"]}])])
        asked = {"attention_mask": torch.ones_like(prompt), "pad_token_id": chat.pad, "eos_token_id": chat.stops}
        written = model.generate(input_ids=prompt, max_new_tokens=30, do_sample=False, **asked)[0, prompt.shape[1] :]
        assert written[-1] == chat.eos
        assert chat.split(written.tolist()).answer == row["completion"]


@both
def test_the_loss_falls_on_rows_and_on_dev_rows(lesson, contender):
    recipe = lesson(epochs=12, dev=0.2)
    assert main(words(recipe, contender)) == 0
    found = facts(recipe, contender)
    assert found.loss_last < 0.8 * found.loss_first
    assert found.dev_losses[-1][1] < 0.8 * found.loss_first


@both
def test_the_manifest_says_what_happened(lesson, tiny, contender):
    recipe = lesson(dev=0.2)
    assert main(words(recipe, contender)) == 0
    whole = manifest(recipe, contender)
    found, folder = facts(recipe, contender), place(recipe, contender)
    assert (whole.stage, whole.contender, whole.seed) == ("train", contender, 17)
    assert whole.fingerprint == Recipe.read(recipe).train_fingerprint(contender, 17)
    assert whole.started_at < whole.finished_at
    assert 0 < whole.device_seconds < whole.finished_at - whole.started_at + 1
    assert whole.versions["torch"] == torch.__version__
    assert (whole.hardware.device, whole.hardware.processes) == ("cpu", 1)
    assert found.rows + found.dev_rows == 48
    assert found.dev_rows > 0
    assert len(found.losses) == found.steps == found.losses[-1][0]
    assert [step for step, _ in found.dev_losses] == [math.ceil(found.steps / 2), found.steps]
    assert 0 < found.target_tokens < found.useful_tokens <= found.raw_tokens
    assert found.raw_tokens_per_second >= found.useful_tokens_per_second > 0
    assert found.peak_memory_bytes > 1 << 24
    assert 0 < found.trainable_parameters <= found.parameters
    assert (found.trainable_parameters == found.parameters) == (contender == "full")
    assert found.adapter_norm > 0
    assert found.logit_shift > 1e-3
    assert found.reload_difference == 0
    assert found.end_token_trained
    assert found.data == {"rows": "unpinned"}
    assert found.adapter_digest == adapter_digest(folder.adapter)
    chat = Chat.open(tiny("qwen2"), "r1_distill_qwen", "drop")
    assert found.chat_digest == chat.digest == digest_of(json.loads((folder.adapter / "chat.json").read_text()))
    assert not folder.checkpoints.exists()
    card = (folder.adapter / "README.md").read_text("utf-8")
    for part in ("base_model:", METHODS[contender]["kind"], "rows (train), CC0-1.0", "think policy drop"):
        assert part in card


def test_no_pickle_is_left_behind(lesson):
    recipe = lesson()
    assert main(words(recipe)) == 0
    assert {p.suffix for p in place(recipe).folder.rglob("*") if p.is_file()} <= {".json", ".safetensors", ".md"}


def curve(recipe, contender="lora"):
    found = facts(recipe, contender)
    return [loss for _, loss in (*found.losses, *found.dev_losses)]


ACCUMULATED = [
    *(pytest.param(name, (), id=name, marks=() if name == "lora" else slow) for name in METHODS),
    pytest.param("lora", ("dora=true", "rslora=true"), id="dora", marks=slow),
    pytest.param("lora", ("kind=qlora",), id="qlora", marks=slow),
]


@pytest.mark.parametrize(("contender", "knobs"), ACCUMULATED)
def test_accumulation_is_one_batch(tmp_path, wide, monkeypatch, contender, knobs):
    """The same steps, taken in sheets of at most 64 tokens or each in one."""
    if "kind=qlora" in knobs:
        pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    changes = chain.from_iterable(("--set", f"contenders.{contender}.method.{knob}") for knob in knobs)
    curves, changes = [], list(changes)
    for roomy in (64, 4096):
        monkeypatch.setattr("finetune.train.loop.ROOMY", roomy)
        recipe = write_lesson(tmp_path / str(roomy), wide, tokens_per_step=1200, dev=0.2)
        assert main(words(recipe, contender, *changes)) == 0
        curves.append(curve(recipe, contender))
    assert curves[0] != curves[1]
    assert curves[0] == pytest.approx(curves[1], abs=1e-5)


@both
def test_packing_and_checkpointing_change_no_loss(tmp_path, tiny, contender):
    curves = {}
    for name, knobs in {"packed": {}, "single": {"packing": False}, "again": {"checkpointing": True}}.items():
        recipe = write_lesson(tmp_path / name, tiny("qwen2"), **knobs)
        assert main(words(recipe, contender)) == 0
        curves[name] = curve(recipe, contender)
    assert curves["again"] == curves["packed"]
    assert curves["single"] == pytest.approx(curves["packed"], abs=2e-5)


def test_the_best_checkpoint_is_kept_and_patience_ends_early(lesson):
    """The adapter kept after an early end is, bit for bit, that of a run which ends at the best step."""
    fast = ["--set", "contenders.lora.method.learning_rate=0.03"]
    chance = random.Random(1)  # answers without a rule: learning them by heart makes others worse
    noise = [row | {"completion": chance.choice(["yes", "no", "是", "不是"])} for row in rows(40)]
    steady = {"epochs": 40, "dev": 0.3, "schedule": "constant", "warmup": 0, "save_every": 7}
    recipe = lesson(noise, evaluations=20, patience=2, **steady)
    assert main([*words(recipe), *fast]) == 0
    found, losses = facts(recipe), dict(facts(recipe).dev_losses)
    assert found.stopped == "early", losses
    assert found.best_step == min(losses, key=losses.__getitem__) < found.steps
    assert len([step for step in losses if step > found.best_step]) == 2
    best = load_file(place(recipe).adapter / "adapter_model.safetensors")
    assert main([*words(lesson(noise, evaluations=1, max_steps=found.best_step, **steady)), *fast]) == 0
    straight = load_file(place(recipe).adapter / "adapter_model.safetensors")
    assert facts(recipe).stopped == "max_steps"
    assert best.keys() == straight.keys()
    assert all(torch.equal(best[name], straight[name]) for name in best)


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_the_rate_climbs_and_falls(schedule):
    knobs = Train(warmup=0.2, schedule=schedule)
    work = Work([(0,)] * 50, "done", (), (), knobs, 0.5, 0, 0)
    rates = [work.rate(step) for step in range(50)]
    assert rates[:10] == pytest.approx([0.05 * n for n in range(1, 11)])
    assert rates[10] == 0.5
    falling = rates[10:]
    assert falling == sorted(falling, reverse=True)
    if schedule == "constant":
        assert set(falling) == {0.5}
    else:
        assert 0 < falling[-1] < 0.02
        assert falling[20] == pytest.approx(0.25)


def test_lines_are_plain_and_one_an_event(lesson, capsys):
    recipe = lesson(epochs=1, dev=0.2)
    assert main(words(recipe)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("train lora seed 17: ") for line in lines)
    assert "rows" in lines[0]
    assert "adapter parameters in float32 on float32; 1 x cpu" in lines[0]
    assert sum("dev loss" in line for line in lines) == 3  # the summary's and two losses
    assert lines[-1].startswith("train lora seed 17: done after ")


def test_a_terminal_sees_a_bar_and_the_same_lines(lesson, capsys, monkeypatch):
    recipe = lesson(epochs=1, dev=0.2)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert main(words(recipe)) == 0
    out = capsys.readouterr().out
    assert "train lora seed 17: step 1/" in out
    assert "done after" in out


def test_tensorboard_gets_the_losses(lesson):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason="no tensorboard here")
    recipe = lesson(dev=0.2, tracker="tensorboard")
    assert main(words(recipe)) == 0
    log = reader.EventAccumulator(str(next((place(recipe).folder / "logs").rglob("events.*")).parent))
    log.Reload()
    told = {event.step: event.value for event in log.Scalars("loss")}
    assert told == pytest.approx(dict(facts(recipe).losses), rel=1e-6)
    assert [event.step for event in log.Scalars("dev_loss")] == [step for step, _ in facts(recipe).dev_losses]


def test_wandb_stays_offline_without_a_key(lesson, monkeypatch):
    pytest.importorskip("wandb", reason="no wandb here")
    from small_lesson import finish, start

    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    recipe = lesson(epochs=1, tracker="wandb")
    monkeypatch.setenv("HOME", str(recipe.parent))
    status, _, err = finish(start(words(recipe)))
    assert status == 0, err
    assert list((place(recipe).folder / "logs").rglob("*.wandb"))


def test_a_device_that_is_not_there_is_refused(lesson, capsys):
    if torch.accelerator.is_available():
        pytest.skip("an accelerator is here")
    recipe = lesson()
    assert main(words(recipe, "lora", "--set", f"train.launch={LAUNCH / 'one_gpu.yaml'}")) == 2
    assert "asks for an accelerator, but none is seen" in capsys.readouterr().err


def test_half_precision_trains_and_reloads(lesson):
    recipe = lesson()
    more = [word for name in ("old", "lora", "prefix") for word in ("--set", f"contenders.{name}.model.dtype=bfloat16")]
    assert main(words(recipe, "lora", *more)) == 0
    found = facts(recipe)
    assert found.loss_last < found.loss_first
    assert found.reload_difference == 0
    saved = load_file(place(recipe).adapter / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in saved.values()} == {torch.float32}
