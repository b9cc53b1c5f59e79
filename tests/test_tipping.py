"""Tipping points: every one that is printed, ruled again at it and one printed unit nearer; and why there is none."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
from judged_run import finished
from small_guards import guarding
from written_exam import graded

from eval.money import Bill
from eval.report import render
from eval.verdict import Verdict, judge
from eval.verdict.contest import Contest
from eval.verdict.evidence import Evidence
from eval.verdict.ruling import Reason, Ruling, overall
from eval.verdict.sensitivity import ruled
from eval.verdict.tipping import Terms as RuleTerms
from eval.verdict.tipping import Tipping, tipping
from finetune.recipe import Costs, Recipe

PRICED = ("costs.gpu_hour=18", "costs.value_per_correct=0.01", "costs.queries=1000000")
TWO = "rule.challengers=[prefix, lora]"


def slow(answer):
    return answer.model_copy(update={"seconds": 1.0})


def refused(answer):
    number = int(answer.id.split("-")[1])
    return answer.model_copy(update=graded("refused")) if not answer.score and number % 3 == 0 else answer


LEVEL = {"rates": {"lora": 0.55, "newer": 0.55}, "sit": {"newer": {"change": slow}}}
FAMILY = {  # changes, terms of the run, the rule's word
    "unpriced": ((), {}, "worth_it"),
    "unpriced, open": ((), {"rates": {"lora": 0.56}}, "inconclusive"),
    "unpriced, harmful": ((), {"rates": {"lora": 0.45}}, "not_worth_it"),
    "priced": ((*PRICED, "costs.people=2300"), {}, "worth_it"),
    "uncertain costs": ((*PRICED, "costs.people=2300", "costs.uncertainty=0.6"), {}, "inconclusive"),
    "too dear": ((*PRICED, "costs.people=3900"), {}, "not_worth_it"),
    "cheaper to serve": ((*PRICED, "rule.margin=-0.05"), LEVEL, "worth_it"),
    "a loss": ((*PRICED, "costs.people=1500", "costs.loss_per_wrong=0.005"), {"sit": {"lora": {"change": refused}}},
               "worth_it"),
    "several rivals": ((*PRICED, "costs.people=800", "rule.alternatives=[prompted]"), {}, "worth_it"),
    "a rival near": ((*PRICED, "costs.people=800", "rule.alternatives=[prompted]"), {"rates": {"prompted": 0.75}},
                     "not_worth_it"),
    "several challengers": ((*PRICED, "costs.people=800", "costs.uncertainty=0.3", TWO), {"rates": {"prefix": 0.72}},
                            "worth_it"),
    "several challengers, open": ((*PRICED, "costs.people=3000", TWO), {"rates": {"prefix": 0.72, "lora": 0.7}},
                                  "inconclusive"),
    "no number of queries": ((*PRICED[:2], "costs.people=2300"), {}, "worth_it"),
}  # fmt: skip


def rule_at(recipe: Recipe, what: str, value: float) -> Recipe:
    if what == "margin":
        return recipe.model_copy(update={"rule": recipe.rule.model_copy(update={"margin": value})})
    key = {"value": "value_per_correct", "queries": "queries"}[what]
    return recipe.model_copy(update={"costs": recipe.costs.model_copy(update={key: value})})


def call_at(evidence: Evidence, what: str, value: float) -> str:
    """The rule's word on an altered recipe; of answers with every difference moved, estimated out of the items anew."""
    if what != "answers":
        return overall(Contest.of(replace(evidence, recipe=rule_at(evidence.recipe, what, value))).rulings)
    contest, recipe = Contest.of(evidence), evidence.recipe
    changed = {
        name: [replace(p, differences=p.differences + value, wrongs=p.wrongs - value, told={}) for p in pairs]
        for name, pairs in contest.pairs.items()
    }
    return overall(ruled(evidence, contest, changed, recipe.rule.margin, recipe.costs)[0])


def printed(tip: Tipping, declared: float) -> tuple[float, float]:
    """The number that the sentence says, and one printed unit nearer to the declared one, if not past it."""
    way = 1 if tip.at > declared else -1
    text = re.search(r"−?[\d,]*\.?\d+", tip.text).group()
    assert f" {text} " in tip.text_zh
    number, unit = float(text.replace(",", "").replace("−", "-")), 10.0 ** -len(text.partition(".")[2])
    if tip.what in ("margin", "answers"):
        number, unit = number / 100, unit / 100
    number *= way if tip.what == "answers" else 1
    nearer = round(number - way * unit, 12)
    return number, nearer if (nearer - declared) * way > 0 else declared


@pytest.mark.parametrize("name", FAMILY)
def test_the_word_turns_at_what_is_printed_and_not_before(tmp_path, name):
    changes, terms, call = FAMILY[name]
    run = finished(tmp_path, *changes, **terms)
    evidence, recipe = Evidence.read(run.recipe, run.run), run.recipe
    tried = judge(recipe, run.run).sensitivity
    assert tried.call == call
    declared = {"margin": recipe.rule.margin, "answers": 0.0, "value": recipe.costs.value_per_correct,
                "queries": recipe.costs.queries or 1e15}  # fmt: skip
    turning = [tip for tip in tried.tipping if tip.at is not None]
    assert turning
    for tip in turning:
        number, nearer = printed(tip, declared[tip.what])
        if tip.what == "queries":
            number, nearer = int(number), int(nearer)
        assert call_at(evidence, tip.what, nearer) == call != tip.call
        assert call_at(evidence, tip.what, number) == tip.call
        assert f"“{tip.call.replace('_', ' ')}”" in tip.text
        assert abs(number - tip.at) <= abs(number - nearer)


def test_it_turns_so_at_the_door_too(tmp_path):
    """Through `judge` on the recipe as a user would alter it. It is not the plan's, so the outcome is exploratory."""
    changes = (*PRICED, "costs.people=2300", "costs.uncertainty=0.6")
    run = finished(tmp_path, *changes)
    tips = {(tip.what, tip.call): tip for tip in judge(run.recipe, run.run).sensitivity.tipping}
    due, tip = judge(run.recipe, run.run).money.bills[0].breakeven, tips["value", "worth_it"]
    assert tips["queries", "worth_it"].at == math.ceil(due.high)  # the break-even beside it is of the same interval
    assert tips["queries", "not_worth_it"].at == math.floor(due.low)
    number, nearer = printed(tip, 0.01)
    for value, call in ((number, "worth_it"), (nearer, "inconclusive")):
        asked = Recipe.read(tmp_path / "study.yaml", (*changes, f"costs.value_per_correct={value}"))
        found = judge(asked, run.run)
        assert overall(found.rulings) == call
        assert (found.money.bills[0].net.low > 0) == (call == "worth_it")


def texts(found: Verdict) -> dict[str, tuple[str, str]]:
    return {tip.what: (tip.text, tip.text_zh) for tip in found.sensitivity.tipping}


def test_no_margin_turns_what_the_price_decides(tmp_path):
    run = finished(tmp_path, *PRICED, "costs.people=3900")
    evidence, told = Evidence.read(run.recipe, run.run), texts(judge(run.recipe, run.run))
    assert told["margin"] == (
        "No margin turns it: the costs alone decide.", "门槛无论多少，结论都不变：只由成本决定。",
    )  # fmt: skip
    assert {call_at(evidence, "margin", at) for at in (-1.0, -0.5, 0.0, 0.3, 1.0)} == {"not_worth_it"}
    assert "right instead of wrong it turns “inconclusive”." in told["answers"][0]


def test_it_pays_at_any_worth_where_it_is_cheaper_to_serve(tmp_path):
    run = finished(tmp_path, *PRICED, sit={"newer": {"change": slow}})
    evidence, found = Evidence.read(run.recipe, run.run), judge(run.recipe, run.run)
    en, zh = texts(found)["value"]
    assert en == "No worth of a right answer turns it: lora is cheaper to serve, and that pays for its tuning."
    assert zh == "答对的价值无论多少，结论都不变：lora 服务成本更低，足以抵偿微调。"
    assert {call_at(evidence, "value", at) for at in (1e-9, 1e-4, 1.0, 1e6)} == {"worth_it"}
    page = render(found)
    assert en in page
    assert zh in page


def test_it_pays_at_any_worth_where_wrong_answers_are_spared(tmp_path):
    run = finished(tmp_path, *PRICED, "costs.people=800", "costs.loss_per_wrong=0.005")
    evidence = Evidence.read(run.recipe, run.run)
    en, _ = texts(judge(run.recipe, run.run))["value"]
    assert en == "No worth of a right answer turns it: what lora spares in wrong answers pays for it."
    assert {call_at(evidence, "value", at) for at in (1e-6, 1e-4, 1.0, 100.0)} == {"worth_it"}


def test_no_price_turns_what_the_gain_decides(tmp_path):
    """Level and cheaper to serve: whatever an answer is worth, the interval holds the margin."""
    run = finished(tmp_path, *PRICED, **LEVEL)
    evidence, found = Evidence.read(run.recipe, run.run), judge(run.recipe, run.run)
    assert texts(found)["value"][0] == "No worth of a right answer turns it: the gain alone decides."
    assert {call_at(evidence, "value", at) for at in (1e-9, 1e-4, 1.0, 1e6)} == {"inconclusive"}


def test_nothing_turns_what_a_guard_decides(tmp_path):
    run = guarding(tmp_path, {"lora": {"general": 0.4}}, tasks=["general"])
    evidence, found = Evidence.read(run.recipe, run.run), judge(run.recipe, run.run)
    assert texts(found) == {
        "margin": ("No margin turns it: the guards alone decide.", "门槛无论多少，结论都不变：只由护栏决定。"),
        "answers": (
            "No number of answers, graded the other way, turns it: the guards alone decide.",
            "改判的答案无论多少，结论都不变：只由护栏决定。",
        ),
    }  # fmt: skip
    assert [tip.at for tip in found.sensitivity.tipping] == [None, None]
    assert {call_at(evidence, "margin", at) for at in (-1.0, 0.0, 1.0)} == {"not_worth_it"}
    assert {call_at(evidence, "answers", at) for at in (-0.4, 0.25)} == {"not_worth_it"}


def test_no_more_answers_can_be_right_than_all(tmp_path):
    """Half a right answer's price in tuning: all 25 points that lora still misses would not pay for it."""
    run = finished(tmp_path, *PRICED, "costs.people=9000")
    assert texts(judge(run.recipe, run.run))["answers"][0] == (
        "No number of answers, graded the other way, turns it: the costs alone decide."
    )


def test_queries_that_nobody_declared_and_that_could_not_pay(tmp_path):
    """Serving alone costs more than the gain is worth, which the rule asks once queries are declared."""
    run = finished(tmp_path, "costs.gpu_hour=18", "costs.value_per_correct=0.0001", sit={"lora": {"change": slow}})
    evidence, found = Evidence.read(run.recipe, run.run), judge(run.recipe, run.run)
    assert texts(found)["queries"] == (
        "Were a number of queries declared, whichever, it would not be “worth it”.",
        "若声明了查询量，无论多少，都不会是“值得”。",
    )
    assert {call_at(evidence, "queries", at) for at in (1, 10**6, 10**12)} == {"not_worth_it"}


def banded(band: tuple[float, float]):
    """A rule that is open in a band of margins: worth it below, not worth it above."""

    def again(terms: RuleTerms) -> list[Ruling]:
        call = "worth_it" if terms.margin <= band[0] else "not_worth_it" if terms.margin > band[1] else "inconclusive"
        why = (Reason(code="below_margin", rival="b", text="", text_zh=""),)
        return [Ruling(challenger="a", call=call, reasons=why, low=0, lows={"b": 0}, holm_p=1, rejected=False)]

    return again


@pytest.mark.parametrize(
    ("band", "said"),
    [
        ((0.1, 0.2), "At a margin of 10.1 points it turns “inconclusive”."),  # up to ten points it stands
        ((0.0999, 0.2), "At a margin of 10.0 points it turns “inconclusive”."),
        ((0.10012, 0.10037), "At a margin of 10.02 points it turns “inconclusive”."),  # 10.1 would lie beyond the band
        ((0.10012, 0.10014), "At a margin of 10.013 points it turns “inconclusive”."),
    ],
)
def test_as_many_digits_are_printed_as_the_truth_takes(band, said):
    bill = Bill(challenger="a", rival="b", parts={}, tuning=0, horizon=0, extra_per_query=0, wrong=0, breakeven=None,
                net=None)  # fmt: skip
    tips = tipping(banded(band), RuleTerms(0.02, Costs()), [bill])
    assert [tip.text for tip in tips if tip.what == "margin"] == [said]
