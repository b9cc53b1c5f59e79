"""Training under blows: killed at any moment, torn files, full disks. Nothing is lost; what cannot go on says why."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import leash
import pytest
import torch
from safetensors.torch import load_file
from small_lesson import METHODS, facts, finish, manifest, place, refused, start, words, write_lesson

from finetune.train.__main__ import main
from finetune.train.loop import Loop

torch.set_num_threads(1)
LONG = {"epochs": 12, "tokens_per_step": 120, "save_every": 5, "evaluations": 6, "dev": 0.2}  # some 100 steps


@pytest.fixture
def lesson(tmp_path, tiny):
    folder = tiny("qwen2")  # built before a test listens to what is said
    return lambda lesson=None, **train: write_lesson(tmp_path / "it", folder, lesson, **train)


@pytest.fixture(scope="session")
def undisturbed(tiny, tmp_path_factory):
    """undisturbed(contender) -> what a run of LONG gives that nobody disturbs."""
    known = {}

    def run(contender):
        if contender not in known:
            recipe = write_lesson(tmp_path_factory.mktemp(contender), tiny("qwen2"), **LONG)
            assert main(words(recipe, contender)) == 0
            known[contender] = facts(recipe, contender)
        return known[contender]

    return run


def same(one, other):
    """Bit for bit: losses, dev losses and the adapter's bytes."""
    assert one.losses == other.losses
    assert one.dev_losses == other.dev_losses
    assert one.adapter_digest == other.adapter_digest
    assert (one.useful_tokens, one.target_tokens) == (other.useful_tokens, other.target_tokens)


def kill_at_random(process, draw):
    """SIGKILL within some lines after the first step. It is on a leash, so it has not ended by then."""
    told = iter(process.stdout)
    next(line for line in told if ": step " in line)
    for _ in range(draw.randrange(6)):
        next(told)
    time.sleep(draw.random() / 20)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("contender", "kills"),
    [("lora", 1), *(pytest.param(name, 5, marks=pytest.mark.slow) for name in METHODS)],
)
def test_killed_at_random_and_started_again_is_the_undisturbed_run(lesson, undisturbed, contender, kills):
    recipe, draw = lesson(**LONG), random.Random(contender)
    for _ in range(kills):
        kill_at_random(leash.started(start, words(recipe, contender)), draw)
    status, out, err = finish(start(words(recipe, contender)))
    assert status == 0, err
    same(facts(recipe, contender), undisturbed(contender))


TORN = {
    "before the rename": "import os, shutil; from finetune.train import savepoint; replace = os.replace\n"
    "def torn(a, b):\n"
    "    os.kill(os.getpid(), 9) if 'step-000015' in str(b) else replace(a, b)\n"
    "os.replace = torn",
    "in the middle of a file": "import os; from finetune.train import savepoint; put = savepoint._put_tensors\n"
    "def torn(path, tensors):\n"
    "    digest = put(path, tensors)\n"
    "    if 'step-000015' in str(path) and path.name.startswith('opt'):\n"
    "        os.truncate(path, path.stat().st_size // 2); os.kill(os.getpid(), 9)\n"
    "    return digest\n"
    "savepoint._put_tensors = torn",
}


@pytest.mark.parametrize("moment", TORN)
def test_killed_while_saving_goes_on_from_the_one_before(lesson, undisturbed, moment):
    recipe = lesson(**LONG)
    status, _, _ = finish(start(words(recipe), code=TORN[moment]))
    assert status == -signal.SIGKILL
    kept = sorted(path.name for path in place(recipe).checkpoints.glob("step-*"))
    assert kept == ["step-000005", "step-000010"]
    status, out, err = finish(start(words(recipe)))
    assert status == 0, err
    assert "goes on after step 10" in out
    same(facts(recipe), undisturbed("lora"))
    assert not list(place(recipe).folder.glob("*/.step*"))


class Gone(Exception):  # noqa: N818 (it stands for a kill)
    """The process is no more."""


@pytest.fixture
def abandoned(lesson, monkeypatch):
    """abandoned(step, *more) -> a LONG recipe whose run ended without a word after that step."""

    def make(step, *more, contender="lora"):
        recipe, take = lesson(**LONG), Loop._step

        def last(self):
            if self.progress.step == step:
                raise Gone
            return take(self)

        monkeypatch.setattr(Loop, "_step", last)
        with pytest.raises(Gone):
            main(words(recipe, contender, *more))
        monkeypatch.setattr(Loop, "_step", take)
        return recipe

    return make


def test_a_damaged_checkpoint_is_passed_over(abandoned, undisturbed, capsys):
    recipe = abandoned(17)
    newest = place(recipe).checkpoints / "step-000015" / "adapter.safetensors"
    newest.write_bytes(newest.read_bytes()[:-8] + b"\0\0\0\0\0\0\0\1")
    assert main(words(recipe)) == 0
    out = capsys.readouterr().out
    assert "step-000015 is damaged" in out
    assert "goes on after step 10" in out
    same(facts(recipe), undisturbed("lora"))


class Trap:
    """What a pickle can do to whoever opens it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_put_in_place_of_the_optimizers_state_is_never_opened(abandoned, undisturbed, capsys, tmp_path):
    """With its digest put right in state.json, as whoever planted it would."""
    recipe, sprung = abandoned(17), tmp_path / "sprung"
    newest = place(recipe).checkpoints / "step-000015"
    torch.save({"exp_avg": Trap(sprung)}, newest / "optimizer.safetensors")
    state = json.loads((newest / "state.json").read_text("utf-8"))
    state["sha256"]["optimizer"] = hashlib.sha256((newest / "optimizer.safetensors").read_bytes()).hexdigest()
    (newest / "state.json").write_text(json.dumps(state), "utf-8")
    assert main(words(recipe)) == 0
    assert not sprung.exists()
    out = capsys.readouterr().out
    assert "step-000015 is damaged (SafetensorError)" in out
    assert "goes on after step 10" in out
    same(facts(recipe), undisturbed("lora"))


def test_a_damaged_checkpoint_is_replaced_when_its_step_comes_again(abandoned, capsys):
    recipe = abandoned(17)
    (place(recipe).checkpoints / "step-000015" / "state.json").write_text("{")
    assert abandoned(17) == recipe
    assert "goes on after step 10" in capsys.readouterr().out
    assert main(words(recipe)) == 0
    assert "goes on after step 15" in capsys.readouterr().out


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_polite_stop_saves_the_step_at_hand(lesson, undisturbed, capsys, monkeypatch, number):
    recipe, take = lesson(**LONG), Loop._step

    def step(self):
        if self.progress.step == 17:
            os.kill(os.getpid(), number)
        return take(self)

    monkeypatch.setattr(Loop, "_step", step)
    assert main(words(recipe)) == 128 + number
    assert refused(capsys) == f"tuneworth: {number.name} after step 18, which is saved; start again to go on"
    monkeypatch.setattr(Loop, "_step", take)
    assert main(words(recipe)) == 0
    assert "goes on after step 18" in capsys.readouterr().out
    same(facts(recipe), undisturbed("lora"))


@pytest.mark.parametrize("contender", ["reencoded", "prompt"])
def test_an_encoder_goes_on_bit_for_bit_too(abandoned, undisturbed, capsys, contender):
    """All that it has learned is in the checkpoint, not only the prompt it makes."""
    recipe = abandoned(17, contender=contender)
    kept = load_file(place(recipe, contender).checkpoints / "step-000015" / "adapter.safetensors")
    assert any(".mlp." in name for name in kept)
    assert main(words(recipe, contender)) == 0
    assert "goes on after step 15" in capsys.readouterr().out
    same(facts(recipe, contender), undisturbed(contender))


def test_dropout_goes_on_bit_for_bit_too(abandoned, tmp_path, tiny):
    dropout = ["--set", "contenders.lora.method.dropout=0.2"]
    straight = write_lesson(tmp_path / "straight", tiny("qwen2"), **LONG)
    assert main(words(straight, "lora", *dropout)) == 0
    recipe = abandoned(17, *dropout)
    assert main(words(recipe, "lora", *dropout)) == 0
    same(facts(recipe), facts(straight))


def test_what_a_kill_leaves_beside_a_finished_run_is_no_unfinished_run(abandoned, capsys):
    """Killed between train.json and the removal of the checkpoints, then the recipe changed."""
    recipe = abandoned(12)
    left = recipe.parent / "left"
    shutil.copytree(place(recipe).checkpoints, left)
    assert main(words(recipe)) == 0
    shutil.move(left, place(recipe).checkpoints)
    assert main(words(recipe)) == 0
    assert main(words(recipe, "lora", "--set", "train.clip=0.5")) == 0
    assert "goes on" not in capsys.readouterr().out.partition("the recipe has changed")[2]


def test_seconds_of_a_killed_start_are_paid_for(abandoned):
    recipe = abandoned(12)
    before = {"started_at": 1.0, "seconds": 5000.0}
    (place(recipe).checkpoints / "clock.json").write_text(json.dumps(before))
    assert main(words(recipe)) == 0
    assert manifest(recipe).device_seconds > 5000
    assert manifest(recipe).started_at == 1


def test_a_torn_note_of_the_time_ends_no_run(abandoned):
    recipe = abandoned(12)
    (place(recipe).checkpoints / "clock.json").write_text('{"seconds": 50')
    assert main(words(recipe)) == 0
    assert manifest(recipe).device_seconds > 0


def test_an_unfinished_run_of_another_recipe_is_not_gone_on_with(abandoned, capsys):
    recipe = abandoned(12)
    assert main(words(recipe, "lora", "--set", "train.clip=0.5")) == 2
    line = refused(capsys)
    assert "another recipe, data or checkpoint" in line
    assert str(place(recipe).checkpoints) in line
    shutil.move(place(recipe).checkpoints, recipe.parent / "away")
    assert main(words(recipe, "lora", "--set", "train.clip=0.5")) == 0


def test_an_unfinished_run_of_more_processes_is_not_gone_on_with(abandoned, capsys):
    recipe = abandoned(12)
    for path in place(recipe).checkpoints.glob("*/state.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"processes": 2}))
    assert main(words(recipe)) == 2
    assert "had 2 processes, now there are 1" in refused(capsys)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 600 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_ends_in_one_line_and_keeps_the_last_checkpoint(
    abandoned, undisturbed, small_disk, tmp_path, capsys
):
    (tmp_path / "it").mkdir()
    (tmp_path / "it" / "runs").symlink_to(small_disk)
    recipe = abandoned(7)
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * (shutil.disk_usage(small_disk).free - 20_000))
    assert main(words(recipe)) == 2
    assert "no space left on the device" in refused(capsys)
    assert [path.name for path in place(recipe).checkpoints.glob("*step-*")] == ["step-000005"]
    filler.unlink()
    assert main(words(recipe)) == 0
    assert "goes on after step 5" in capsys.readouterr().out
    same(facts(recipe), undisturbed("lora"))
