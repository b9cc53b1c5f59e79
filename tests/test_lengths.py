"""Lengths, cuts and predictions: what was planted is counted, and the page tells what the verdict holds."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from judged_run import finished
from reader import refuse_lone_words
from small_exam import write_exam
from small_lesson import rows as lesson_rows
from small_lesson import write_card
from written_exam import MACHINE, Run, build

from eval import pledge
from eval.benchmark import Benchmark
from eval.foretold import foretold
from eval.foretold.hours import seconds
from eval.foretold.lengths import ANSWER, THOUGHT
from eval.foretold.load import read_load
from eval.report import lengths, predictions, render
from eval.report.figures import number, share
from eval.verdict import judge
from eval.verdict.lengths import Lengths, Spread
from eval.verdict.predictions import Prediction
from finetune.plan import find
from finetune.recipe import Recipe
from finetune.run import Hardware

LIMIT, GIB = 64, 2**30
SHORT = f"contenders.old.model.decoding={{max_new_tokens: {LIMIT}}}"
COSTS = (
    "costs={device: h100, exchange: {USD: 7}, currency: CNY, value_per_correct: 1, queries: 100000, "
    "planned: {tuning: 40, per_query: -0.001}}",
    "rule.margin=from_costs",
)
MODELS = Path(__file__).parent.parent / "recipes" / "models"


def long(answer):
    """From 1 to 40 tokens by the question's number; every twentieth is cut at the limit, half of these in thought."""
    at = int(answer.id.rpartition("-")[2])
    if at % 20:
        return answer.model_copy(update={"tokens_out": at % 40 + 1, "tokens_thinking": at % 40})
    outcome = "truncated" if at % 40 else "unclosed_thinking"
    cut = {"outcome": outcome, "score": 0.0, "finish": "length", "tokens_out": LIMIT, "tokens_thinking": LIMIT}
    return answer.model_copy(update=cut)


def drawings(made: str, name: str) -> list[str]:
    """Both shapes of a drawing, which are well-formed and named."""
    found = re.findall(rf'<svg[^>]*aria-labelledby="{name}-caption".*?</svg>', made, re.DOTALL)
    for svg in found:
        ElementTree.fromstring(svg)
    return found


def test_every_answer_is_counted_and_the_page_tells_the_counts(tmp_path):
    run = finished(tmp_path, SHORT, sit={"old": {"change": long}})
    found = judge(run.recipe, run.run)
    rows = {each.contender: each for each in found.lengths}
    assert list(rows) == list(run.recipe.contenders)
    old, numbers = rows["old"], [*range(240), *range(160)]  # of the two tasks
    wrote = [at % 40 + 1 if at % 20 else LIMIT for at in numbers]
    assert (old.answers, old.limit) == (400, LIMIT)
    assert old.cut == sum(at % 40 == 20 for at in numbers)
    assert old.unclosed == sum(at % 40 == 0 for at in numbers)
    told = [getattr(old.written, name) for name in Spread.model_fields]
    assert told == pytest.approx(np.quantile(wrote, (0.05, 0.25, 0.5, 0.75, 0.95, 1)).tolist())
    assert rows["newer"].cut == rows["newer"].unclosed == 0
    made = render(found)
    row = re.search(r'<tr data-lengths="old">.*?</tr>', made, re.DOTALL)[0]
    for value in (old.written.p50, old.thought.p50, old.read.p50, old.written.most, old.limit):
        assert f'<td class="num">{number(value)}<' in row
    assert f"<small>{number(old.written.p5)}&nbsp;–&nbsp;{number(old.written.p95)}</small>" in row
    for value in (old.cut / 400, old.unclosed / 400):
        assert f">{share(value)}<" in row
    assert len(drawings(made, "lengths")) == 2
    assert all(each in drawings(made, "lengths")[0] for each in lengths.cut_share(old))


def test_boxes_lie_at_the_logarithms_of_their_tokens():
    spread = Spread(p5=10, p25=20, p50=40, p75=80, p95=160, most=640)
    one = Lengths(contender="x", answers=10, limit=1280, read=None, thought=None, written=spread, cut=0, unclosed=0)
    drawn = lengths.lengths("c-wide", "wide", [one])
    (box,) = re.findall(r'<path d="M ([\d.]+) [\d.]+ L ([\d.]+) [^"]*z[^>]*stroke-width: 1.2', drawn)
    (median,) = re.findall(r'<path d="M ([\d.]+) [\d.]+[^>]*stroke-width: 2.6', drawn)
    (limit,) = re.findall(r'<path d="M ([\d.]+) [\d.]+[^>]*stroke-dasharray[^>]*stroke-width: 1.4', drawn)
    first, last, middle, end = (float(each) for each in (*box, median, limit))
    assert (middle - first) / (last - first) == pytest.approx(0.5, abs=1e-3)  # 20, 40, 80
    assert (end - first) / (last - first) == pytest.approx(3, abs=1e-3)  # 20 -> 1280 is three times 20 -> 80


@pytest.fixture(scope="module")
def predicted(tmp_path_factory):
    """A study with everything predicted: memory and seconds of tuning, tokens and hours of the exam, F and Δc."""
    run = build(tmp_path_factory.mktemp("predicted"), *COSTS)
    tokens = {name: pledge.Foretold(answers=400, tokens_written=4000, seconds=20, device="h100")
              for name in run.recipe.contenders}  # fmt: skip
    pledge.keep(run.recipe, run.run, run.benchmark, lambda: tokens)
    tuned = {"peak_memory_bytes": 3 * GIB, "predicted_peak_bytes": 2 * GIB, "step_seconds": 50.0}
    for name in ("lora", "prefix"):
        run.tune(name, **tuned, predicted_seconds={"shelf": 100.0, "second step": 55.0})
    for name in run.recipe.contenders:
        run.sit(name, 0.5, generated_tokens=6000)
    return run


def ran_on(run: Run, monkeypatch, device: str) -> None:
    """Scored anew, on a device of that name."""
    monkeypatch.setitem(MACHINE, "hardware", Hardware(device=device, devices=1, processes=1, host="a test"))
    for name in run.recipe.contenders:
        run.run.seed(name, run.recipe.seeds(name)[0]).items.unlink()
        run.sit(name, 0.5, generated_tokens=6000)


def test_what_was_predicted_stands_beside_what_came(predicted, monkeypatch):
    found = {
        (each.contender, each.kind, each.basis): each for each in judge(predicted.recipe, predicted.run).predictions
    }
    assert not [key for key in found if key[1] == "exam"], "seconds of an H100 are not compared with a processor's"
    ran_on(predicted, monkeypatch, "NVIDIA H100 80GB HBM3")
    verdict = judge(predicted.recipe, predicted.run)
    found = {(each.contender, each.kind, each.basis): each for each in verdict.predictions}
    assert {key[1] for key in found} == {"memory", "tuning", "tokens", "exam", "campaign", "query"}
    bill = next(each for each in verdict.money.bills if (each.challenger, each.rival) == ("lora", "newer"))
    asked = {
        ("memory", None): (2 * GIB, 3 * GIB), ("tuning", "shelf"): (100, 50), ("tuning", "second step"): (55, 50),
        ("tokens", None): (4000, 6000), ("exam", None): (20, 40), ("campaign", None): (40, bill.tuning),
        ("query", None): (-0.001, bill.extra_per_query),
    }  # fmt: skip
    for (kind, basis), pair in asked.items():
        each = found["lora", kind, basis]
        assert (each.predicted, each.measured) == pytest.approx(pair), kind
    made = render(verdict)
    for each in verdict.predictions:
        mark = f"{each.contender}: {each.kind}" + (f", {each.basis}" if each.basis else "")
        row = re.search(rf'<tr data-prediction="{mark}">.*?</tr>', made, re.DOTALL)[0]
        for value in (each.predicted, each.measured):
            assert f'<td class="num">{predictions.amount(each, value, "CNY")}</td>' in row
        assert f'<td class="num">{predictions.times(each)}</td>' in row
        assert all(words in unescape(row) for words in predictions.kind(each))
        assert ("400 answers predicted<" in row and "预估作答 400 次<" in row) == (each.kind == "tokens")
    assert len(drawings(made, "predictions")) == 2
    refuse_lone_words(made)


def test_marks_lie_at_the_logarithms_of_their_ratios():
    rows = [Prediction(contender="x", kind="tokens", predicted=1, measured=ratio) for ratio in (0.25, 1, 8)]
    rows.append(Prediction(contender="x", kind="query", predicted=-1, measured=2))  # no ratio: in the table alone
    drawn = predictions.over("f-wide", "wide", rows)
    marks = [float(x) for x in re.findall(r'<use [^>]*x="([\d.]+)"', drawn)]
    assert len(marks) == 3
    assert (marks[1] - marks[0]) / (marks[2] - marks[0]) == pytest.approx(2 / 5, abs=1e-3)
    assert predictions.times(rows[-1]) == "–"


@pytest.mark.parametrize(("device", "zh"), [("cpu", "微调峰值内存"), ("NVIDIA H20", "微调峰值显存")])
def test_a_processor_has_no_memory_of_a_graphics_card(device, zh):
    told = Prediction(contender="x", kind="memory", predicted=1, measured=2, device=device)
    assert predictions.kind(told) == ("peak memory of tuning", zh)


def test_nothing_is_drawn_of_what_is_not_there(tmp_path):
    run = finished(tmp_path)
    found = judge(run.recipe, run.run)
    made = render(found.model_copy(update={"lengths": (), "predictions": ()}))
    assert 'id="lengths-head"' not in made
    assert 'id="predictions-head"' not in made
    saved = Prediction(contender="lora", kind="query", predicted=-1, measured=-2)  # which has no ratio
    made = render(found.model_copy(update={"predictions": (saved,)}))
    assert 'data-prediction="lora: query"' in made
    assert drawings(made, "predictions") == []


def test_the_plan_keeps_what_check_foretells(tmp_path):
    write_exam(tmp_path / "exam")
    write_card(tmp_path / "rows.md", lesson_rows(48))
    older, newer = (str(MODELS / f"{name}.yaml") for name in ("r1_distill_qwen_32b", "qwen3_8b"))
    told = {
        "question": "What would it cost?", "data": ["rows.md"],
        "contenders": {"old": {"model": older}, "newer": {"model": newer},
                       "lora": {"model": older, "method": {"kind": "lora", "rank": 8}}},
        "train": {"seeds": [1, 2, 3]}, "exam": {"tasks": ["./exam/own_gen"], "samples": 2},
        "rule": {"challengers": ["lora"], "incumbent": "newer", "base": "old"},
        "costs": {"device": "h100", "currency": "USD"},
    }  # fmt: skip
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(told), "utf-8")
    recipe = Recipe.read(tmp_path / "study.yaml")
    benchmark = Benchmark.read(recipe)
    found = foretold(recipe, benchmark, tmp_path)
    questions = sum(len(task.rows) for task in benchmark.asked)
    for name, seeds in (("old", 1), ("newer", 1), ("lora", 3)):
        thinks = recipe.contenders[name].model.think == "keep"
        assert found[name].answers == 2 * seeds * questions
        assert found[name].tokens_written == found[name].answers * (THOUGHT if thinks else ANSWER)
        whole = seconds(recipe, read_load(recipe, benchmark, name, tmp_path), find("h100"))[1]
        assert (found[name].seconds, found[name].device) == (pytest.approx(whole), "h100")
