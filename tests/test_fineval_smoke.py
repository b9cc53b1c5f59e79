"""The main job on real finance questions with the real 152k tokenizers: FinEval and CFLUE, tiny random checkpoints."""

from __future__ import annotations

import json
import re
import time
import unicodedata

import pytest
import tiny_real
import torch
from small_exam import ROOT
from small_study import tuneworth, verdict

from eval import items
from finetune.card import DataCard
from finetune.chat import Chat
from finetune.data import prepare
from finetune.recipe import Recipe
from finetune.run import RunDir

pytestmark = [pytest.mark.data, pytest.mark.slow]
RECIPE = ROOT / "recipes" / "fineval_smoke.yaml"


@pytest.fixture(scope="module")
def folder(tmp_path_factory, shared_data):
    """Folder with checkpoints and the run."""
    torch.set_num_threads(1)
    tokenizers = shared_data.parent / "tokenizers"
    if not tokenizers.is_dir():
        pytest.skip(f"no real tokenizers in {tokenizers}")
    folder = tmp_path_factory.mktemp("real")
    tiny_real.build(folder / "models", tokenizers)
    began = time.monotonic()
    named = {"TUNEWORTH_DATA": str(shared_data), "TUNEWORTH_MODELS": str(folder / "models")}
    done = tuneworth("run", RECIPE, "--out", folder / "runs", "--gate", **named)
    print(f"fineval_smoke: {time.monotonic() - began:.0f} s")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_plumbing_passes(folder):
    found = verdict(folder / "runs", "fineval_smoke")
    assert found["outcome"] == "plumbing"
    assert found["plumbing"]["pass"] is True
    decided = {check["name"] for check in found["plumbing"]["checks"] if check["decides"]}
    assert {"items complete", "same questions", "prompt content", "adapter applied", "plan"} < decided
    assert {f"{name} seed 17: loss fell" for name in ("lora", "prefix")} < decided


def test_every_question_of_the_cards_was_answered(folder, shared_data):
    cards = {name: DataCard.read(ROOT / f"data_cards/{name}.md") for name in ("fineval", "cflue")}
    halves = [cards["cflue"].rows(shared_data, half) for half in ("exam_half", "train_half")]
    assert sum(map(len, halves)) == 2492
    asked = {
        "fineval": {row.id for row in cards["fineval"].rows(shared_data, "val")},
        "cflue": {row.id for row in halves[0] if not row.multiple},  # a likelihood chooses one option
    }
    assert len(asked["fineval"]) == 765
    for contender, seed in (("old", 0), ("lora", 17), ("prefix", 17), ("newer", 0)):
        rows = items.read(RunDir(folder / "runs/fineval_smoke").seed(contender, seed).items)
        for task, ids in asked.items():
            answered = [row.id for row in rows if row.task == task]
            assert len(answered) == len(ids)
            assert set(answered) == ids
    assert [task["edition"] for task in verdict(folder / "runs", "fineval_smoke")["tasks"]] == ["subset", "subset"]


def squashed(question: str) -> str:
    """Letters and digits alone: a normalisation of this test's own."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", question)).lower()


def test_no_training_question_stands_in_the_exam(folder, monkeypatch, shared_data):
    monkeypatch.setenv("TUNEWORTH_DATA", str(shared_data))
    monkeypatch.setenv("TUNEWORTH_MODELS", str(folder / "models"))
    recipe = Recipe.read(RECIPE)
    model = recipe.contenders["lora"].model
    learnt = prepare(recipe, "lora", Chat.open(model.folder(), model.family, model.think))
    run = RunDir(folder / "runs/fineval_smoke")
    exam = {squashed(row.question) for row in items.read(run.seed("old", 0).items)}
    questions = [squashed(example.question) for example in (*learnt.train, *learnt.dev)]
    assert len(questions) > 1300
    assert [question for question in questions if question in exam] == []
    assert learnt.excluded > 0, "the sets share questions: some must have been taken out"
    facts = run.seed("lora", 17).trained().training
    assert (facts.rows, facts.dev_rows) == (len(learnt.train), len(learnt.dev))


def test_the_real_markers_are_single_tokens_in_what_was_asked(folder):
    score = json.loads((folder / "runs/fineval_smoke/old/seed-0/score.json").read_text())
    special = score["scoring"]["template"]["special_ids"]
    assert {"<｜User｜>": 151644, "<｜Assistant｜>": 151645, "<｜end▁of▁sentence｜>": 151643}.items() <= special.items()
