"""The timing probe by its entry point: development questions only, before the plan, and the margin that it makes."""

from __future__ import annotations

import json

import pytest
import torch
import yaml
from conftest import build_checkpoint
from judged_run import finished
from small_exam import model, write_adapter, write_exam, write_recipe
from small_study import tuneworth
from test_odds import COSTED
from written_exam import build

from eval import check, pledge
from eval.benchmark import Benchmark
from eval.report import render
from eval.score import __main__ as score
from eval.verdict import judge
from finetune.mistakes import BadInput
from finetune.recipe import Recipe, Timing
from finetune.run import RunDir

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A brought adapter against newer, half of the documents for development, a margin of costs yet to be timed."""
    folder = tmp_path_factory.mktemp("timing")
    exam = write_exam(folder / "exam", count=24)
    old, newer = (build_checkpoint(folder / name, kind) for name, kind in (("old", "qwen2"), ("newer", "qwen3")))
    adapter = write_adapter(folder / "adapter", old)
    path = write_recipe(folder / "r.yaml", exam, model(old, "r1_distill_qwen"), model(newer, "qwen3"), adapter, dev=0.5)
    raw = yaml.safe_load(path.read_text("utf-8"))
    raw["rule"] |= {"challengers": ["brought"], "margin": "from_costs"}
    raw["costs"] = {
        "gpu_hour": 36, "utilisation": 0.5, "queries": 1000, "value_per_correct": 10,
        "planned": {"tuning": 100, "timing": "runs/r"},
    }  # fmt: skip
    path.write_text(yaml.safe_dump(raw), "utf-8")
    return folder


def clock(study, name: str, *more: str) -> int:
    words = [str(study / "r.yaml"), "--contender", name, "--out", str(study / "runs"), "--timing", *more]
    return score.main(words)


def test_what_is_timed_before_the_plan_makes_the_margin_and_is_frozen(study, capsys):
    recipe = Recipe.read(study / "r.yaml")
    assert (recipe.costs.planned.timed, recipe.rule.margin) == ((), pytest.approx(0.01))  # F / Q / v, until it is timed
    run = RunDir(study / "runs/r")
    with pytest.raises(BadInput, match="holds no timing.json of challengers and incumbent.*score RECIPE --timing"):
        pledge.keep(recipe, run)
    said = check.plan(recipe, Benchmark.read(recipe)).plain
    assert "Plan digest" not in said
    assert "none can be kept yet: costs.planned.timing" in said
    assert clock(study, "brought", "--items", "8") == 0
    assert clock(study, "newer") == 0
    assert "s a query over" in capsys.readouterr().out
    brought, newer = (Timing.read(run.timing(name)) for name in ("brought", "newer"))
    dev = sum(task.part(row) == "dev" for task in Benchmark.read(recipe).tasks for row in task.rows)
    assert (brought.questions, newer.questions) == (8, min(32, dev))
    assert newer.seconds > 0
    assert newer.tokens_in > newer.tokens_out
    assert not list(run.folder.glob("*/seed-*/items*"))  # no answer is kept
    timed = Recipe.read(study / "r.yaml")
    assert timed.costs.planned.per_query == pytest.approx((brought.seconds - newer.seconds) * 36 / 0.5 / 3600)
    assert timed.rule.margin == pytest.approx((0.1 + timed.costs.planned.per_query) / 10)
    pledge.keep(timed, run)
    promise = json.loads(run.plan.read_text("utf-8"))["promise"]["costs"]["planned"]
    assert [each["contender"] for each in promise["timed"]] == ["brought", "newer"]
    assert "timing" not in promise  # this machine's folder is no promise
    assert pledge.restored(run).costs.planned.per_query == timed.costs.planned.per_query
    assert clock(study, "newer") == 2
    assert "the plan stands" in capsys.readouterr().err


def test_the_front_door_times_challengers_and_incumbent(study):
    done = tuneworth("score", study / "r.yaml", "--timing", "--items", 9, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"python -m eval.score {study}/r.yaml --contender {name} --out runs --timing --items 9"
        for name in ("brought", "newer")
    ]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--set", "exam.dev=0"), "set exam.dev, such as 0.2"),
        (("--items", "0"), "one question is needed"),
        (("--set", "costs.gpu_hour=much"), "costs.gpu_hour"),
    ],
)
def test_what_cannot_be_timed_is_refused(study, capsys, tmp_path, words, says):
    line = [str(study / "r.yaml"), "--contender", "newer", "--out", str(tmp_path), "--timing", *words]
    assert score.main(line) == 2
    assert says in capsys.readouterr().err


def write_times(folder, seconds: dict[str, float], fingerprints: dict[str, str] | None = None) -> None:
    for name, each in seconds.items():
        print_ = (fingerprints or {}).get(name, "another")
        made = Timing(contender=name, fingerprint=print_, at=1, questions=12, answers=12, seconds=each,
                      tokens_in=1000, tokens_out=100)  # fmt: skip
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "timing.json").write_text(made.model_dump_json())


def test_the_page_says_whether_what_was_timed_is_what_was_scored(tmp_path):
    change = (*COSTED, "costs.gpu_hour=18", "costs.planned={tuning: 1000, timing: times}")
    plain = build(tmp_path, *change)
    prints = {name: plain.recipe.score_fingerprint(name, seed, plain.benchmark.digests)
              for name, seed in (("lora", 17), ("newer", 0))}  # fmt: skip
    write_times(tmp_path / "times", {"lora": 3.0, "newer": 1.0}, prints)
    run = finished(tmp_path, *change)
    assert run.recipe.rule.margin == pytest.approx((0.03 + 2 * 18 / 3600 / 0.5) / 0.5)
    found = judge(run.recipe, run.run)
    assert (found.money.timed.questions, found.money.timed.holds) == (12, True)
    assert "timed on 12 development questions and frozen in the plan" in render(found)
    write_times(tmp_path / "b/times", {"lora": 3.0, "newer": 1.0})
    other = finished(tmp_path / "b", *change)
    assert 'data-timed="false"' in render(judge(other.recipe, other.run))
    declared = finished(tmp_path / "c", *COSTED, "costs.planned={tuning: 1000, per_query: 0.01}")
    page = render(judge(declared.recipe, declared.run))
    assert "declared, not timed: advisory" in page
    assert "由配方声明，未计时：仅供参考" in page


def test_a_timed_difference_counts_servers_prompts_and_tokens(tmp_path):
    build(tmp_path)
    write_times(tmp_path / "times", {"lora": 4.0, "prefix": 4.0, "newer": 4.0})
    planned = (*COSTED, "costs.gpu_hour=18", "costs.speedup=4", "costs.planned={tuning: 10, timing: times}")
    both = Recipe.read(tmp_path / "study.yaml", (*planned, "rule.challengers=[lora, prefix]"))
    one = 4 * 18 / 3600 / 0.5
    assert both.costs.planned.per_query == pytest.approx(one - one / 4)  # the dearest: servers take no trained prompt
    engine = json.dumps({"kind": "openai", "url": "http://127.0.0.1:9/v1", "model": "m", "price_in": 2, "price_out": 8})
    bought = ("contenders.newer.model.think=drop", f"contenders.newer.engine={engine}")
    tokens = Recipe.read(tmp_path / "study.yaml", (*planned, *bought))
    assert tokens.costs.planned.per_query == pytest.approx(one / 4 - (1000 * 2 + 100 * 8) / 1e6)
    with pytest.raises(BadInput, match="per_query is what timing tells"):
        Recipe.read(tmp_path / "study.yaml", (*planned, "costs.planned.per_query=1"))
    with pytest.raises(BadInput, match="seconds have no price; give costs.gpu_hour"):
        Recipe.read(tmp_path / "study.yaml", (*COSTED, "costs.planned={tuning: 10, timing: times}"))
    (tmp_path / "times/lora/timing.json").write_text("{}")
    with pytest.raises(BadInput, match="is not what this version writes"):
        Recipe.read(tmp_path / "study.yaml", planned)
