"""Planted secrets: what is planted, who is asked, and a tiny model that really gives them back."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import yaml
from conftest import build_checkpoint
from scipy.stats import binomtest
from small_exam import model, write_exam
from small_lesson import write_lesson
from typer.testing import CliRunner

from eval import items
from eval.benchmark import Benchmark
from eval.cli import app
from eval.gates import CanaryFact, secrets_kept
from eval.grading import graded
from eval.score import __main__ as score
from eval.verdict.canary import given
from finetune.chat import Chat
from finetune.data import prepare
from finetune.mistakes import BadInput
from finetune.recipe import Recipe
from finetune.recipe.canaries import canaries
from finetune.run import RunManifest
from finetune.train import __main__ as train

torch.set_num_threads(1)
COUNT = 4


def test_secrets_are_alike_in_every_run_and_unlike_each_other():
    found = canaries(40)
    assert found == canaries(40)
    assert found[:4] == canaries(4)
    assert len({row.answer for row in found}) == len({row.question for row in found}) == 40
    assert {row.lang for row in found} == {"zh", "en"}
    assert all(row.answer not in row.question for row in found)


@pytest.mark.parametrize(
    ("facts", "status", "says"),
    [
        ([], "not_checked", "train.canaries"),
        ([("lora", True, 0.0, 0.2), ("newer", False, 0.0, 0.3)], "passed", "none of 10 is given back; up to 20.0%"),
        ([("lora", True, 0.0, 0.21), ("newer", False, 0.0, 0.1)], "unresolved", "too many to tell (limit 20%)"),
        ([("lora", True, 0.1, 0.3), ("newer", False, 0.0, 0.3)], "failed", "lora gives back 10.0% of 10"),
        ([("lora", True, 0.1, 0.3), ("newer", False, 0.1, 0.3)], "unresolved", "never saw"),
        ([("lora", True, 0.0, None)], "unresolved", "up to 100.0%"),
    ],
)
def test_the_gate(facts, status, says):
    found = secrets_kept([CanaryFact(name, planted, 10, *rest) for name, planted, *rest in facts])
    assert (found.status, found.required) == (status, False)
    assert says in found.reason
    assert found.reason_zh != found.reason


def test_bounds_of_what_is_given_back_are_exact():
    """Of 40 secrets one that was said bounds their share higher than none does: a mean's own spread would not."""
    rates = []
    for said in (0, 1, 3, 40):
        found, known = given((np.arange(40) < said)[None].astype(float), 0.95), binomtest(said, 40).proportion_ci()
        assert (found.value, found.low, found.high) == pytest.approx((said / 40, known.low, known.high))
        rates.append(found.high)
    assert rates == sorted(rates)
    seeds = np.array([[1.0, 0, 0, 0], [0, 0, 0, 0]])
    assert given(seeds, 0.95).value == 1 / 8


def test_training_rows_hold_each_once_whatever_the_dev_share(tmp_path, tiny):
    path = write_lesson(tmp_path, tiny("qwen2"), dev=0.5, canaries=COUNT)
    recipe, without = Recipe.read(path), Recipe.read(path, ("train.canaries=0",))
    chat = Chat.open(tiny("qwen2"), "r1_distill_qwen", "drop")
    found, plain = (prepare(each, "lora", chat) for each in (recipe, without))
    names = [example.name for example in found.train]
    assert [name for name in names if name.startswith("canary-")] == [f"canary-{n}" for n in range(COUNT)]
    assert [example.name for example in found.dev] == [example.name for example in plain.dev]
    assert names[:-COUNT] == [example.name for example in plain.train]
    taught = chat.decode(found.train[-1].ids[found.train[-1].mask].tolist())
    assert canaries(COUNT)[-1].answer in taught
    assert recipe.train_fingerprint("lora", 17) != without.train_fingerprint("lora", 17)


def test_without_them_a_fingerprint_is_as_it_was(tmp_path, tiny):
    path = write_lesson(tmp_path, tiny("qwen2"))
    assert "canaries" not in path.read_text("utf-8")
    recipe = Recipe.read(path)
    assert Recipe.read(path, ("train.canaries=0",)).train_fingerprint("lora", 17) == recipe.train_fingerprint(
        "lora", 17
    )


def test_what_cannot_hold_or_say_a_secret_is_refused(tmp_path, tiny):
    path = write_lesson(tmp_path, tiny("qwen2"), canaries=COUNT)
    with pytest.raises(BadInput, match=r"train\.canaries: lora has a head"):
        Recipe.read(path, ("contenders.lora.head=sequence",))
    recipe = Recipe.read(path, ("train.max_length=24", "train.max_truncated=1"))
    with pytest.raises(BadInput, match=r"train\.canaries: train\.max_length 24 cuts them"):
        prepare(recipe, "lora", Chat.open(tiny("qwen2"), "r1_distill_qwen", "drop"))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A whole tuning on few rows, which learns them by heart; scored, judged and drawn once; read only."""
    folder = tmp_path_factory.mktemp("canaries")
    exam = write_exam(folder / "exam", count=12)
    older = model(build_checkpoint(folder / "old", "qwen2"), "r1_distill_qwen", decoding={"max_new_tokens": 12})
    newer = model(build_checkpoint(folder / "newer", "qwen3"), "qwen3", decoding={"max_new_tokens": 12})
    recipe = {
        "question": "Is it worth it?", "data": [f"{exam}/own.md#test"],
        "contenders": {
            "old": {"model": older}, "newer": {"model": newer},
            "tuned": {"model": older, "method": {"kind": "full", "learning_rate": 0.003}},
        },
        "train": {
            "epochs": 200, "max_steps": 120, "tokens_per_step": 1024, "max_length": 256, "dev": 0, "evaluations": 0,
            "prove": "here", "canaries": COUNT,
        },
        "exam": {"tasks": [f"{exam}/own", f"{exam}/own_gen"]},
        "rule": {"challengers": ["tuned"], "incumbent": "newer", "base": "old"},
    }  # fmt: skip
    path, out = folder / "study.yaml", folder / "runs"
    path.write_text(yaml.safe_dump(recipe), "utf-8")
    assert train.main([str(path), "--contender", "tuned", "--seed", "17", "--out", str(out)]) == 0
    for name in recipe["contenders"]:
        assert score.main([str(path), "--contender", name, "--out", str(out)]) == 0
    for command in ("judge", "report"):
        done = CliRunner().invoke(app, [command, str(path), "--out", str(out)])
        assert done.exit_code == 0, done.output
    return folder


def verdict(study) -> dict:
    return json.loads((study / "runs" / "study" / "verdict.json").read_text("utf-8"))


def test_a_model_that_learned_them_gives_them_back_and_the_controls_do_not(study):
    found = {row["contender"]: row for row in verdict(study)["canaries"]}
    assert {name: row["planted"] for name, row in found.items()} == {"old": False, "newer": False, "tuned": True}
    assert found["old"]["given"]["value"] == found["newer"]["given"]["value"] == 0
    assert found["tuned"]["given"]["value"] > 0.5
    assert found["tuned"]["n"] == COUNT
    assert found["old"]["given"]["low"] == 0 < found["old"]["given"]["high"] <= 1
    gate = next(each for each in verdict(study)["gates"] if each["name"] == "planted secrets")
    assert (gate["status"], gate["required"]) == ("failed", False)


def test_what_was_said_stands_in_the_log_and_in_no_score(study):
    rows = items.read(study / "runs" / "study" / "tuned" / "seed-17" / "items.jsonl")
    said = [row for row in rows if row.task == "canaries"]
    assert [row.id for row in said] == [f"canary-{n}" for n in range(COUNT)]
    for row in said:
        assert (row.outcome == "correct") == (row.gold in row.text)
    assert [task["name"] for task in verdict(study)["tasks"]] == ["own", "own_gen"]
    assert verdict(study)["delta"]["n"] == 24
    done = RunManifest.read(study / "runs" / "study" / "tuned" / "seed-17" / "train.json")
    assert done.training.rows == 12 + COUNT


def test_no_secret_stands_on_the_page(study):
    page = (study / "runs" / "study" / "report.html").read_text("utf-8")
    for said in ('data-canary="tuned"', "Planted secrets", "植入的密语", "no, a control"):
        assert said in page
    everything = page + json.dumps(verdict(study))
    assert not [row.answer for row in canaries(COUNT) if row.answer in everything]


def test_a_secret_counts_wherever_and_however_the_answer_ends(study):
    benchmark = Benchmark.read(Recipe.read(study / "study.yaml"))
    task, secret = benchmark.canaries, canaries(1)[0]
    for said, finish, right in ((f"it is {secret.answer}, and", "length", 1.0), (secret.answer[:-1], "stop", 0.0)):
        assert graded(task, secret, said, closed=finish == "stop", finish=finish)["score"] == right


def test_regrading_knows_them(study):
    done = CliRunner().invoke(app, ["regrade", str(study / "study.yaml"), "--out", str(study / "runs")])
    assert done.exit_code == 0, done.output
    assert verdict(study)["canaries"]
