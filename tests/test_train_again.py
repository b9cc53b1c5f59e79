"""Training asked for again: what is done is left alone, what changed is set aside, and each seed is its own."""

from __future__ import annotations

import pytest
import torch
from small_lesson import LAUNCH, facts, manifest, place, words, write_lesson

from finetune.methods import adapter_digest
from finetune.train.__main__ import main

torch.set_num_threads(1)


@pytest.fixture
def lesson(tmp_path, tiny):
    return lambda **train: write_lesson(tmp_path, tiny("qwen2"), **train)


def test_done_and_unchanged_is_left_alone(lesson, capsys):
    recipe = lesson(epochs=1)
    assert main(words(recipe)) == 0
    first = place(recipe).train_manifest.stat().st_mtime_ns
    capsys.readouterr()
    assert main(words(recipe)) == 0
    assert capsys.readouterr().out == "train lora seed 17: done, unchanged\n"
    assert place(recipe).train_manifest.stat().st_mtime_ns == first


def test_a_changed_recipe_sets_the_old_adapter_aside(lesson):
    recipe = lesson(epochs=1)
    assert main(words(recipe)) == 0
    before, digest = manifest(recipe), adapter_digest(place(recipe).adapter)
    assert main(words(recipe, "lora", "--set", "train.clip=0.5")) == 0
    shelf = place(recipe).folder / f".old-{before.fingerprint[:12]}"
    assert adapter_digest(shelf / "adapter") == digest
    assert (shelf / "train.json").is_file()
    assert manifest(recipe).fingerprint != before.fingerprint


def test_the_machine_is_not_in_the_fingerprint(lesson):
    recipe = lesson(epochs=1)
    assert main(words(recipe)) == 0
    first = manifest(recipe)
    assert (
        main(words(recipe, "lora", "--set", "train.save_every=7", "--set", f"train.launch={LAUNCH / 'cpu.yaml'}")) == 0
    )
    assert manifest(recipe) == first


def test_every_seed_is_trained_without_seed(lesson):
    recipe = lesson(epochs=1, seeds=[3, 4])
    assert main(words(recipe)) == 0
    three, four = facts(recipe, seed=3), facts(recipe, seed=4)
    assert three.losses != four.losses
    assert three.rows == four.rows
