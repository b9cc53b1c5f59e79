"""What the exam is foretold to take, and from what: also by the scorer alone, and what only a limit tells."""

from __future__ import annotations

import json
import time

import pytest
import torch
import yaml
from conftest import build_checkpoint
from small_exam import model, write_adapter, write_exam, write_recipe
from small_study import tuneworth

from eval import items, pledge
from eval.benchmark import Benchmark
from eval.foretold.lengths import ANSWER, THOUGHT, Length, written
from eval.report import predictions
from eval.score import __main__ as score
from eval.verdict import judge
from eval.verdict.predictions import Prediction
from finetune.recipe import Recipe
from finetune.run import RunDir, RunManifest

torch.set_num_threads(1)
LIMIT = 6


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Half of the questions for development; old is timed, then all are scored, with no other command before."""
    folder = tmp_path_factory.mktemp("foretold")
    exam = write_exam(folder / "exam", count=8)
    models = [build_checkpoint(folder / name, kind) for name, kind in (("old", "qwen2"), ("newer", "qwen3"))]
    decoding = {"decoding": {"temperature": 0.8, "max_new_tokens": LIMIT}}
    asked = [model(one, family, **decoding) for one, family in zip(models, ("r1_distill_qwen", "qwen3"), strict=True)]
    adapter = write_adapter(folder / "adapter", models[0])
    path = write_recipe(folder / "r.yaml", exam, *asked, adapter, dev=0.5, samples=2)
    recipe = yaml.safe_load(path.read_text("utf-8"))
    recipe["contenders"] = {name: recipe["contenders"][name] for name in ("old", "newer", "brought")}
    recipe["rule"]["challengers"] = ["brought"]
    path.write_text(yaml.safe_dump(recipe), "utf-8")
    for name, *more in (("old", "--timing"), ("old",), ("newer",), ("brought",)):
        assert score.main([str(path), "--contender", name, "--out", str(folder / "runs"), *more]) == 0
    return path


def told(path, *changes: str):
    recipe = Recipe.read(path, changes)
    return written(recipe, Benchmark.read(recipe), "old", path.parent / "runs")


def test_a_plan_kept_by_the_scorer_alone_foretells_every_contender(study):
    recipe, run = Recipe.read(study), RunDir(study.parent / "runs/r")
    plan = pledge.read(run)
    assert set(plan.foretold) == set(recipe.contenders)
    answers = 8 * recipe.exam.samples
    assert {each.answers for each in plan.foretold.values()} == {answers}
    assert (plan.foretold["newer"].told, plan.foretold["newer"].tokens_written) == ("limit", answers * LIMIT)
    assert plan.foretold["old"].told == "timed"
    found = {each.contender: each for each in judge(recipe, run).predictions if each.kind == "tokens"}
    assert {name: each.told for name, each in found.items()} == {"old": "timed", "newer": "limit", "brought": "limit"}
    for name, each in found.items():
        rows = [row for row in items.read(run.seed(name, 0).items) if row.protocol == "generated"]
        assert each.measured == sum(row.tokens_out for row in rows)
        assert 0 < each.predicted <= answers * LIMIT


def test_the_most_telling_of_what_runs_have_shown_is_taken(study, tmp_path):
    folder = tmp_path / "runs/r/old"
    place, past = RunDir(tmp_path / "runs/r").seed("old", 0), study.parent / "runs/r/old"
    rows = [row for row in items.read(past / "seed-0/items.jsonl") if row.protocol == "generated"]
    copy = tmp_path / "r.yaml"
    copy.write_text(study.read_text("utf-8").replace("./exam", f"{study.parent}/exam"), "utf-8")
    assert (told(copy).tokens, told(copy).told) == (LIMIT, "limit")
    roomy = "contenders.old.model.decoding.max_new_tokens=512"
    assert (told(copy, roomy).tokens, told(copy, roomy).told) == (ANSWER, "assumed")
    folder.mkdir(parents=True)
    (folder / "timing.json").write_text((past / "timing.json").read_text("utf-8"), "utf-8")
    timed = json.loads((past / "timing.json").read_text("utf-8"))
    assert (told(copy).told, told(copy).tokens) == ("timed", pytest.approx(2 * timed["tokens_out"]))  # half is written
    assert told(copy, roomy).told == "assumed"  # it was timed under another limit
    few = [row.model_copy(update={"finish": "stop", "tokens_out": 3}) for row in rows[:4]]
    items.append(place.folder / "items.rank-1.jsonl", few)
    with (place.folder / "items.rank-1.jsonl").open("a", encoding="utf-8") as log:
        log.write('{"torn": ')
    assert (told(copy).tokens, told(copy).told) == (3, "logged")
    items.append(place.folder / "items.rank-1.jsonl", [few[0].model_copy(update={"finish": "length", "tokens_out": 6})])
    assert told(copy, roomy).told == "assumed"  # one was cut off where it no longer would be
    place.score_manifest.write_text((past / "seed-0/score.json").read_text("utf-8"), "utf-8")
    done = RunManifest.read(place.score_manifest)
    assert told(copy).told == "scored"
    assert told(copy).tokens == pytest.approx(done.scoring.generated_tokens / len(rows))
    assert told(copy, roomy).told == "assumed"
    place.score_manifest.write_text("{", "utf-8")
    assert told(copy).told == "logged"


def test_check_says_at_most_where_only_the_limit_is_known(study):
    done = tuneworth("check", study, "--out", study.parent / "nowhere", "--device", "h100", COLUMNS="240")
    assert done.returncode == 0, done.stderr
    assert f"at most {LIMIT} an answer (its limit, as nothing shows yet how long they are)" in done.stdout
    assert "≤: at most; hours and price count every answer at its limit." in done.stdout
    done = tuneworth("check", study, "--out", study.parent / "runs", "--device", "h100", COLUMNS="240")
    assert "(as it was scored before)" in done.stdout


@pytest.mark.parametrize(("kind", "en", "zh"), [("tokens", "tokens written in the exam", "考试输出词元")])
def test_the_page_calls_a_limit_what_it_is_in_both_languages(kind, en, zh):
    each = Prediction(contender="x", kind=kind, predicted=4, measured=2, told="limit")
    assert predictions.kind(each) == (f"{en}, at most", f"{zh}（至多）")
    assert predictions.kind(each.model_copy(update={"told": "scored"})) == (en, zh)


def test_who_promises_meanwhile_and_scores_is_younger_than_the_plan(study, tmp_path):
    """Two scorers begin a fresh run at once: one plan stands, older than whatever either of them scores."""
    recipe, run = Recipe.read(study), RunDir(tmp_path / "runs/r")
    benchmark, other = Benchmark.read(recipe), []

    def meanwhile():
        other.append(pledge.keep(recipe, run, benchmark))
        return {}

    assert pledge.keep(recipe, run, benchmark, meanwhile) == other[0] == pledge.read(run)
    assert [line["event"] for line in run.attempted()] == ["plan"]

    asked = []
    begun = pledge.keep(recipe, RunDir(tmp_path / "again"), benchmark, lambda: asked.append(time.time()) or {})
    assert begun.at <= asked[0]


def test_a_thought_is_foretold_by_its_budget(study, tmp_path):
    """It ends at thinking_tokens, and an answer follows; what was written under another budget tells nothing."""
    copy = tmp_path / "r.yaml"
    copy.write_text(study.read_text("utf-8").replace("./exam", f"{study.parent}/exam"), "utf-8")
    thinks = "contenders.old.model.think=keep"

    def budget(tokens: int | None, most: int = 8192) -> str:
        told = f"thinking_tokens: {tokens}" if tokens else "temperature: 0"
        return f"contenders.old.model.decoding={{max_new_tokens: {most}, {told}}}"

    assert told(copy, thinks, budget(None)).tokens == THOUGHT
    assert told(copy, thinks, budget(500)).tokens == 500 + ANSWER
    assert told(copy, thinks, budget(5000)).tokens == THOUGHT
    assert told(copy, thinks, budget(500, 600)) == Length(600, "limit")

    place, past = RunDir(tmp_path / "runs/r").seed("old", 0), study.parent / "runs/r/old/seed-0"
    done = RunManifest.read(past / "score.json")
    facts = done.scoring.model_copy(update={"template": {"think": "keep"}, "decoding": {"max_new_tokens": 8192}})
    facts = facts.model_copy(update={"decoding": facts.decoding | {"thinking_tokens": 500}})
    done.model_copy(update={"scoring": facts}).write(place.score_manifest)
    assert told(copy, thinks, budget(500)).told == "scored"
    for other in (None, 100, 1000):
        assert told(copy, thinks, budget(other)).told == "assumed"
    place.score_manifest.unlink()
    rows = [row for row in items.read(past / "items.jsonl") if row.protocol == "generated"][:2]
    ended = {"finish": "stop", "tokens_out": 20, "given": 3}
    items.append(place.folder / "items.rank-1.jsonl", [row.model_copy(update=ended) for row in rows])
    assert (told(copy, thinks, budget(15)).tokens, told(copy, thinks, budget(15)).told) == (20, "logged")
    assert told(copy, thinks, budget(None)).told == "assumed"
    log = place.folder / "items.rank-1.jsonl"
    log.unlink()  # at a server that was paid for 38 of an answer's 40 tokens, the one that was cut off among them
    ended |= {"finish": "length", "tokens_out": 38, "counted": "server"}
    items.append(log, [row.model_copy(update=ended) for row in rows])
    assert told(copy, thinks, budget(15, 40)) == Length(38, "logged")
    assert told(copy, thinks, budget(15, 80)).told == "limit"
