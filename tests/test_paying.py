"""The pricing clause in Holm: its p and its bound agree, and several challengers that do not pay err as said."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from judged_run import PRICES, finished, judged
from scipy import stats
from written_exam import TASKS, graded

from eval.money import Effort, Gain, Serving, account, bill
from eval.paired import Layout
from eval.verdict import judge
from eval.verdict.bills import price, unpaid
from eval.verdict.contest import Contest, unpaid_of
from eval.verdict.evidence import Evidence
from eval.verdict.ruling import Standing, stand
from finetune.recipe import Costs

EQUAL = Serving(1.0, 1.0)


def priced(found, costs, low):
    """Whether the lower bound of the net benefit lies above 0, the gain's own being `low`."""
    sure = (found.gain - low) / (found.gain - found.low)
    gain = Gain(low, found.gain, found.high, sure=sure)
    return bill("a", "b", Effort(0, 0), EQUAL, gain, costs).net.low > 0


@pytest.mark.parametrize("unsure", [0.0, 0.4], ids=["sure-costs", "unsure-costs"])
def test_of_several_that_pay_nothing_one_is_called_no_more_often_than_it_may(unsure):
    """Two challengers whose true gains, 6 and 16 points, are just what they cost: Holm over the gains alone leaves the
    second at half of the error and the first at the whole of it, so that one of them is called too often."""
    rng, runs, clusters, taken, alone = np.random.default_rng(59), 3000, 80, 0, 0
    layout, alpha, none = Layout.of(range(clusters)), 0.025, dict.fromkeys("ab", ())
    told = [
        Costs(people=1e5 * gain, value_per_correct=1.0, queries=100_000, uncertainty=unsure) for gain in (0.06, 0.16)
    ]
    for _ in range(runs):
        newer, found, p, gained = rng.normal(0, 0.03, clusters), {}, {}, {}
        for name, costs in zip("ab", told, strict=True):
            true = costs.people / 1e5 * (1 + unsure / 1.96 * rng.normal())  # what it costs in the end, it gains
            d = true + rng.normal(0, 0.12, clusters) - newer
            found[name] = layout.estimate(d)
            needed = account(Effort(0, 0), EQUAL, costs).needed(
                found[name].gain, found[name].gain - found[name].low, costs
            )
            p[name], gained[name] = [layout.estimate(d, margin=needed).p], [found[name].p]
        taken += any(each.rejected for each in stand(none, 0.95, 0.0, none, p).values())
        before = stand(none, 0.95, 0.0, none, gained)
        reach = {name: stats.t.isf(each.level, clusters - 1) * found[name].se for name, each in before.items()}
        alone += any(
            before[name].rejected and priced(found[name], costs, found[name].gain - reach[name])
            for name, costs in zip("ab", told, strict=True)
        )
    band = 3.3 * math.sqrt(alpha * (1 - alpha) / runs)
    assert alpha - band <= taken / runs <= alpha + band
    assert alone / runs > 1.15 * taken / runs


def blank(answer):
    """Some of what is not right is refused, not wrong."""
    refuses = answer.score == 0 and random.Random(answer.id).random() < 0.5
    return answer.model_copy(update=graded("refused")) if refuses else answer


@pytest.mark.parametrize(
    "more", [{}, {"uncertainty": 0.3}, {"loss_per_wrong": 0.7}, {"loss_per_wrong": 0.7, "uncertainty": 0.3}]
)
def test_the_p_of_not_paying_and_the_lower_bound_agree_at_every_level(tmp_path, more):
    """Two challengers, horizons from ones that surely pay to ones that never do."""
    run = finished(
        tmp_path, *PRICES, "rule.challengers=[lora, prefix]", rates={"prefix": 0.66}, sit={"lora": {"change": blank}}
    )
    evidence, seen = Evidence.read(run.recipe, run.run), set()
    contest = Contest.of(evidence)
    for people in np.linspace(0, 700_000, 70):
        costs = evidence.recipe.costs.model_copy(update={"people": people, **more})
        standings = stand(contest.pairs, 0.95, 0.02, contest.guard_tests, unpaid_of(evidence, contest.pairs, costs))
        for name, (pair,) in contest.pairs.items():
            found, standing = contest.find("delta", name), standings[name]
            low = price(evidence, pair, found, standing, costs).net.low
            assert (unpaid(evidence, pair, costs) < standing.level) == (low > 0)
            assert standing.rejected == (low > 0 and standing.lows["newer"] > 0.02)
            seen.add((name, standing.rejected))
    assert len(seen) == 4, "both are called at some price and not at another"


def split(name: str):
    """Right on the first document of each task alone, or on the two others: so few tell next to nothing."""

    def change(answer):
        first = (int(answer.id.split("-")[1]) < 20) == (name == "lora")
        told = graded("correct" if first else "wrong") | {"seconds": 5.0 if name == "lora" else 5000.0}
        return answer.model_copy(update=told)

    return {"change": change}


@pytest.mark.parametrize("loss", [0.0, 0.7, 3.0])
def test_bound_and_p_agree_where_the_interval_is_wider_than_what_answers_can_be_worth(tmp_path, monkeypatch, loss):
    """Random accounts over three documents a task; some need less than the worst answers there are."""
    for task, lang in (("letters", "zh"), ("numbers", "en")):
        monkeypatch.setitem(TASKS, task, (lang, 60, 20))
    run = finished(tmp_path, *PRICES, sit={name: split(name) for name in ("lora", "newer")})
    evidence, rng, seen = Evidence.read(run.recipe, run.run), np.random.default_rng(7), set()
    contest = Contest.of(evidence)
    (pair,), found = contest.pairs["lora"], contest.find("delta", "lora")
    for _ in range(60):
        costs = evidence.recipe.costs.model_copy(update={
            "loss_per_wrong": loss, "gpu_hour": rng.uniform(0, 4), "people": 10 ** rng.uniform(0, 7),
            "uncertainty": rng.choice([0, 0.3]), "queries": 10 ** int(rng.integers(5, 8)),
        })  # fmt: skip
        level = rng.choice([0.025, 0.0125])
        low = max(-1.0, pair.estimate(level=level, margin=0.02).low)
        net = price(evidence, pair, found, Standing({"newer": low}, 0.5, False, level), costs).net
        p = unpaid(evidence, pair, costs)
        assert (p < level) == (net.low > 0)
        seen.add("surely" if p == 0 else str(p < level))
    assert {"surely", "False"} <= seen


def test_without_a_price_nothing_is_added_and_cheap_queries_pay_whatever_the_answers(tmp_path):
    run = finished(tmp_path, *PRICES)
    evidence = Evidence.read(run.recipe, run.run)
    (pair,) = Contest.of(evidence).pairs["lora"]
    costs = evidence.recipe.costs
    assert unpaid(evidence, pair, costs.model_copy(update={"queries": None})) is None
    assert unpaid(evidence, pair, costs.model_copy(update={"value_per_correct": None})) is None
    slow = {"newer": {"change": lambda answer: answer.model_copy(update={"seconds": 5000.0})}}
    cheap = judged(tmp_path / "cheap", *PRICES, "rule.margin=-0.5", sit=slow)
    assert (cheap.outcome, cheap.rulings[0].rejected) == ("worth_it", True)


def test_a_challenger_that_does_not_pay_leaves_the_other_at_the_stricter_level(tmp_path):
    """Its gain is beyond doubt, its queries are too dear: it is no claim that was won, so the other's is not easier."""
    slow = {"prefix": {"change": lambda answer: answer.model_copy(update={"seconds": 500.0})}}
    terms = {"rates": {"prefix": 0.75}, "sit": slow}
    run = finished(tmp_path, *PRICES, "rule.challengers=[lora, prefix]", **terms)
    found = judge(run.recipe, run.run)
    rows = {row.challenger: row for row in found.rulings}
    assert {name: row.call for name, row in rows.items()} == {"lora": "worth_it", "prefix": "not_worth_it"}
    assert (rows["lora"].rejected, rows["prefix"].rejected) == (True, False)
    assert rows["prefix"].lows["newer"] > found.margin
    assert rows["prefix"].holm_p == pytest.approx(1.0)
