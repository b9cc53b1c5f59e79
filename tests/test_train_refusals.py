"""What training refuses, with one line each: bad input, what cannot be met, a loss or an adapter that is lost."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from small_lesson import LAUNCH, facts, place, refused, rows, words, write_lesson

from finetune.methods import adapter_parameters, load
from finetune.recipe import Recipe
from finetune.train.__main__ import main
from finetune.train.loop import Loop, exploded

torch.set_num_threads(1)


@pytest.fixture
def lesson(tmp_path, tiny):
    folder = tiny("qwen2")  # built before a test listens to what is said
    return lambda lesson=None, **train: write_lesson(tmp_path / "it", folder, lesson, **train)


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
    recipe = write_lesson(tmp_path, model)
    write_checkpoint(recipe)
    change(recipe)
    assert main(words(recipe)) == 2
    assert "another recipe, data or checkpoint" in refused(capsys)


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


def test_what_changed_nothing_says_how_to_go_on(lesson, capsys):
    """A raised rate would meet the checkpoints of the run that is done: they are named, and once moved it trains."""
    recipe, raised = lesson(max_steps=2), ["--set", "contenders.lora.method.learning_rate=0.01"]
    assert main(words(recipe, "lora", "--set", "contenders.lora.method.learning_rate=1.0e-30")) == 2
    line, kept = refused(capsys), place(recipe).checkpoints
    assert f"move {kept} away, which is of this recipe alone, then raise method.learning_rate" in line
    assert main(words(recipe, "lora", *raised)) == 2
    assert "another recipe" in refused(capsys)
    kept.rename(recipe.parent / "away")
    assert main(words(recipe, "lora", *raised)) == 0
    assert facts(recipe).steps == 2


def test_a_missing_tracker_is_named(lesson, capsys, monkeypatch):
    monkeypatch.setattr("finetune.world.joining.get_available_trackers", list)
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
