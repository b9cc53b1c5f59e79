"""Exact and Bayesian intervals of small sets: scipy as oracle, coverage where the usual interval fails, the page."""

from __future__ import annotations

import json
import random
from functools import cache

import numpy as np
import pytest
from judged_run import finished, judged
from scipy import stats
from written_exam import TASKS, graded

from eval import items, paired
from eval.exact import Size, clopper_pearson, paired_posterior
from eval.paired import Layout, estimate
from eval.pairing import Pair
from eval.report import render
from eval.report.figures import interval
from eval.scarce import EXPECTED, ITEMS, small_rows
from eval.verdict import judge
from eval.verdict.evidence import Evidence

posterior = cache(paired_posterior)


@pytest.mark.parametrize(("right", "count"), [(0, 7), (1, 40), (20, 40), (39, 40), (40, 40)])
def test_a_rate_of_whole_counts_has_the_interval_of_scipy(right, count):
    known = stats.binomtest(right, count).proportion_ci(0.9, method="exact")
    assert clopper_pearson(right / count, count, 0.9) == pytest.approx((known.low, known.high))


@pytest.mark.parametrize(("won", "lost", "count"), [(0, 0, 40), (3, 0, 40), (3, 1, 40), (0, 5, 12), (2.5, 0.5, 31.7)])
def test_the_posterior_is_that_of_dirichlet_draws(won, lost, count):
    drawn = stats.dirichlet([won + 1, lost + 1, count - won - lost + 2]).rvs(400_000, random_state=1)
    known = np.quantile(drawn[:, 0] - drawn[:, 1], [0.025, 0.975])
    assert paired_posterior(won, lost, count) == pytest.approx(known, abs=2e-3)
    low, high = paired_posterior(lost, won, count)
    assert paired_posterior(won, lost, count) == pytest.approx((-high, -low), abs=1e-9)


@pytest.mark.parametrize("counts", [(-1, 0, 9), (6, 4, 9), (0, 0, 0)])
def test_counts_that_cannot_be_are_refused(counts):
    with pytest.raises(ValueError, match="no such counts"):
        paired_posterior(*counts)
    with pytest.raises(ValueError, match="no such rate"):
        clopper_pearson(counts[0] / 4, counts[2] - 9)


@pytest.mark.parametrize(
    ("count", "won", "lost", "usual"), [(60, 0.03, 0.01, 0.925), (150, 0.03, 0.01, 0.93), (100, 0.05, 0.01, 0.94)]
)
def test_a_paired_difference_is_covered_by_every_table_there_is(count, won, lost, usual):
    """Exact, no draw: all outcomes of independent pairs with their chances. The t interval holds too little."""
    held, plan = np.zeros(2), Layout.of(range(count))
    for wins in range(min(count, 24)):
        for losses in range(min(count - wins, 12)):
            chance = stats.multinomial.pmf([wins, losses, count - wins - losses], count, [won, lost, 1 - won - lost])
            if chance > 1e-5:
                t = plan.estimate([1.0] * wins + [-1.0] * losses + [0.0] * (count - wins - losses))
                spans = (t.low, t.high), posterior(wins, losses, count)
                held += [chance * (low <= won - lost <= high) for low, high in spans]
    assert held[1] >= 0.95
    assert held[0] < usual


@pytest.mark.parametrize(("count", "rate"), [(120, 0.97), (50, 0.92), (90, 0.04)])
def test_a_single_rate_is_covered_where_the_usual_interval_fails(count, rate):
    held, plan = np.zeros(2), Layout.of(range(count))
    for right in range(count + 1):
        chance = stats.binom.pmf(right, count, rate)
        if chance > 1e-7:
            t = plan.estimate([1.0] * right + [0.0] * (count - right))
            spans = (t.low, t.high), clopper_pearson(right / count, count)
            held += [chance * (low <= rate <= high) for low, high in spans]
    assert held[1] >= 0.95
    assert held[0] < held[1] - 0.02


def drawn(rng, clusters: int, size: int, rate: float, likeness: float, answers: int):
    """[n, K] right answers whose chances are alike within a cluster."""
    scale = (1 - likeness) / likeness
    chance = np.repeat(rng.beta(rate * scale, (1 - rate) * scale, clusters), size)
    return (rng.random((clusters * size, answers)) < chance[:, None]).astype(float)


@pytest.mark.parametrize(("clusters", "size", "answers"), [(60, 2, 1), (25, 4, 1), (50, 1, 4)])
def test_clusters_and_samples_count_as_fewer_and_the_truth_is_covered(clusters, size, answers):
    """Rates of .9 and .97, answers alike within documents: the effective number of questions does not promise too much,
    and counting every question does where documents hold several."""
    rng, runs, held = np.random.default_rng(31), 150, np.zeros(3)
    plan = Layout.of(np.repeat(np.arange(clusters), size).tolist())
    asked = Size(clusters * size, answers, size)
    for _ in range(runs):
        first, second = (drawn(rng, clusters, size, rate, 0.5, answers).mean(axis=1) for rate in (0.9, 0.97))
        won, lost = float((first * (1 - second)).mean()), float((second * (1 - first)).mean())
        count = asked.effective(plan.estimate(first - second, draws=99), won + lost - (won - lost) ** 2)
        own = asked.effective(plan.estimate(first, draws=99), first.mean() * (1 - first.mean()))
        every = plan.cell.size * answers
        spans = (
            (paired_posterior(won * count, lost * count, count), -0.07),
            (clopper_pearson(float(first.mean()), own), 0.9), (clopper_pearson(float(first.mean()), every), 0.9),
        )  # fmt: skip
        held += [low <= truth <= high for (low, high), truth in spans]
    assert min(held[:2]) / runs >= 0.95 - 3.3 * (0.95 * 0.05 / runs) ** 0.5
    assert held[2] < held[1]


def test_what_agrees_throughout_counts_each_cluster_once():
    found = estimate([0.0] * 40, [i // 4 for i in range(40)])
    assert Size(40, 8, 4.0).effective(found, 0.0) == 10


def test_small_sets_near_one_show_both_intervals_and_nothing_decides_by_them(tmp_path):
    found = judged(tmp_path, rates={"lora": 0.97, "newer": 0.95, "old": 0.9})
    lead = next(each for each in found.comparisons if each.role == "delta")
    rows = {row.task: row for row in lead.small}
    assert rows.keys() == {"letters", "numbers"}, "240 and 160 questions, nearly all right"
    for row in rows.values():
        usual = next(each for each in lead.tasks if each.task == row.task)
        assert row.gain == pytest.approx(usual.gain)
        assert row.low < row.gain < row.high
        assert row.clusters <= row.effective <= row.n
        assert row.challenger.low < row.challenger.rate <= row.challenger.high
    kept = json.loads(found.model_dump_json())["comparisons"]
    assert {row["task"] for row in kept[0]["small"]} == set(rows)
    page = render(found)
    assert page.count("data-small=") == 2
    for row in rows.values():
        assert interval(row.low, row.high) in page
        assert f"{row.task} †" in page
    for said in (f"Tasks under {ITEMS} questions on which fewer than {EXPECTED}", f"不足 {ITEMS} 题、且", "有效 n"):
        assert said in page


def test_rates_far_from_the_ends_and_grades_between_have_none(tmp_path):
    def graded_partly(answer):
        return answer.model_copy(update={"score": answer.score * 0.5})

    assert all(each.small == () for each in judged(tmp_path / "a").comparisons)
    rates, partly = {"lora": 0.97, "newer": 0.95, "old": 0.9}, {"lora": {"change": graded_partly}}
    run = finished(tmp_path / "b", rates=rates, sit=partly)
    found = {(each.role, each.incumbent): each.small for each in judge(run.recipe, run.run).comparisons}
    assert found["delta", "newer"] == ()
    assert found["gamma", "old"] != ()


def test_a_side_asked_less_often_takes_nothing_from_the_other(tmp_path, monkeypatch):
    """Samples that know nothing of one another, one in a document: each counts, whatever the rival gave. No draw of a
    bootstrap is asked for beyond what an estimate must have."""

    def tossed(answer):
        right = random.Random(f"{answer.id} {answer.sample} {answer.contender}").random() < 0.97
        return answer.model_copy(update=graded("correct" if right else "wrong"))

    monkeypatch.setitem(TASKS, "numbers", ("en", 160, 1))
    run = finished(tmp_path, "exam.samples=4", sit={name: {"change": tossed} for name in ("lora", "newer")})
    asked, sheets = [], Evidence.read(run.recipe, run.run).sheets
    wild = Layout._wild_t
    monkeypatch.setattr(Layout, "_wild_t", lambda *args: asked.append(args[-1]) or wild(*args))
    monkeypatch.setattr(paired, "FEW", 1000)
    pair = Pair.of(sheets["lora"], sheets["newer"], {"letters": 3, "numbers": 1})
    whole = next(row for row in small_rows(pair, 0.95) if row.task == "numbers")
    log = run.run.seed("newer", 0).items
    items.replace(log, [row for row in items.read(log) if row.sample == 0])
    sheets = Evidence.read(run.recipe, run.run).sheets
    pair = Pair.of(sheets["lora"], sheets["newer"], {"letters": 3, "numbers": 1})
    one = next(row for row in small_rows(pair, 0.95) if row.task == "numbers")
    assert one.challenger == whole.challenger
    assert one.incumbent.high - one.incumbent.low > whole.incumbent.high - whole.incumbent.low
    assert set(asked) == {99}
