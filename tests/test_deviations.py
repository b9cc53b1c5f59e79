"""Deviations from plan: none are said to be none, and what was planted is listed, by judge and report themselves."""

from __future__ import annotations

import re
from contextlib import nullcontext

import pytest
from judged_run import CLEAR, finished
from reader import refuse_lone_words
from typer.testing import CliRunner
from written_exam import build

from eval import pledge
from eval.cli import app
from eval.verdict import Verdict, judge
from finetune.recipe import Recipe

NONE = {"en": "None: contenders, questions, samples", "zh": "无：方案、题目、作答次数"}


def dies(*_):
    """A kill, at the moment when a file would be written."""
    raise KeyboardInterrupt


def told(verdict: Verdict) -> dict[str, list[str]]:
    """Texts by kind; every one in both languages."""
    found: dict[str, list[str]] = {}
    for each in verdict.provenance.deviations:
        assert re.search(r"[\u4e00-\u9fff]", each.text_zh)
        found.setdefault(each.kind, []).append(each.text)
    return found


def tuneworth(*words) -> None:
    done = CliRunner().invoke(app, [*map(str, words)])
    assert done.exit_code == 0, done.output


def closed(run, *changes: str) -> tuple[Verdict, str]:
    """Judged and reported by the front door: what stands in verdict.json, and the page."""
    words = [run.folder / "study.yaml", "--out", run.folder / "runs"]
    words += [word for change in changes for word in ("--set", change)]
    tuneworth("judge", *words)
    tuneworth("report", *words)
    return Verdict.read(run.run.verdict), run.run.report.read_text("utf-8")


def test_a_run_that_kept_its_plan_says_so(tmp_path):
    run = finished(tmp_path)
    verdict, page = closed(run)
    assert verdict.provenance.deviations == ()
    assert 'id="deviations" data-count="0"' in page
    assert all(words in page for words in NONE.values())
    assert "and it was made once." in page


OTHERWISE = ("exam.samples=2", "contenders.newer.model.dtype=bfloat16")


def otherwise(folder):
    """Planned twice with another margin; an answer that is not there, one too few a question, another dtype."""
    run = build(folder, *OTHERWISE, "rule.margin=0.05")
    run.pledge()
    run = build(folder, *OTHERWISE)
    run.pledge()
    for name in ("lora", "prefix"):
        run.tune(name)
    once = {"change": lambda row: row if row.sample == 0 else row.model_copy(update={"sample": 1})}
    for name, rate in CLEAR.items():
        run.sit(name, rate, **(once if name == "lora" else {}))
    _drop(run, "prompted", lambda row: row.sample == 1)
    _drop(run, "old", lambda row: (row.id, row.sample) == ("letters-7", 1))
    run.run.attempt("score", contender="lora", seed=17, fingerprint="of before")
    for name in run.recipe.contenders:
        run.run.attempt("score", contender=name, seed=0, fingerprint=name)
    return run


def test_what_was_done_otherwise_is_listed_on_the_page(tmp_path):
    """A price changed after the plan too."""
    verdict, page = closed(otherwise(tmp_path), *OTHERWISE, "costs.gpu_hour=9")
    found = told(verdict)
    assert found["planned again"] == ["plan 2 of 2: rule.margin: 0.05, now 0.02"]
    assert found["recipe"] == ["after the plan: costs.gpu_hour: 0, now 9"]
    assert found["samples"] == ["prompted: 1 of 2 answers a question to letters, numbers"]
    assert found["missing"] == ["old: answers that are missing, and score 0: 1"]
    assert found["machine"] == ["newer: bfloat16 planned, float32 run"]
    assert found["scored again"] == ["scored 6 times, of which 5 are judged here"]
    assert len(found["gate"]) == 1
    assert "not those of the kept plan" in found["gate"][0]
    assert verdict.outcome == "exploratory"
    shown = re.findall(r'<li data-deviation="([^"]+)">(.*?)</li>', page)
    assert [kind for kind, _ in shown] == [each.kind for each in verdict.provenance.deviations]
    for each, (_, words) in zip(verdict.provenance.deviations, shown, strict=True):
        assert f">{each.text}<" in words
        assert f">{each.text_zh}<" in words
    assert NONE["en"] not in page
    refuse_lone_words(page)


def _drop(run, name: str, gone) -> None:
    """Take answers out of a log."""
    from eval import items

    log = run.run.seed(name, 0).items
    items.replace(log, [row for row in items.read(log) if not gone(row)])


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("train.seeds=[17, 18, 19]", "train.seeds=[17]", "contenders.lora.training: 3 seeds, now 1"),
        ("rule.challengers=[lora, prefix]", "rule.challengers=[lora]", "rule.challengers: another"),
        ("contenders.old.model.decoding={temperature: 0.6}", "train.seeds=[17]",
         "contenders.old.decoding.temperature: 0.6, now 0"),
        ("contenders.third={model: {id: ./newer, family: qwen3, think: empty}}", "train.seeds=[17]",
         "contender third was planned and is there no more"),
        ("exam.samples=3", "exam.samples=1", "exam.samples: 3, now 1"),
        ("contenders.newer.prompt={role: a broker}", "train.seeds=[17]", "contenders.newer.prompt: another"),
    ],
)  # fmt: skip
def test_each_change_of_a_plan_is_named(tmp_path, before, after, says):
    build(tmp_path, before).pledge()
    run = finished(tmp_path, after)
    assert f"plan 2 of 2: {says}" in told(judge(run.recipe, run.run))["planned again"]


@pytest.mark.parametrize("kill", [True, False])
def test_what_was_promised_first_is_on_record_whatever_came_between(tmp_path, monkeypatch, kill):
    """A kill between the two files of a plan, and a plan that was removed once answers stood, and made again."""
    first = build(tmp_path, "rule.margin=0.05" if kill else "rule.margin=0.02")
    with monkeypatch.context() as killing:
        if kill:
            killing.setattr(pledge, "write_whole", dies)
        with pytest.raises(KeyboardInterrupt) if kill else nullcontext():
            first.pledge()
    if not kill:
        first.run.attempt("score", contender="old", seed=0)
    first.run.plan.unlink(missing_ok=True)
    verdict, page = closed(finished(tmp_path))
    assert told(verdict).get("planned again", []) == ["plan 2 of 2: rule.margin: 0.05, now 0.02"] * kill
    assert verdict.provenance.attempts["plan"] == 2
    assert "made once" not in page
    assert "只登记过一次" not in page


def test_a_plan_that_was_ended_in_the_keeping_is_one(tmp_path, monkeypatch):
    first = build(tmp_path)
    with monkeypatch.context() as killing:
        killing.setattr(pledge, "write_whole", dies)
        with pytest.raises(KeyboardInterrupt):
            first.pledge()
    assert finished(tmp_path).run.attempted()[0]["event"] == "plan"
    assert judge(first.recipe, first.run).provenance.attempts["plan"] == 1


def test_plans_of_before_they_were_on_record_are_counted(tmp_path):
    run = finished(tmp_path)
    run.run.attempt("plan", digest="older")
    assert told(judge(run.recipe, run.run)) == {
        "planned again": ["planned 2 times; what the first 1 changed is not on record"]
    }


def test_four_bits_are_what_was_planned_of_a_qlora(tmp_path):
    run = build(tmp_path, "contenders.lora.method={kind: qlora, rank: 4}", "contenders.lora.model.dtype=bfloat16")
    run.pledge()
    for name in ("lora", "prefix"):
        run.tune(name)
    for name, rate in CLEAR.items():
        run.sit(name, rate, dtype="nf4 bfloat16" if name == "lora" else "bfloat16" if name == "old" else "float32")
    assert told(judge(run.recipe, run.run)) == {}
    run.run.seed("lora", 17).items.unlink()
    run.sit("lora", CLEAR["lora"], dtype="bfloat16")
    assert told(judge(run.recipe, run.run))["machine"] == ["lora: nf4 bfloat16 planned, bfloat16 run"]


def test_gates_of_the_plan_that_fail_are_deviations(tmp_path):
    run = finished(tmp_path, plan=False)
    assert told(judge(run.recipe, run.run))["gate"] == ["no plan was kept before scoring"]
    assert Recipe.read(tmp_path / "study.yaml").purpose == "study"
