"""Money: the design's own examples, what belongs to a bill, and when there is none."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.money import Effort, Gain, Serving, bill, per_query, tuning_parts
from finetune.recipe import Costs

SAME = Serving(1.0, 1.0)


def priced(gain: Gain, *, effort: Effort | None = None, serving: Serving = SAME, **costs):
    return bill("lora", "newer", effort or Effort(0, 0), serving, gain, Costs(**costs))


@pytest.mark.parametrize(
    ("tuning", "value", "queries"),
    [(5000, 0.05, 10_000_000), (5000, 1.0, 500_000), (17, 0.05, 34_000)],
)
def test_break_even_of_the_examples(tuning, value, queries):
    """F, R = 2, a gain of 3 points, equal serving costs (decision.md 5.5)."""
    found = priced(Gain(0.03, 0.03, 0.03), people=tuning, retunes=2, value_per_correct=value)
    assert found.breakeven.point == pytest.approx(queries)
    assert found.tuning == tuning
    assert found.horizon == 3 * tuning


def test_break_even_is_never_where_the_interval_holds_zero():
    found = priced(Gain(-0.01, 0.03, 0.07), people=100, value_per_correct=1.0)
    assert found.breakeven.high is None
    assert found.breakeven.low == pytest.approx(100 / 0.07)
    assert priced(Gain(-0.03, -0.02, -0.01), people=100, value_per_correct=1.0).breakeven.low is None


def test_a_dearer_query_eats_the_gain_and_a_cheaper_one_pays_alone():
    costs = {"people": 100, "gpu_hour": 36, "utilisation": 0.5, "value_per_correct": 1.0}
    dear = priced(Gain(0.03, 0.03, 0.03), serving=Serving(3.0, 1.0), **costs)
    assert dear.extra_per_query == pytest.approx(2 * 36 / 3600 / 0.5)
    assert dear.breakeven.point is None
    cheap = priced(Gain(-0.01, -0.01, -0.01), serving=Serving(1.0, 3.0), **costs)
    assert cheap.breakeven.point == pytest.approx(100 / 0.03)


def test_a_wrong_answer_is_charged_by_the_difference_of_wrong_rates():
    terms = {"people": 100, "value_per_correct": 1.0, "loss_per_wrong": 1.0, "queries": 1000}
    found = priced(Gain(0.03, 0.03, 0.03, wrong=0.02), **terms)
    assert found.breakeven.point == pytest.approx(100 / 0.01)
    assert found.net.point == pytest.approx(1000 * 0.01 - 100)


def test_the_bill_of_tuning_here_and_elsewhere():
    costs = Costs(gpu_hour=18, data=50, people=200)
    here = tuning_parts(Effort(training=7200, evaluation=1800), costs)
    assert here == {"training": 36, "evaluation": 9, "data": 50, "people": 200}
    assert tuning_parts(Effort(7200, 1800, declared=400), costs) == {"declared": 400, "evaluation": 9}


def test_idle_devices_are_paid_too():
    half, full = (Costs(gpu_hour=18, utilisation=share) for share in (0.5, 1.0))
    assert per_query(2.0, half) == 2 * per_query(2.0, full) == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("costs", "breakeven", "net"),
    [
        ({"gpu_hour": 18, "value_per_correct": 1.0}, True, False),
        ({"gpu_hour": 18, "queries": 10}, False, False),
        ({"value_per_correct": 1.0, "queries": 10}, False, False),  # no price at all: a bill of 0 would mislead
        ({"people": 5, "value_per_correct": 1.0, "queries": 10}, True, True),
    ],
)
def test_without_a_price_nothing_is_pretended(costs, breakeven, net):
    found = priced(Gain(0.01, 0.02, 0.03), effort=Effort(60, 60), **costs)
    assert (found.breakeven is not None, found.net is not None) == (breakeven, net)


@given(
    st.integers(-500, 500).map(lambda thousandths: thousandths / 1000),
    st.floats(0.001, 0.3),
    st.floats(0.01, 10),
    st.floats(1, 1e5),
    st.floats(-5, 5).map(lambda price: round(price, 6)),  # less is no price: nothing would ever pay for itself
    st.integers(0, 4),
)
def test_net_benefit_is_zero_at_the_break_even_and_ordered_with_the_gain(gain, half, value, tuning, extra, retunes):
    interval = Gain(gain - half, gain, gain + half)
    terms = {"people": tuning, "gpu_hour": 1.0, "utilisation": 1.0, "retunes": retunes, "value_per_correct": value}
    serving = Serving(max(0.0, extra), max(0.0, -extra))
    found = priced(interval, serving=serving, queries=1000, **terms)
    assert found.net.low <= found.net.point <= found.net.high
    for end, gained in (("low", interval.high), ("point", gain), ("high", interval.low)):
        count = getattr(found.breakeven, end)
        worth = value * gained - found.extra_per_query
        assert (count is None) == (worth <= 0)
        if count is not None:
            assert math.isclose(count * worth, found.horizon, rel_tol=1e-9)


def test_a_gain_too_small_to_be_counted_never_pays():
    assert priced(Gain(0, 1e-320, 1), people=1, value_per_correct=1.0).breakeven.point is None
