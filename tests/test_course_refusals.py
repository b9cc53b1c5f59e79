"""Faults of a recipe, its data and its checkpoints, told by the front door in one line before anything is written."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
import yaml
from small_study import lines_started, write_study


@pytest.fixture
def own(tmp_path):
    """A study to be broken; no run yet."""
    torch.set_num_threads(1)
    return write_study(tmp_path)


def refused(front, recipe: Path, *words: object, command: str = "run") -> str:
    """The one line with which the front door refuses; nothing may be written, nothing started."""
    status, said, complaint = front(command, recipe, *words, "--out", recipe.parent / "runs")
    assert status == 2
    assert re.fullmatch(r"tuneworth: [^\n]+\n", complaint), complaint
    assert not (recipe.parent / "runs").exists()
    assert lines_started(said) == []
    return complaint


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("contenders.tuned.method.rnak=4", "contenders.tuned.method.rnak: unknown; did you mean rank?"),
        ("rule.incumbent=nobody", "rule.incumbent: nobody is no contender"),
        ("contenders.newer.model.id=./gone", "gone has no config.json"),
        ("contenders.framed.prompt=gone.yaml", "gone.yaml: no such file"),
        ("data=[gone.md]", "gone.md: No such file"),
        ("exam.tasks=[gone]", "no gone.yaml in"),
        ("contenders.tuned={model: {id: ./old, family: r1_distill_qwen, think: empty}, adapter: ./x, adapter_cost: 0}",
         "no adapter_config.json"),
    ],
)  # fmt: skip
def test_a_fault_of_the_recipe_is_one_line(own, front, change, said):
    assert said in refused(front, own, "--set", change)


def test_a_recipe_that_is_no_yaml_is_one_line(own, front):
    own.write_text("question: [why\ncontenders: {}\n")
    assert re.search(r"study\.yaml:\d: not YAML", refused(front, own))


def test_a_change_that_is_no_yaml_is_one_line(own, front):
    assert "--set" in refused(front, own, "--set", "exam.tasks=[own")


@pytest.mark.parametrize("command", ["train", "score"])
def test_a_contender_that_is_not_there_is_one_line(own, front, command):
    said = refused(front, own, "--contender", "tunde", command=command)
    assert "--contender tunde: unknown; the recipe has old, tuned, newer, framed" in said


def test_a_contender_without_a_method_is_not_trained(own, front):
    assert "newer: has no method" in refused(front, own, "--contender", "newer", command="train")


@pytest.mark.parametrize("name", ["exam", "tune"])
@pytest.mark.parametrize(
    ("torn", "said"), [('{"id": "q1", "quest', "not JSON"), ('{"id": "q1", "question": "?"}', "no column")]
)
def test_a_broken_line_of_the_data_is_one_line(own, front, name, torn, said):
    path = own.parent / f"exam/{name}.jsonl"
    lines = path.read_text("utf-8").splitlines()
    path.write_text("\n".join([*lines[:6], torn, *lines[7:]]) + "\n", "utf-8")
    assert re.search(rf"{name}\.jsonl:7: {said}", refused(front, own))


@pytest.mark.parametrize("contender", ["tuned", "newer"])
def test_a_tokenizer_of_another_family_is_one_line(own, front, contender):
    other = {"tuned": "qwen3", "newer": "r1_distill_qwen"}[contender]
    said = refused(front, own, "--set", f"contenders.{contender}.model.family={other}", "--set", "train.max_steps=1")
    assert f"not a tokenizer of family {other}" in said


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("train.launch=gone.yaml", r"train\.launch: .+gone\.yaml: no such file; there are study\.yaml"),
        ("exam.launch=studdy.yaml", r"exam\.launch: .+studdy\.yaml: no such file; did you mean study\.yaml\?"),
        ("train.tracker=wandbb", r"train\.tracker: wandbb is unknown; did you mean wandb\?"),
        (
            "contenders.framed.model={id: embedded:nope, family: qwen3, think: empty}",
            r"contenders\.framed\.model\.id: embedded:nope is unknown; did you mean embedded:",
        ),
    ],
)
def test_what_a_stage_would_miss_later_is_refused_before(own, front, command, change, said):
    assert re.search(said, refused(front, own, "--set", change, command=command))


def test_an_exam_of_one_document_is_refused_before_anything_runs(own, front):
    exam = own.parent / "exam/exam.jsonl"
    rows = [json.loads(line) | {"cluster": "one"} for line in exam.read_text("utf-8").splitlines()]
    exam.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    said = refused(front, own)
    assert "task own: one cluster holds all 48 questions that are judged on" in said
    assert "column `cluster` of card own" in said
    status, shown, _ = front("check", own)
    assert status == 0
    assert "cannot be judged" in " ".join(shown.split())


@pytest.mark.parametrize("command", ["judge", "report"])
def test_judging_what_has_not_run_is_one_line(own, front, command):
    refused(front, own, command=command)


def test_recipes_at_the_root_say_which_key_of_which_file(own, front):
    """Several faults are several lines, each with its key."""
    raw = yaml.safe_load(own.read_text("utf-8"))
    raw["rule"]["marign"] = 0.1
    raw["exam"]["sample"] = 2
    own.write_text(yaml.safe_dump(raw), "utf-8")
    status, _, complaint = front("check", own)
    assert status == 2
    assert "exam.sample: unknown; did you mean samples?" in complaint
    assert "rule.marign: unknown; did you mean margin?" in complaint
