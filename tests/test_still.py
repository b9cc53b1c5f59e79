"""Tasks that show no difference beside tasks that vary: what they may hide stands in bounds, p, odds and money."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.money import Effort, Gain, Serving, bill
from eval.money.odds import Chance, odds
from eval.opinion.tally import rectified
from eval.paired import Estimate, Layout, estimate
from eval.spread import mde_by_samples
from finetune.recipe import Costs

NATS = -math.log(0.025)


def beside(
    rng: np.random.Generator, clusters: int, still: float, count: int
) -> tuple[np.ndarray, list[int], list[str]]:
    """Questions of a task that varies, and behind them `count` of one that is `still`, each a document of its own."""
    values = np.concatenate([rng.choice([-1.0, 0.0, 0.4, 1.0], clusters), np.full(count, still)])
    values[:2] = 1.0, -1.0
    return values, list(range(clusters + count)), ["loud"] * clusters + ["still"] * count


@given(
    seed=st.integers(0, 10**6),
    clusters=st.integers(4, 60),  # with few of them the bootstrap confirms the t interval
    count=st.integers(2, 40),
    still=st.sampled_from([-1.0, -0.3, 0.0, 0.5, 1.0]),
    weight=st.floats(0.05, 4.0),
    margin=st.sampled_from([-0.6, -0.1, 0.0, 0.02, 0.5]),
    confidence=st.sampled_from([0.8, 0.95, 0.99]),
)
@settings(max_examples=80, deadline=None, derandomize=True)
def test_bounds_add_up_and_p_goes_with_them(seed, clusters, count, still, weight, margin, confidence):
    d, owner, tasks = beside(np.random.default_rng(seed), clusters, still, count)
    told = {"confidence": confidence, "margin": margin}
    plan = Layout.of(owner, tasks, {"loud": 1.0, "still": weight})
    found, mirrored = plan.estimate(d, **told), plan.estimate(-d, confidence=confidence, margin=-margin)
    loud = estimate(d[:clusters], owner[:clusters], confidence=confidence)
    alone = estimate(d[clusters:], owner[clusters:], confidence=confidence)
    part = weight / (1 + weight)
    for side in (0, 1):
        assert found.t_interval[side] == pytest.approx(
            (1 - part) * loud.t_interval[side] + part * alone.t_interval[side]
        )
    assert found.low <= found.t_interval[0] + 1e-12
    assert found.high >= found.t_interval[1] - 1e-12
    assert (mirrored.low, mirrored.high, mirrored.p, mirrored.p_under) == pytest.approx(
        (-found.high, -found.low, found.p_under, found.p)
    )
    error = (1 - confidence) / 2
    for bound, p, least in (
        (found.low - margin, found.p, error), (margin - found.high, found.p_under, error),
        (max(found.low - margin, margin - found.high), found.p_two_sided, 2 * error),
    ):  # fmt: skip
        assert abs(bound) < 1e-9 or (bound > 0) == (p <= least)


@pytest.mark.parametrize("clusters", [8, 60])  # the bootstrap's p, and that of t
def test_p_is_the_error_at_which_the_bound_lies_at_the_margin(clusters):
    d, owner, tasks = beside(np.random.default_rng(3), clusters, 0.5, 12)
    plan = Layout.of(owner, tasks)
    for margin in (-0.5, -0.2, 0.0, 0.1):
        p = plan.estimate(d, margin=margin).p
        if p < 0.5:
            over, under = (plan.estimate(d, confidence=1 - 2 * each).low for each in (p * 1.001, p * 0.999))
            assert under <= margin <= over


def test_a_still_task_is_as_wide_as_it_weighs_and_lies_only_where_it_can():
    d, owner, tasks = beside(np.random.default_rng(5), 300, 1.0, 12)
    found, bare = estimate(d, owner, tasks), estimate(d[:300], owner[:300])
    half = (bare.high - bare.low) / 4
    assert found.high == pytest.approx(found.gain + half)  # all won: it can only be lower
    assert found.low == pytest.approx(found.gain - half - NATS * 0.5 * 2 / 12)
    assert found.mde80 == pytest.approx(bare.mde80 / 2 + NATS * 0.5 * 2 / 12)
    assert (found.shares["still"], found.method) == (pytest.approx(0), "cluster t, rule of three")
    light = estimate(d, owner, tasks, {"loud": 1.0, "still": 1e-9})
    assert (light.low, light.high, light.p) == pytest.approx((bare.low, bare.high, bare.p))


def test_tasks_on_the_same_documents_are_still_each_for_itself_and_both_together():
    """Every document has three questions; one task is still beside one that varies, or both vary and cancel."""
    rng, owner, tasks = np.random.default_rng(7), list(range(50)) * 2, ["a"] * 50 + ["b"] * 50
    d = rng.choice([-1.0, 0.0, 1.0], 50)
    one = estimate(np.concatenate([d, np.zeros(50)]), owner, tasks)
    assert one.hidden == pytest.approx((0.5 / 50, 0.5 / 50))
    assert one.se == pytest.approx(estimate(d, range(50)).se / 2)
    cancelled = estimate(np.concatenate([d, -d]), owner, tasks)
    assert (cancelled.se, cancelled.method) == (0, "no spread")
    assert sum(cancelled.hidden) == pytest.approx(2 / 50)
    within = np.tile([1.0, -1.0], 50)  # questions differ, documents do not
    assert estimate(within, np.repeat(range(50), 2)).hidden == pytest.approx((1 / 50, 1 / 50))


def test_questions_that_agree_are_no_certainty_where_training_seeds_differ():
    d = np.tile([[0.1], [0.2], [0.3]], 30)
    found, calm = (Layout.of(range(30)).estimate(each) for each in (d, d[:1]))
    seeds = found.t_interval[1] - found.gain - NATS * found.hidden[1]
    assert found.se**2 == pytest.approx(found.seed_variance / 3)
    assert seeds == pytest.approx(4.3027 * found.se, rel=1e-4)
    assert found.hidden == pytest.approx((1.2 / 30, 0.8 / 30))
    assert calm.low == pytest.approx(0.1 - NATS * 1.1 / 30)


def test_scores_and_worths_are_bounded_by_what_they_can_be():
    score = Layout.of(range(40)).estimate(np.ones(40), span=(0, 1))
    assert (score.low, score.high) == pytest.approx((1 - NATS / 40, 1))
    worth = Layout.of(range(40)).estimate(np.zeros(40), span=(-3, 3))
    assert (worth.low, worth.high) == pytest.approx((-3 * NATS / 40, 3 * NATS / 40))


def test_a_judge_that_people_always_agree_with_is_corrected_by_what_they_have_not_seen():
    """100 labels, each as the judge has it: of 3.7 % more they might see the opposite, which is two away."""
    rng = np.random.default_rng(9)
    f = rng.choice([-1.0, 0.0, 1.0], 600)
    found = rectified(f[100:], range(500), f[:100], f[:100], range(500, 600), 0.95)
    judged = estimate(f[100:], range(500))
    assert found.low == pytest.approx(judged.low - NATS * 2 / 100)
    assert found.high == pytest.approx(judged.high + NATS * 2 / 100)


# ---- money


def chance(found: Estimate) -> Chance:
    return Chance(found.gain, found.se, found.df, hidden=found.hidden)


@pytest.mark.parametrize("loud", [0, 60])
def test_the_odds_that_it_pays_are_those_of_the_interval(loud):
    """The odds of a net benefit under 0 are p at the gain that just pays, and 2.5 % where that is a bound."""
    rng = np.random.default_rng(11)
    d, owner, tasks = beside(rng, loud, 0.2, 25) if loud else (np.full(25, 0.2), list(range(25)), ["still"] * 25)
    plan = Layout.of(owner, tasks)
    found = plan.estimate(d)
    for part in (0.35, 0.6, 0.8):
        below, above = (found.gain + part * (bound - found.gain) for bound in (found.low, found.high))
        p, under = plan.estimate(d, margin=below).p, plan.estimate(d, margin=above).p_under
        assert max(p, under) < 0.5
        assert odds(chance(found), 0.0, below, 1.0, 0.0, [1.0])[0] == pytest.approx(1 - p, abs=0.012)
        assert odds(chance(found), 0.0, above, 1.0, 0.0, [1.0])[0] == pytest.approx(under, abs=0.012)
    assert odds(chance(found), 0.0, found.low, 1.0, 0.0, [1.0])[0] == pytest.approx(0.975, abs=0.006)
    assert odds(chance(found), 0.0, found.high, 1.0, 0.0, [1.0])[0] == pytest.approx(0.025, abs=0.006)


def test_contenders_that_answer_alike_neither_surely_pay_nor_surely_do_not():
    found = estimate(np.zeros(400), range(400))
    costs = Costs(people=300, value_per_correct=1.0, queries=100_000)
    told = bill(
        "a", "b", Effort(0, 0), Serving(1, 1), Gain(found.low, found.gain, found.high, 0.0, chance(found)), costs
    )
    at = dict(told.odds)[1.0]
    assert told.net.low < 0 < told.net.high
    assert 0.025 < at < 0.5


def test_wrong_answers_that_never_differ_may_differ_too():
    """What is lost by wrong answers lies on the side of what is not gained."""
    plan, none = Layout.of(range(50)), np.zeros(50)
    gain, joint = plan.estimate(none), plan.estimate(none, span=(-3, 3))
    both = Chance(0.0, 0.0, gain.df, 0.0, 0.0, 0.0, 2.0, gain.hidden, gain.hidden)
    assert odds(both, 0.0, joint.low, 1.0, 0.0, [1.0])[0] == pytest.approx(0.975, abs=0.006)
    assert odds(both, 0.0, joint.high, 1.0, 0.0, [1.0])[0] == pytest.approx(0.025, abs=0.006)


def test_more_samples_do_not_shrink_what_a_still_task_may_hide():
    table = dict(mde_by_samples(0.10, 0.02, 0.0, 0.16, hidden=0.04))
    assert table[8] == pytest.approx(0.10)
    assert table[32] == pytest.approx(0.04 + 0.06 / 2)
