"""Training under blows: killed at any moment, torn files, full disks, bad input. Nothing is lost, one line says why."""

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

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from small_lesson import LAUNCH, METHODS, facts, finish, manifest, place, rows, start, words, write_lesson

from finetune.methods import adapter_parameters, load
from finetune.recipe import Recipe
from finetune.train.__main__ import main
from finetune.train.loop import Loop, exploded

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


def refused(capsys):
    """The one line on standard error."""
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("tuneworth: ")
    return lines[0]


def kill_at_random(process, draw):
    """SIGKILL within a second after the first step; False where it was done before that."""
    for line in process.stdout:
        if ": step " in line:
            time.sleep(draw.random())
            process.send_signal(signal.SIGKILL)
            break
    process.communicate()
    return process.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("contender", "kills"),
    [("lora", 1), *(pytest.param(name, 5, marks=pytest.mark.slow) for name in METHODS)],
)
def test_killed_at_random_and_started_again_is_the_undisturbed_run(lesson, undisturbed, contender, kills):
    recipe, draw = lesson(**LONG), random.Random()
    hit = sum(kill_at_random(start(words(recipe, contender)), draw) for _ in range(kills))
    assert hit or place(recipe, contender).trained()
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


def write_checkpoint(recipe):
    """What an unfinished run of this very recipe leaves."""
    folder = place(recipe).checkpoints / "step-000005"
    folder.mkdir(parents=True)
    state = {"fingerprint": Recipe.read(recipe).train_fingerprint("lora", 17), "processes": 1, "sha256": {}}
    (folder / "state.json").write_text(json.dumps(state | {"progress": {"step": 5}}))


def add_row(recipe):
    with (recipe.parent / "rows.jsonl").open("a") as out:
        out.write('{"prompt": "one more", "completion": "yes"}\n')


def change_tokenizer(recipe):
    folder = Path(yaml.safe_load(recipe.read_text())["contenders"]["lora"]["model"]["id"])
    path = folder / "tokenizer.json"
    raw = json.loads(path.read_text())
    raw["model"]["merges"].pop()
    path.write_text(json.dumps(raw))


@pytest.mark.parametrize("change", [add_row, change_tokenizer])
def test_an_unfinished_run_of_other_data_or_tokenizer_is_not_gone_on_with(tmp_path, tiny, capsys, change):
    model = tmp_path / "model"
    shutil.copytree(tiny("qwen2"), model)
    recipe = write_lesson(tmp_path, model, **LONG)
    write_checkpoint(recipe)
    change(recipe)
    assert main(words(recipe)) == 2
    assert "another recipe, data or checkpoint" in refused(capsys)


def test_an_unfinished_run_of_more_processes_is_not_gone_on_with(abandoned, capsys):
    recipe = abandoned(12)
    for path in place(recipe).checkpoints.glob("*/state.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"processes": 2}))
    assert main(words(recipe)) == 2
    assert "had 2 processes, now there are 1" in refused(capsys)


def poisoned(tiny, folder):
    """A checkpoint whose embedding is infinite at the ids of a word that one row alone uses."""
    from finetune.chat import Chat

    shutil.copytree(tiny("qwen2"), folder)
    (only,) = set(Chat.open(folder, "r1_distill_qwen", "drop").encode("Ω")[-1:])
    weights = load_file(folder / "model.safetensors")
    weights["model.embed_tokens.weight"][only] = float("inf")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_a_loss_that_is_not_finite_names_its_rows(tmp_path, tiny, capsys):
    lesson = rows(30)
    lesson[7]["prompt"] += " Ω"
    folder = poisoned(tiny, tmp_path / "poisoned")
    recipe = write_lesson(tmp_path, folder, lesson, tokens_per_step=60, packing=False, dev=0)
    assert main(words(recipe)) == 2
    line = refused(capsys)
    assert "the loss is not finite in rows" in line
    assert "rows#train:7" in line
    assert "method.learning_rate" in line
    assert place(recipe).trained() is None


def test_a_gradient_that_is_not_finite_stops_too(lesson, capsys, monkeypatch):
    from finetune.train import loop

    monkeypatch.setattr(loop.torch.nn.utils, "clip_grad_norm_", lambda *_: torch.tensor(float("inf")))
    assert main(words(lesson())) == 2
    line = refused(capsys)
    assert "step 1: the gradient is not finite in rows rows#train:" in line
    assert line.endswith("nothing was saved before it")


def test_a_dev_loss_that_is_not_finite_stops_too(lesson, capsys, monkeypatch):
    monkeypatch.setattr(Loop, "dev_loss", lambda self: float("nan"))
    assert main(words(lesson(dev=0.3))) == 2
    assert "the dev loss is not finite; lower method.learning_rate" in refused(capsys)


def test_an_exploding_loss_stops_and_names_rows(lesson, capsys):
    recipe = lesson(epochs=12, tokens_per_step=120, save_every=5, warmup=0.5)
    wild = ["--set", "contenders.lora.method={kind: lora, rank: 4, learning_rate: 3, targets: [lm_head]}"]
    assert main(words(recipe, "lora", *wild)) == 2
    line = refused(capsys)
    assert "the loss has exploded, from 6." in line
    assert ") in rows rows#train:" in line
    assert "lower method.learning_rate (3)" in line
    assert "raise train.explode (3); the checkpoint before it is kept in" in line
    assert line.endswith("move it away to start anew with a changed recipe")
    assert list(place(recipe).checkpoints.glob("step-*"))


@pytest.mark.parametrize(
    ("losses", "found"),
    [
        ([2.0] * 5 + [7.0] * 5, True),
        ([2.0] * 5 + [7.0, 7.0, 5.9, 7.0, 7.0], False),  # five in a row
        ([2.0] * 5 + [7.0] * 4, False),
        ([2.0, 9.0, 90.0, 80.0, 90.0] + [90.0] * 5, True),  # from the second step on
        ([0.01] * 5 + [0.5] * 5, False),  # a loss near nothing may grow
        ([0.01] * 5 + [3.5] * 5, True),
        ([2.0] * 9, False),
    ],
)
def test_what_an_explosion_is(losses, found):
    assert exploded(losses, 3) is found
    assert not exploded(losses, 0)


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


def break_line(recipe):
    with (recipe.parent / "rows.jsonl").open("a") as out:
        out.write('{"prompt": "half\n')
    return "rows.jsonl:49: not JSON"


def lose_model(recipe):
    shutil.rmtree(recipe.parent / "model")
    return "has no config.json"


def lose_weights(recipe):
    path = recipe.parent / "model" / "model.safetensors"
    weights = load_file(path)
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, path, metadata={"format": "pt"})
    return "no fitting weights for model.layers.1.mlp.up_proj.weight"


def cut_weights(recipe):
    path = recipe.parent / "model" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    return "cannot be loaded"


def swap_tokenizer(recipe):
    from conftest import MARKERS, train_tokenizer

    train_tokenizer(MARKERS["qwen3"]).save(str(recipe.parent / "model" / "tokenizer.json"))
    return "not a tokenizer of family r1_distill_qwen"


def break_config(recipe):
    (recipe.parent / "model" / "config.json").write_text("{")
    return "config.json"


def widen_config(recipe):
    path = recipe.parent / "model" / "config.json"
    wide = json.loads(path.read_text())
    path.write_text(json.dumps({**wide, "intermediate_size": 2 * wide["intermediate_size"]}))
    return "no fitting weights for model.layers.0.mlp.down_proj.weight"


def break_recipe(recipe):
    recipe.write_text(recipe.read_text().replace("rank:", "rnak:"))
    return "contenders.lora.method.rnak: unknown; did you mean rank?"


@pytest.mark.parametrize(
    "blow",
    [break_line, lose_model, lose_weights, cut_weights, swap_tokenizer, break_config, widen_config, break_recipe],
)
def test_bad_input_is_one_line_and_writes_nothing(tmp_path, tiny, capsys, blow):
    shutil.copytree(tiny("qwen2"), tmp_path / "model")
    recipe = write_lesson(tmp_path, tmp_path / "model")
    said = blow(recipe)
    assert main(words(recipe)) == 2
    assert said in refused(capsys)
    assert not place(recipe).train_manifest.exists()
    assert not place(recipe).adapter.exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--contender", "nobody"], "unknown; the recipe has full, lora, old, prefix, prompt, reencoded"),
        (["--contender", "old"], "has no method, so there is nothing to train"),
        (["--seed", "5"], "not among train.seeds (17)"),
        (["--set", "train.tracker=nobody"], "train.tracker: nobody is unknown"),
        (["--set", "train.max_length=8"], "train.max_length: 8 cuts an answer"),
        (
            ["--set", f"train.launch={LAUNCH / 'cpu2.torchrun.yaml'}"],
            "promises 2 processes (MULTI_CPU), but 1 (NO) run",
        ),
        (["--set", "train.launch=nowhere.yaml"], "no such file"),
        (["--set", "train.max_length=4096", "--set", "data=[long.md]"], "the model has 512 positions"),
        (["--set", "contenders.lora.method.learning_rate=1.0e-30"], "training changed nothing"),
    ],
)
def test_a_request_that_cannot_be_met_is_one_line(lesson, capsys, more, said):
    from small_lesson import write_card

    recipe = lesson()
    write_card(recipe.parent / "long.md", [{"prompt": "利好" * 400, "completion": "yes"}] * 2)
    assert main(words(recipe, "lora", *more)) == 2
    assert said in refused(capsys)
    assert not place(recipe).adapter.exists()


def test_a_missing_tracker_is_named(lesson, capsys, monkeypatch):
    monkeypatch.setattr("finetune.world.get_available_trackers", list)
    assert main(words(lesson(tracker="swanlab"))) == 2
    assert "the package of swanlab is not installed; `pip install swanlab`" in refused(capsys)


def test_an_adapter_that_does_not_come_back_is_not_kept(lesson, monkeypatch):
    from finetune.train import reread

    def halved(model, folder):
        read = load(model, folder)
        for tensor in adapter_parameters(read).values():
            tensor.data.mul_(0.5)
        return read

    monkeypatch.setattr(reread, "load", halved)
    recipe = lesson()
    with pytest.raises(RuntimeError, match="read back from disk gives other logits"):
        main(words(recipe))
    assert not place(recipe).adapter.exists()
    assert place(recipe).trained() is None
    assert not [name for name in os.listdir(place(recipe).folder) if name.startswith(".adapter")]
