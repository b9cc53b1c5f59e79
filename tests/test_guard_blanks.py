"""Guards whose answers could not be graded: what is hidden neither passes nor fails (decision.md 5.6, 5.7)."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from judged_run import CLEAR, finished
from small_guards import SAME, guarding, shelved
from test_guards import _of, _scores
from written_exam import graded

from eval.report import render
from eval.verdict import judge
from eval.verdict.contest import Contest
from eval.verdict.evidence import Evidence


def blanked(outcome: str, share: float, *, task: str = "general", wrong: bool = False):
    """A share of the answers to a guard (of those that are wrong, if asked) that nobody could grade."""

    def change(answer):
        drawn = random.Random(f"{answer.id} {outcome}").random() < share
        hit = answer.task == task and drawn and answer.outcome in (("wrong",) if wrong else ("wrong", "correct"))
        return answer.model_copy(update=graded(outcome)) if hit else answer

    return {"change": change}


@pytest.mark.parametrize("outcome", ["truncated", "unclosed_thinking", "unparsed"])
def test_a_base_that_was_cut_off_does_not_make_forgetting_pass(tmp_path, outcome):
    """lora loses a fourth of general ability; with two of five answers of old gone it seems to have gained."""
    rates = {"old": {"general": 0.85}, "lora": {"general": 0.60}}
    assert judge(*_of(guarding(tmp_path / "whole", rates, tasks=["general"]))).outcome == "not_worth_it"
    run = guarding(tmp_path / "cut", rates, sit={"old": blanked(outcome, 0.4)}, tasks=["general"])
    found = judge(*_of(run))
    row = found.guards[0]
    assert (found.outcome, row.status, row.blank, row.needed) == ("inconclusive", "unresolved", True, None)
    assert row.gain > row.low > 0
    gone = np.mean([random.Random(f"general-{i} {outcome}").random() < 0.4 for i in range(900)])
    ours, base = row.unread if outcome == "unparsed" else row.cut
    assert (ours, base) == (0, pytest.approx(gone))
    lora, old = (_scores(run, who)["general"] for who in ("lora", "old"))
    assert row.bounds[0] < lora.mean() - old.mean() - gone < -row.margin < row.bounds[1] == row.high
    said, said_zh = ("could not be read", "无法提取") if outcome == "unparsed" else ("were cut off", "被截断")
    told = f"the guard of general ability in Chinese cannot be told: 0.0% of the answers of lora and {gone:.1%} of old "
    assert told + said in found.sentence
    assert f"中文通用能力这一护栏无从判断：lora 有 0.0%、old 有 {gone:.1%} 的答案{said_zh}" in found.sentence_zh
    assert ("max_new_tokens" in row.reason.text, "max_new_tokens" in row.reason.text_zh) == (outcome != "unparsed",) * 2
    assert [step.what for step in found.settle] == ["guard"]
    assert f'data-blanks="{row.unread[0]},{row.unread[1]} {row.cut[0]},{row.cut[1]}"' in render(found)


def test_few_blanks_and_alike_stand_in_the_row_and_hide_nothing(tmp_path):
    sit = {name: blanked("truncated", 0.04, wrong=True) for name in ("old", "lora")}
    found = judge(*_of(guarding(tmp_path, {"lora": {"general": 0.63}}, sit=sit, tasks=["general"])))
    row = found.guards[0]
    assert (found.outcome, row.status, row.bounds, row.blank) == ("worth_it", "passed", None, False)
    assert all(0 < share < 0.05 for share in row.cut)
    assert "data-blanks" not in render(found)


@pytest.mark.parametrize(
    ("rate", "sit", "status", "outcome"),
    [
        (0.72, {"old": blanked("truncated", 0.2, wrong=True)}, "passed", "worth_it"),
        (0.40, {"lora": blanked("truncated", 0.2, wrong=True)}, "failed", "not_worth_it"),
        (0.40, {"lora": blanked("truncated", 0.6, wrong=True)}, "unresolved", "inconclusive"),
    ],
)
def test_many_blanks_leave_what_holds_whatever_they_were(tmp_path, rate, sit, status, outcome):
    found = judge(*_of(guarding(tmp_path, {"lora": {"general": rate}}, sit=sit, tasks=["general"])))
    row = found.guards[0]
    assert (row.status, found.outcome, row.blank) == (status, outcome, status == "unresolved")
    assert (row.bounds[0] <= row.low, row.bounds[1] >= row.high) == (True, True)
    assert "data-blanks" in render(found)


def test_blanks_of_both_kinds_hide_what_neither_does_alone(tmp_path):
    """Eight points of each, of a gain of twelve."""

    def either(*outcomes: str):
        def change(answer):
            at = int(answer.id.split("-")[1]) % 5
            hit = answer.task == "general" and not answer.score and at < len(outcomes)
            return answer.model_copy(update=graded(outcomes[at])) if hit else answer

        return {"old": {"change": change}}

    for place, outcomes in enumerate((("unparsed",), ("truncated",), ("unparsed", "truncated"))):
        rates = {"lora": {"general": 0.72}}
        found = judge(*_of(guarding(tmp_path / str(place), rates, sit=either(*outcomes), tasks=["general"])))
        alone = len(outcomes) == 1
        assert (found.guards[0].status, found.guards[0].blank) == ("passed" if alone else "unresolved", not alone)
    reason = found.guards[0].reason
    assert ("could not be read" in reason.text, "were cut off" in reason.text) == (True, True)
    assert ("无法提取" in reason.text_zh, "被截断" in reason.text_zh) == (True, True)


def test_holm_holds_a_challenger_to_what_its_guard_hides(tmp_path):
    """prefix is as good as lora but for a guard on which its own answers count and those of old are gone."""
    told = {who: dict.fromkeys(("letters", "numbers"), rate) | SAME for who, rate in CLEAR.items()}
    told["prefix"] = told["lora"] | {"general": 0.55}
    told["lora"] = told["lora"] | {"general": 0.95}
    names = shelved(tmp_path, "general")
    run = finished(
        tmp_path, f"rule.guards={{tasks: {json.dumps(names)}}}", "rule.challengers=[lora, prefix]", rates=told,
        sit={"old": blanked("truncated", 0.2)},
    )  # fmt: skip
    found = judge(run.recipe, run.run)
    assert {row.challenger: (row.status, row.blank) for row in found.guards} == {
        "lora": ("passed", False), "prefix": ("unresolved", True),
    }  # fmt: skip
    ruled = {each.challenger: each for each in found.rulings}
    assert (ruled["lora"].rejected, ruled["prefix"].rejected) == (True, False)
    assert (ruled["lora"].call, ruled["prefix"].call, found.outcome) == ("worth_it", "inconclusive", "worth_it")
    tests = Contest.of(Evidence.read(run.recipe, run.run)).guard_tests
    row = next(row for row in found.guards if row.challenger == "prefix")
    assert row.low > -row.margin
    assert (tests["lora"][0].p < 0.025 / 2, tests["prefix"][0].p > 0.5) == (True, True)
