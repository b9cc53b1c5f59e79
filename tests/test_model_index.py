"""The exported card's model-index: what the Hub's own reader takes out of it is what the verdict says."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from small_lesson import facts, place, words, write_lesson
from verdict_samples import sample

from finetune.export.__main__ import main as export
from finetune.run import RunDir
from finetune.train.__main__ import main as train


@pytest.fixture(scope="module")
def lesson(tmp_path_factory, tiny) -> Path:
    """The recipe of a trained LoRA."""
    recipe = write_lesson(tmp_path_factory.mktemp("indexed"), tiny("qwen2"), max_steps=2)
    assert train(words(recipe)) == 0
    return recipe


def exported(recipe: Path, to: Path, outcome: str, *more: str, **change: Any) -> tuple[ModelCard, dict[str, Any]]:
    """The card of an export beside a verdict on this very adapter: the judge's own, on answers made up; with it."""
    said = json.loads(sample(outcome).model_dump_json()) | change
    origin = next(each for each in said["provenance"]["contenders"] if each["name"] == "lora")
    origin["adapters"] = {"17": facts(recipe).adapter_digest}
    verdict = RunDir(place(recipe).folder.parent.parent).verdict
    verdict.write_text(json.dumps(said), "utf-8")
    try:
        assert export(words(recipe, "lora", "--to", str(to), *more)) == 0
        said["sha256"] = hashlib.sha256(verdict.read_bytes()).hexdigest()
    finally:
        verdict.unlink()
    return ModelCard.load(to / "README.md"), said


def test_the_hub_reads_scores_with_their_intervals(lesson, tmp_path):
    card, said = exported(lesson, tmp_path / "adapter", "worth_it")
    assert card.data.model_name == "lesson-lora"
    row = next(each for each in said["contenders"] if each["name"] == "lora")
    scores = {each["task"]: each for each in row["tasks"]}
    assert len(card.data.eval_results) == len(said["tasks"]) == 3
    for found, task in zip(card.data.eval_results, said["tasks"], strict=True):
        score = scores[task["name"]]
        assert (found.task_type, found.dataset_name) == ("text-generation", task["name"])
        assert found.dataset_type == task["card"]
        assert (found.dataset_split, found.dataset_revision) == (task["split"], task["edition"])
        assert found.dataset_args == {"version": task["version"], "items_sha256": task["items_digest"]}
        assert found.metric_type == {"acc": "accuracy", "exact": "exact_match"}[task["metric"]]
        assert found.metric_value == pytest.approx(score["score"], abs=1e-6)
        beside = found.metric_args
        assert (beside["low"], beside["high"]) == pytest.approx((score["low"], score["high"]), abs=1e-6)
        assert (beside["n"], beside["clusters"], beside["confidence"]) == (task["n"], task["clusters"], 0.95)
        assert beside["blind_guess"] == pytest.approx(task["guess_rate"], abs=1e-6)
        assert (beside["training_seeds"], beside["verdict"]) == ([17], "worth_it")
        assert beside["verdict_json_sha256"] == said["sha256"]
        assert "scored" not in beside


def test_the_card_goes_through_the_hubs_reader_and_back(lesson, tmp_path):
    card, _ = exported(lesson, tmp_path / "adapter", "inconclusive")
    card.save(tmp_path / "again.md")
    again = ModelCard.load(tmp_path / "again.md")
    assert again.data.to_dict() == card.data.to_dict()
    assert again.text.strip() == card.text.strip()
    assert card.data.to_dict()["base_model_relation"] == "adapter"


def test_merged_weights_say_what_was_scored(lesson, tmp_path):
    card, _ = exported(lesson, tmp_path / "whole", "worth_it", "--merge")
    assert {each.metric_args["scored"] for each in card.data.eval_results} == {"the adapter on its base, unmerged"}


@pytest.mark.parametrize("outcome", ["invalid", "plumbing"])
def test_no_score_that_does_not_stand(lesson, tmp_path, outcome):
    card, _ = exported(lesson, tmp_path / "adapter", outcome)
    assert card.data.eval_results is None
    assert "model-index" not in (tmp_path / "adapter" / "README.md").read_text("utf-8")


def test_nothing_is_invented_without_a_verdict(lesson, tmp_path):
    assert export(words(lesson, "lora", "--to", str(tmp_path / "adapter"))) == 0
    assert ModelCard.load(tmp_path / "adapter" / "README.md").data.eval_results is None
