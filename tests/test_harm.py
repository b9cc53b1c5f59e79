"""What a wrong answer costs: its rate is an estimate too, with an error that goes with the gain's, in net benefit,
break-even and odds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from judged_run import finished, judged
from scipy import stats
from written_exam import graded

from eval.money import Effort, Gain, Serving, bill
from eval.money.odds import Chance, odds
from eval.paired import Layout
from eval.report import render
from eval.verdict import judge
from eval.verdict.evidence import Evidence
from finetune.recipe import Costs

PRICED = ("costs.gpu_hour=18", "costs.value_per_correct=1", "costs.queries=100000", "costs.people=4000")


def drawn(rng: np.random.Generator, clusters: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Differences of right and of wrong answers (the rest are refusals), alike within a document."""

    def side(right: float, wrong: float) -> tuple[np.ndarray, np.ndarray]:
        luck = stats.norm.cdf(0.6 * rng.normal(size=(clusters, 1)) + 0.8 * rng.normal(size=(clusters, size))).ravel()
        return luck < right, luck > 1 - wrong

    (right, wrong), (theirs, their_wrong) = side(0.66, 0.24), side(0.60, 0.22)
    return right * 1.0 - theirs, wrong * 1.0 - their_wrong


def refused(answer):
    """Every third wrong answer is none."""
    number = int(answer.id.split("-")[1])
    return answer.model_copy(update=graded("refused")) if not answer.score and number % 3 == 0 else answer


def test_the_net_benefit_with_a_loss_holds_the_truth_as_often_as_it_says():
    """60 documents of 4, a wrong answer costs thrice a right one's worth; without its error fewer hold."""
    rng, runs, clusters, size = np.random.default_rng(41), 1200, 60, 4
    layout, costs = (
        Layout.of(np.repeat(np.arange(clusters), size)),
        Costs(people=1000, value_per_correct=1.0, loss_per_wrong=3.0, queries=100_000),
    )
    truth = 100_000 * (0.06 - 3 * 0.02) - 1000
    held, alone = 0, 0
    for _ in range(runs):
        d, w = drawn(rng, clusters, size)
        gain, joint = layout.estimate(d), layout.estimate(d - 3 * w)
        facts = gain.low, gain.gain, gain.high, float(w.mean())
        for worth in ((joint.low, joint.high), None):
            net = bill("a", "b", Effort(0, 0), Serving(1, 1), Gain(*facts, worth=worth), costs).net
            assert net.point == pytest.approx(100_000 * joint.gain - 1000)
            held, alone = (
                held + (bool(worth) and net.low <= truth <= net.high),
                alone + (not worth and net.low <= truth <= net.high),
            )
    assert held / runs == pytest.approx(0.95, abs=3.3 * math.sqrt(0.05 * 0.95 / runs))
    assert alone / runs < 0.85


def test_odds_are_those_of_the_t_distribution_of_both():
    """value * gain - loss * wrong of a t distribution of two is itself one, with the spread of the sum."""
    chance = Chance(0.05, 0.02, 18.0, wrong=0.01, wrong_se=0.015, shared=-0.7, loss=0.8)
    for value, found in zip((0.2, 0.6, 2.0), odds(chance, 500.0, 0.002, 1e5, 0.0, [0.2, 0.6, 2.0]), strict=True):
        spread = math.sqrt((value * 0.02) ** 2 + 2 * value * 0.8 * 0.7 * 0.02 * 0.015 + (0.8 * 0.015) ** 2)
        assert found == pytest.approx(stats.t.sf((0.007 + 0.008 - value * 0.05) / spread, 18.0), abs=0.012)


def test_a_verdict_with_a_loss_takes_both_errors_on_the_same_documents(tmp_path):
    run = finished(tmp_path, *PRICED, "costs.loss_per_wrong=2", sit={"lora": {"change": refused}})
    evidence, found = Evidence.read(run.recipe, run.run), judge(run.recipe, run.run)
    lora, newer = evidence.sheets["lora"], evidence.sheets["newer"]
    wrong = lora.share("wrong") - newer.share("wrong")
    both = lora.layout(evidence.weights).estimate(lora.scores - newer.scores - 2 * wrong)
    (due,) = found.money.bills
    assert due.wrong == pytest.approx(evidence.share("lora", "wrong") - evidence.share("newer", "wrong"))
    assert due.wrong_se == pytest.approx(lora.layout(evidence.weights).estimate(wrong).se)
    each = 100_000
    assert due.net.low == pytest.approx(each * (both.low - due.extra_per_query) - due.horizon)
    assert due.net.high == pytest.approx(each * (both.high - due.extra_per_query) - due.horizon)
    assert f'data-wrong="{due.wrong}"' in render(found)
    plain = judged(tmp_path / "plain", *PRICED)
    assert plain.money.bills[0].wrong_se is None
