"""How sure it is that tuning pays: Fieller's interval and the odds against closed forms and simulation, the margin that
costs ask for, and what of it stands on the page."""

from __future__ import annotations

import math

import numpy as np
import pytest
from judged_run import PRICES, judged
from scipy import stats
from verdict_samples import sample
from written_exam import build

from eval import pledge
from eval.compare import Comparison
from eval.money import Effort, Gain, Serving, bill, tuning_parts
from eval.money.odds import Chance, fieller, odds
from eval.report import render
from eval.verdict import Verdict
from eval.verdict.outlook import shelf
from finetune.mistakes import BadInput
from finetune.recipe import Costs, Recipe


def test_bounds_of_a_ratio_are_where_its_test_turns():
    """Fieller: the ratios r at which numerator - r denominator is within its own interval of 0."""
    n, d, hn, hd, shared = 100.0, 0.05, 12.0, 0.02, 0.3
    for r in fieller(n, d, (hn, hd), shared):
        spread = math.sqrt(hn**2 + r**2 * hd**2 - 2 * r * shared * hn * hd)
        assert abs(n - r * d) == pytest.approx(spread)
    assert fieller(n, d, (0.0, hd)) == pytest.approx((n / (d + hd), n / (d - hd)))
    assert fieller(n, 0.01, (0.0, 0.02)) == (pytest.approx(n / 0.03), None)
    assert fieller(n, -0.05, (hn, 0.02)) == (None, None)
    assert fieller(0.0, 0.05, (0.0, 0.02)) == (0.0, 0.0)


@pytest.mark.parametrize("unsure", [0.0, 0.3])
def test_the_break_even_interval_holds_the_truth_as_often_as_it_says(unsure):
    """A true gain of 6 points seen with an error of 2, costs seen with an error of their own; nominal 95 of 100."""
    rng, runs, held = np.random.default_rng(31), 4000, 0
    truth = 3 * 5000 / 0.06
    for _ in range(runs):
        seen = rng.normal(0.06, 0.02)
        people = 5000 * (1 + unsure / 1.96 * rng.normal())
        costs = Costs(people=people, retunes=2, value_per_correct=1.0, uncertainty=unsure)
        gain = Gain(seen - 1.96 * 0.02, seen, seen + 1.96 * 0.02)
        found = bill("lora", "newer", Effort(0, 0), Serving(1.0, 1.0), gain, costs).breakeven
        held += (found.low is not None and found.low <= truth) and (found.high is None or truth <= found.high)
    assert held / runs == pytest.approx(0.95, abs=3.3 * math.sqrt(0.05 * 0.95 / runs) + 0.004)


def test_net_benefit_below_its_lower_bound_is_as_rare_as_said():
    """Costs that are off by a fifth: the truth lies under the lower bound in 2.5 of 100, over the upper in 2.5."""
    rng, runs, under, over = np.random.default_rng(37), 4000, 0, 0
    truth = 100_000 * (0.05 - 0.01) - 3000
    for _ in range(runs):
        seen, off = rng.normal(0.05, 0.015), 1 + 0.2 / 1.96 * rng.normal(size=2)
        costs = Costs(people=3000 * off[0], value_per_correct=1.0, queries=100_000, uncertainty=0.2,
                      gpu_hour=36, utilisation=1.0)  # fmt: skip
        gain = Gain(seen - 1.96 * 0.015, seen, seen + 1.96 * 0.015)
        net = bill("lora", "newer", Effort(0, 0), Serving(1 + off[1], 1.0), gain, costs).net
        under, over = under + (truth < net.low), over + (truth > net.high)
    band = 3.3 * math.sqrt(0.025 * 0.975 / runs) + 0.004
    assert under / runs == pytest.approx(0.025, abs=band)
    assert over / runs == pytest.approx(0.025, abs=band)


def test_odds_are_those_of_the_t_distribution_where_costs_are_sure():
    gain, values = Chance(0.03, 0.02, 24.0), [0.1, 0.4, 1.0, 5.0]
    found = odds(gain, 10_000.0, 0.004, 1e6, 0.0, values)
    for value, chance in zip(values, found, strict=True):
        known = stats.t.sf((0.014 / value - gain.gain) / gain.se, gain.df)
        assert chance == pytest.approx(known, abs=0.012)
    assert (np.diff(found) >= 0).all()
    wide = odds(gain, 10_000.0, 0.004, 1e6, 0.9, values)
    assert abs(wide[1] - 0.5) < abs(found[1] - 0.5)


def test_odds_stand_beside_every_bill_and_half_of_them_pay_at_the_break_even_value(tmp_path):
    found = judged(tmp_path, *PRICES, "costs.people=100000")
    (due,) = found.money.bills
    spots = dict(due.odds)
    assert len(spots) == 21
    assert sorted(spots)[10] == pytest.approx(1.0)
    needed = (due.horizon / 1_000_000 + due.extra_per_query) / found.delta.gain
    assert min(spots) < needed < max(spots)
    below, above = max(v for v in spots if v < needed), min(v for v in spots if v > needed)
    assert spots[below] < 0.5 < spots[above]
    page = render(found)
    assert 'id="odds-caption"' in page
    assert "Odds that lora pays over newer" in page
    assert "lora 相对 newer 划算的概率" in page


def test_failed_runs_are_a_part_of_the_bill():
    costs = Costs(gpu_hour=18, failed=0.5, data=10)
    assert tuning_parts(Effort(training=7200, evaluation=0), costs) == {
        "training": 36, "failed": 18, "evaluation": 0, "data": 10, "people": 0,
    }  # fmt: skip


def test_a_server_is_faster_but_takes_no_trained_prompt(tmp_path):
    found = judged(tmp_path, *PRICES, "costs.speedup=4", "rule.challengers=[lora, prefix]")
    cost = {row.name: row.cost_per_query for row in found.contenders}
    assert cost["lora"] == pytest.approx(cost["newer"])
    assert cost["prefix"] == pytest.approx(4 * cost["newer"])
    extra = {due.challenger: due.extra_per_query for due in found.money.bills}
    assert extra == {"lora": pytest.approx(0), "prefix": pytest.approx(3 * cost["newer"])}
    assert "4 times faster than measured here" in render(found)


COSTED = ("rule.margin=from_costs", "costs.queries=100000", "costs.value_per_correct=0.5", "costs.retunes=2")


def test_the_margin_is_what_pays_the_planned_bill(tmp_path):
    """[F (1 + R) / Q + dc] / v, from the recipe alone: fixed in the plan, whatever is measured later."""
    planned = "costs.planned={tuning: 1000, per_query: 0.005}"
    found = judged(tmp_path, *COSTED, planned)
    assert found.margin == pytest.approx((1000 * 3 / 100_000 + 0.005) / 0.5)
    assert found.comparisons[0].margin == found.margin
    assert found.money.planned == {"tuning": 1000, "per_query": 0.005}
    assert f'data-margin-of-costs="{found.margin}"' in render(found)
    cheaper = build(tmp_path / "b", *COSTED, "costs.planned={tuning: 0, per_query: -0.01}").recipe
    assert cheaper.rule.margin == pytest.approx(-0.02)  # cheaper to serve: worth it even at a slight loss
    digest = [pledge.digest(build(tmp_path / name, *COSTED, f"costs.planned={{tuning: {cost}}}").recipe,
              build(tmp_path / name, *COSTED, f"costs.planned={{tuning: {cost}}}").benchmark)
              for name, cost in (("c", 1), ("d", 2))]  # fmt: skip
    assert digest[0] != digest[1]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            ("rule.margin=from_costs",),
            "from_costs needs costs.planned, costs.queries, costs.value_per_correct",
        ),
        (
            (*COSTED[1:], "costs.planned={tuning: 5}", "rule.margin=0.02"),
            "rule.margin is a number; say margin: from",
        ),
        ((*COSTED, "costs.planned={tuning: 1000000}"), "asks for a gain of 6,000 points, and none is beyond 100"),
        ((*COSTED, "costs.planned={tuning: much}"), "costs.planned.tuning"),
        (("rule.margin=from_cost",), "rule.margin"),
        ((*COSTED, "costs.planned={tuning: .nan}"), r"costs\.planned\.tuning"),
        ((*COSTED, "costs.planned={tuning: .inf}"), r"costs\.planned\.tuning"),
        ((*COSTED, "costs.planned={tuning: 5, per_query: .nan}"), r"costs\.planned\.per_query"),
        ((*COSTED, "costs.planned={tuning: 5}", "costs.retunes=.inf"), r"costs\.retunes"),
        ((*COSTED, "costs.planned={tuning: 5}", "costs.queries='0'"), r"costs\.queries"),
        ((*COSTED, "costs.planned={tuning: 5}", "costs.value_per_correct=1e-400"), r"costs\.value_per_correct"),
        (
            (*COSTED, "costs.planned={tuning: 5}", f"costs.queries=1{'0' * 400}"),
            r"costs\.queries: must be 1e\+15 or less",
        ),
        (
            (*COSTED, "costs.planned={tuning: 5}", f"costs.retunes=1{'0' * 400}"),
            r"costs\.retunes: must be 1e\+15 or less",
        ),
    ],
)
def test_a_margin_of_costs_that_cannot_be_is_refused(tmp_path, changes, says):
    build(tmp_path)
    with pytest.raises(BadInput, match=says):
        Recipe.read(tmp_path / "study.yaml", changes)


def test_a_quoted_number_makes_the_margin_of_the_same_number_bare(tmp_path):
    build(tmp_path)
    planned = (*COSTED, "costs.planned={tuning: 1000}")
    bare, quoted = (Recipe.read(tmp_path / "study.yaml", (*planned, f"costs.retunes={n}")) for n in ("2", "'2.0'"))
    assert quoted.rule.margin == bare.rule.margin == pytest.approx(0.06)


def test_plans_of_before_keep_their_digest(tmp_path):
    """Keys of costs that change nothing are in no plan: what was promised before they were there stands."""
    run = build(tmp_path)
    promised = pledge.promise(run.recipe, run.benchmark)["costs"]
    assert not promised.keys() & pledge.YOUNGER.keys()
    assert promised["gpu_hour"] == 0
    other = build(tmp_path, "costs.failed=0.2")
    assert pledge.promise(other.recipe, other.benchmark)["costs"]["failed"] == 0.2


def contrasts(tau: float, gamma: float, se: float = 0.01) -> tuple[Comparison, ...]:
    made = sample("worth_it").comparisons[0]

    def one(gain: float, error: float) -> Comparison:
        half = 1.96 * error
        return made.model_copy(update={"gain": gain, "low": gain - half, "high": gain + half, "se": error})

    return one(tau - gamma, se * math.sqrt(2)), one(tau, se), one(gamma, se)


def test_shelf_life_is_what_tuning_adds_over_what_a_generation_brings():
    found = shelf(*contrasts(0.10, 0.04), ("2025-01-20", "2026-01-20"))
    assert found.generations == pytest.approx(2.5)
    assert found.months == pytest.approx(2.5 * 365 / 30.44)
    assert (found.low, found.high) == pytest.approx(fieller(0.10, 0.04, (0.0196, 0.0196)))
    unsure = shelf(*contrasts(0.10, 0.01), ("", ""))
    assert (unsure.high, unsure.months) == (None, None)
    assert shelf(*contrasts(0.10, -0.01), ("", "")).generations is None
    assert shelf(*contrasts(-0.02, 0.04), ("", "")) is None


def test_the_demo_says_how_long_its_tuning_lasts():
    made = sample("worth_it")
    life = made.money.shelf
    assert life.generations == pytest.approx(made.tau.gain / made.gamma.gain)
    assert life.low < life.generations
    assert f'data-shelf="{life.generations}"' in render(made)
    assert Verdict.model_validate_json(made.model_dump_json()) == made
