"""Power before the run: the known tables, tasks that share documents, and that what is promised is found by draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from judged_run import judged
from scipy import stats

from eval.paired import Layout
from eval.power import items_needed, more_items, power


def test_power_before_the_run_gives_the_known_table():
    alone = {"gpqa": (198, 10.0), "finqa": (1147, 4.1), "cflue": (3864, 2.3)}
    for n, points in alone.values():
        assert 100 * power({"x": [1] * n}, psi=0.25).mde80 == pytest.approx(points, abs=0.07)
    contexts = power({"tatqa": [6] * 278}, psi=0.25, rho=0.2)
    assert contexts.deff["tatqa"] == pytest.approx(2.0)
    assert 100 * contexts.mde80 == pytest.approx(4.9, abs=0.07)
    assert 100 * power({"tatqa": [6] * 278}, psi=0.25, rho=0).mde80 == pytest.approx(3.4, abs=0.07)


def test_power_promised_is_power_found():
    """Pairs at psi = .25 whose true gain is the MDE: about 80 of 100 exams say so."""
    sizes = [4] * 100
    seen = power({"x": sizes}, psi=0.25, rho=0.0).mde80
    rng, plan = np.random.default_rng(14), Layout.of(np.repeat(np.arange(100), 4).tolist())
    share = (0.25 + seen) / 2
    hits = sum(
        plan.estimate(rng.choice([1.0, -1.0, 0.0], 400, p=[share, 0.25 - share, 0.75])).low > 0 for _ in range(800)
    )
    assert 0.75 <= hits / 800 <= 0.87


def test_power_knows_that_tasks_share_their_documents():
    """Two tasks of three questions on each of 60 documents: as little as one task with six, not as two exams."""
    six = power({"x": [6] * 60}, psi=0.25, rho=0.3)
    both = {f"d{c}": 3 for c in range(60)}
    joint, apart = power({"a": both, "b": both}, psi=0.25, rho=0.3), power({"a": [3] * 60, "b": [3] * 60}, rho=0.3)
    assert (joint.n, joint.clusters, apart.clusters) == (360, 60, 120)
    assert joint.mde80 == pytest.approx(six.mde80)
    assert joint.df == pytest.approx(59)
    assert apart.mde80 < 0.9 * joint.mde80


def test_power_promised_over_shared_documents_is_power_found():
    """Three tasks of unlike weight on overlapping documents: at the promised MDE about 80 of 100 exams say so."""
    asked = {"a": (range(50), 4), "b": (range(20, 70), 2), "c": (range(10, 60, 2), 6)}
    rows = [(task, c) for task, (documents, size) in asked.items() for c in documents for _ in range(size)]
    tasks, owner = [task for task, _ in rows], np.array([c for _, c in rows])
    weights = {"a": 1.0, "b": 2.0, "c": 1.0}
    sizes = {task: {str(c): size for c in documents} for task, (documents, size) in asked.items()}
    seen = power(sizes, weights, psi=0.25, rho=0.4).mde80
    plan, rng, hits = Layout.of(owner.tolist(), tasks, weights), np.random.default_rng(41), 0
    for _ in range(800):
        d = rng.normal(0, math.sqrt(0.4 * 0.25), 70)[owner] + rng.normal(0, math.sqrt(0.6 * 0.25), len(owner))
        hits += plan.estimate(d + seen).low > 0
    assert 0.75 <= hits / 800 <= 0.86


@pytest.mark.parametrize(("psi", "gain", "items"), [(0.15, 0.01, 11774), (0.25, 0.02, 4906), (0.35, 0.05, 1099)])
def test_items_needed_gives_the_known_table(psi, gain, items):
    assert items_needed(psi, gain) == pytest.approx(items, rel=0.012)  # the table leaves gain^2 out of the variance
    assert items_needed(psi, gain, deff=2) == pytest.approx(2 * items_needed(psi, gain), abs=1)


def test_impossible_assumptions_are_refused():
    with pytest.raises(ValueError, match="two clusters"):
        power({"x": [12]})
    with pytest.raises(ValueError, match="psi"):
        power({"x": [1, 1]}, psi=0)
    with pytest.raises(ValueError, match="cannot carry"):
        items_needed(0.1, 0.5)


@pytest.mark.parametrize("hidden", [0.0, 0.03, 0.4])
def test_questions_that_are_called_for_are_enough_and_not_too_many(hidden):
    """What was seen falls with the root of their number, what is hidden with the number itself."""
    need = more_items(400, (0.05, hidden), 0.02)
    for count, enough in ((need, True), (need - 1, False)):
        assert (0.05 * (400 / count) ** 0.5 + hidden * 400 / count <= 0.02 + 1e-12) == enough


def test_where_nothing_varies_the_rule_of_three_tells_how_many_questions_settle_it(tmp_path):
    """Its bound falls with the number of documents, so as many are called for as bring it to the margin."""
    found = judged(tmp_path, rates=dict.fromkeys(("old", "lora", "prefix", "newer", "prompted"), 1.1))
    need = next(step.number for step in found.settle if step.what == "items")
    assert need == found.power.items_for_margin
    task = np.repeat([0, 1], [240 * need // 400, 160 * need // 400])
    names, documents = [("letters", "numbers")[t] for t in task], np.arange(len(task)) // np.where(task, 2, 3)
    grown = Layout.of([f"{t} {d}" for t, d in zip(names, documents, strict=True)], names, {"letters": 3, "numbers": 1})
    assert grown.estimate(np.zeros(len(task))).low == pytest.approx(-found.margin, rel=0.02)


def test_challengers_held_to_holm_see_less_and_the_mde_says_so(tmp_path):
    """The bound that must clear the margin is Holm's, before the run and after it (decision.md 5.8)."""
    one = judged(tmp_path / "one", rates={"lora": 0.57})
    two = judged(tmp_path / "two", "rule.challengers=[lora,prefix]", rates={"lora": 0.57, "prefix": 0.57})
    for found, tail in ((one, 0.975), (two, 0.9875)):
        each = next(row for row in found.comparisons if row.role == "delta" and row.challenger == found.challenger)
        assert found.power.mde == each.mde == pytest.approx(each.se * stats.t.ppf([tail, 0.8], each.df).sum())
        tau = next(row for row in found.comparisons if row.role == "tau")
        assert tau.mde == pytest.approx(tau.se * stats.t.ppf([0.975, 0.8], tau.df).sum())
