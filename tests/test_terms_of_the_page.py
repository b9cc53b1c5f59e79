"""The word of a verdict stands beside the contrast that decides it, by one interval, one minus sign, true samples."""

from __future__ import annotations

import re

import pytest
from judged_run import PRICES, finished, judged

from eval import items
from eval.outlets.brief import brief
from eval.report import render
from eval.report.canvas import text_width, wrapped
from eval.report.figures import interval, points
from eval.report.origin import origins
from eval.report.summary import table
from eval.report.words import Said
from eval.terminal import console
from eval.verdict import judge

HYPHEN = re.compile(r"(?<![\w.-])-(?=\d+[.,]?\d*(?!\d*-))")  # before a number that is no part of a date, name or range


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """A terminal wide enough for whole names, whatever the one of the test is."""
    monkeypatch.setenv("COLUMNS", "200")


def terminal(verdict) -> str:
    shown = console()
    with shown.capture() as caught:
        shown.print(table(verdict))
    return caught.get()


@pytest.fixture(scope="module")
def turned(tmp_path_factory):
    """lora beats newer clearly, and prompted is far better than both."""
    rates = {"lora": 0.58, "newer": 0.3, "prompted": 0.8}
    return judged(tmp_path_factory.mktemp("turned"), "rule.alternatives=[prompted]", rates=rates)


def test_where_an_alternative_decides_its_contrast_stands_first_everywhere(turned):
    first = next(c for c in turned.comparisons if (c.challenger, c.incumbent) == ("lora", "prompted"))
    assert turned.outcome == "not_worth_it"
    assert turned.delta.low > turned.margin, "the word would puzzle whoever saw this interval alone"
    assert (turned.deciding.challenger, turned.deciding.incumbent) == ("lora", "prompted")
    assert (turned.deciding.gain, turned.deciding.low, turned.deciding.high) == (first.gain, first.low, first.high)
    for text, against, between in ((turned.sentence, "against", " to "), (turned.sentence_zh, "对", " 至 ")):
        ours, theirs = (
            f"{points(each.low, signed=False)}{between}{points(each.high, signed=False)}"
            for each in (turned.deciding, turned.delta)
        )
        assert text.index(f"lora {against} prompted") < text.index(ours) < text.index(theirs)
    said = f"{points(first.gain)} {interval(first.low, first.high)}"
    delta = f"{points(turned.delta.gain)} {interval(turned.delta.low, turned.delta.high)}"
    summary = brief(turned).replace("\\", "")
    assert summary.index(f"lora − prompted {said}") < summary.index(f"Δ {delta}")
    shown = terminal(turned)
    row = next(line for line in shown.splitlines() if re.match(r" *\S+ +lora ", line))
    assert row.index(said) < row.index(delta)
    facts = render(turned).partition('<dl class="facts"')[2].partition("</dl>")[0]
    assert facts.index(interval(first.low, first.high)) < facts.index(interval(turned.delta.low, turned.delta.high))
    assert f'data-deciding-gain="{first.gain}"' in facts


def test_a_worth_it_that_is_narrowest_over_an_alternative_tells_it_too(tmp_path):
    rates = {"lora": 0.95, "newer": 0.3, "prompted": 0.6}
    found = judged(tmp_path, "rule.alternatives=[prompted]", rates=rates)
    assert (found.outcome, found.deciding.incumbent) == ("worth_it", "prompted")
    assert found.deciding.low == found.rulings[0].low
    assert found.sentence.index("lora against prompted: ") < found.sentence.index("; against newer: ")


def test_where_the_incumbent_decides_nothing_stands_before_it(tmp_path):
    found = judged(tmp_path, "rule.alternatives=[prompted]", rates={"lora": 0.3, "newer": 0.8, "prompted": 0.4})
    assert (found.outcome, found.deciding) == ("not_worth_it", None)
    assert "data-deciding" not in render(found)
    assert "lora − prompted" not in brief(found)


def test_a_sentence_has_one_interval_and_it_is_that_of_the_rule(tmp_path):
    """With two challengers the lower end is Holm's: the reason tells no other."""
    rates = {"lora": 0.55, "prefix": 0.5, "newer": 0.55}
    run = finished(tmp_path, "rule.challengers=[lora, prefix]", "rule.margin=0.2", rates=rates)
    found = judge(run.recipe, run.run)
    assert found.outcome == "not_worth_it"
    lead = next(each for each in found.rulings if each.challenger == found.challenger)
    plain = next(c for c in found.comparisons if (c.role, c.challenger) == ("delta", found.challenger))
    assert points(plain.low) != points(lead.low), "Holm's bound is told from the plain one here"
    assert lead.reasons[0].code == "equivalent"
    for text in (found.sentence, found.sentence_zh):
        assert text.count(points(lead.low, signed=False)) == 2
        assert points(plain.low, signed=False) not in text


def test_numbers_in_prose_have_one_minus_sign(turned):
    page = re.sub(r"<style>.*?</style>|<script>.*?</script>|<svg.*?</svg>", "", render(turned), flags=re.DOTALL)
    texts = [re.sub(r"<[^>]*>", " ", page), turned.sentence, turned.sentence_zh, brief(turned), terminal(turned)]
    texts += [part for gate in turned.gates for part in (gate.reason, gate.reason_zh)]
    texts += [part for case in turned.sensitivity.tipping for part in (case.text, case.text_zh)]
    for text in texts:
        assert not HYPHEN.findall(text), text[max(0, HYPHEN.search(text).start() - 60) :][:120]
    assert "−" in turned.sentence
    assert "−" in turned.sentence_zh


def test_samples_are_told_as_they_are_where_tasks_differ(tmp_path):
    run = finished(tmp_path, "exam.samples=3", *PRICES)
    for log in run.run.folder.rglob("items.jsonl"):
        items.replace(log, [row for row in items.read(log) if row.task == "letters" or row.sample == 0])
    found = judge(run.recipe, run.run)
    assert "1 to 3 samples each, by task." in found.sentence
    assert "每题作答 1 至 3 次（依任务）。" in found.sentence_zh
    assert "<dd>1–3 · 1</dd>" in render(found)


def test_unpinned_tuning_data_is_said_in_both_languages(turned):
    origin = turned.provenance.contenders[0].model_copy(update={"name": "lora", "data": {"ours": "unpinned"}})
    told = turned.model_copy(update={"provenance": turned.provenance.model_copy(update={"contenders": (origin,)})})
    facts = origins(told)[1]["lora"]
    assert Said("ours unpinned", "ours 未固定") in [fact.value for fact in facts]


@pytest.mark.parametrize("width", [60, 165, 296, 1000])
def test_a_label_is_wrapped_and_nothing_of_it_is_lost(width):
    said = Said(
        "research and reports · specific tasks, of a house's own conventions", "投研与报告 · 特定任务（机构自有约定）"
    )
    lines = wrapped(said, width)
    for at in (0, 1):
        assert "".join("".join(line[at].split()) for line in lines) == "".join(said[at].split())
        assert all(text_width(line[at], 13) <= width for line in lines)
    assert len(lines) == 1 or width < 1000


def test_what_stands_behind_a_score_reaches_as_far_as_its_interval(tmp_path):
    """A score of 100 has its whole interval below it: half of its width would tell half of what is not known."""
    found = judged(tmp_path, rates=dict.fromkeys(("lora", "newer"), 1.1))
    row = next(each for each in found.contenders if each.name == "lora")
    assert (row.score, row.high) == (1, 1)
    told = points(row.score - row.low, signed=False)
    assert f"lora 100.0 ± {told}" in brief(found)
    assert f"100.0 ± {told}" in terminal(found)
    shown = render(found)
    line = shown[shown.index('<tr data-contender="lora"') :].partition("</tr>")[0]
    assert f">{told}</td>" in line
    for task in row.tasks:
        assert f"± {points(task.score - task.low, signed=False)}<" in line
