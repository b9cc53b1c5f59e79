"""The statistics of the verdict: statsmodels, scipy and textbooks as oracles, properties, strata, and refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.paired import Layout, apart, estimate


def test_standard_error_equals_clustered_regression_on_a_constant():
    import statsmodels.api as sm

    rng = np.random.default_rng(0)
    owner = rng.integers(0, 60, 500)
    d = rng.choice([-1.0, 0.0, 1.0], 500) + 0.2 * (owner % 3)
    oracle = sm.OLS(d, np.ones(500)).fit(
        cov_type="cluster", cov_kwds={"groups": owner, "use_correction": True, "df_correction": True}, use_t=True
    )
    found = estimate(d, owner.tolist())
    assert found.gain == pytest.approx(oracle.params[0])
    assert found.se == pytest.approx(oracle.bse[0])
    assert (found.low, found.high) == pytest.approx(tuple(oracle.conf_int()[0]))


def test_independent_questions_give_the_paired_t_test():
    from scipy import stats

    d = np.random.default_rng(4).normal(0.1, 1, 80)
    found, oracle = estimate(d, range(80)), stats.ttest_1samp(d, 0)
    assert (found.low, found.high) == pytest.approx(tuple(oracle.confidence_interval()))
    assert found.p == pytest.approx(stats.ttest_1samp(d, 0, alternative="greater").pvalue)


def test_welch_satterthwaite_over_tasks_equals_the_textbook():
    rng = np.random.default_rng(6)
    a, b = rng.normal(0, 1, 60), rng.normal(0, 2, 45)
    found = estimate(np.concatenate([a, -b]), range(105), ["a"] * 60 + ["b"] * 45)
    va, vb = a.var(ddof=1) / 60, b.var(ddof=1) / 45
    assert found.gain == pytest.approx((a.mean() - b.mean()) / 2)
    assert found.se == pytest.approx(math.sqrt(va + vb) / 2)
    assert found.df == pytest.approx((va + vb) ** 2 / (va**2 / 59 + vb**2 / 44))
    assert found.shares["b"] == pytest.approx(vb / (va + vb))


def test_shared_documents_are_treated_jointly():
    """The same 50 documents in both tasks, the same luck in both: twice the questions tell nothing new."""
    d = np.random.default_rng(8).normal(0, 1, 50)
    once = estimate(d, range(50))
    twice = estimate(np.concatenate([d, d]), list(range(50)) * 2, ["a"] * 50 + ["b"] * 50)
    apart = estimate(np.concatenate([d, d]), range(100), ["a"] * 50 + ["b"] * 50)
    assert twice.clusters == 50
    assert twice.se == pytest.approx(once.se)
    assert twice.df == pytest.approx(49)
    assert apart.se == pytest.approx(once.se / math.sqrt(2))


def test_tasks_joined_through_a_third_form_one_block_and_the_rest_stays_apart():
    clusters = ["x1", "x2", "x3", "x2", "x3", "x4", "x4", "x5", "x1", "q1", "q2", "q3"]
    tasks = ["a"] * 3 + ["b"] * 3 + ["c"] * 3 + ["d"] * 3
    plan = Layout.of(clusters, tasks)
    assert plan.block.tolist() == [0] * 5 + [1] * 3
    assert plan.block_df[1] == 2
    assert plan.block_df[0] == pytest.approx(plan.block_effective[0] - 1)


def test_few_documents_report_both_intervals_and_the_wider_decides():
    d = np.random.default_rng(9).normal(0.3, 1, 60)
    found = estimate(d, [i // 6 for i in range(60)])
    assert found.wild_interval is not None
    widths = [high - low for low, high in (found.t_interval, found.wild_interval)]
    assert found.high - found.low == pytest.approx(max(widths))
    assert found.method == ("wild cluster bootstrap-t" if widths[1] > widths[0] else "cluster t")
    assert estimate(d, range(60)).wild_interval is None


@given(st.integers(0, 10**6), st.integers(2, 12), st.floats(-0.2, 0.2))
@settings(max_examples=40, deadline=None)
def test_identity_order_scale_and_agreement_of_p_and_bound(seed, documents, margin):
    rng = np.random.default_rng(seed)
    owner = np.concatenate([np.arange(documents), rng.integers(0, documents, 20)])
    tasks = ["a"] * documents + ["b"] * 20
    if len(set(owner[documents:])) < 2:
        return
    tuned, newer, old = rng.integers(0, 2, (3, len(owner))).astype(float)
    plan = Layout.of(owner.tolist(), tasks, {"a": 1, "b": 3})
    delta, tau, gamma = (plan.estimate(d, margin=margin, draws=199) for d in (tuned - newer, tuned - old, newer - old))
    assert delta.gain == pytest.approx(tau.gain - gamma.gain, abs=1e-12)
    assert delta.low <= delta.gain <= delta.high
    if delta.se:
        assert (delta.low > margin) == (delta.p < 0.025 + 1e-9)
    shuffle = rng.permutation(len(owner))
    moved = Layout.of(owner[shuffle].tolist(), [tasks[i] for i in shuffle], {"a": 1, "b": 3})
    again = moved.estimate((tuned - newer)[shuffle], draws=199)
    assert (again.gain, again.se, again.df) == pytest.approx((delta.gain, delta.se, delta.df), abs=1e-9)
    half = plan.estimate((tuned - newer) / 2, draws=199)
    assert (half.gain, half.se) == pytest.approx((delta.gain / 2, delta.se / 2), abs=1e-12)
    assert sum(delta.shares.values()) == pytest.approx(1)


@pytest.mark.parametrize("clusters", [2, 5, 40, 480])
@pytest.mark.parametrize("value", [-0.5, 0.0, 1.0])
def test_agreement_of_few_clusters_is_no_certainty(clusters, value):
    """A share p of clusters that differ goes unseen with chance (1 - p)^C: at 2.5 % the bounds must still hold it."""
    unseen = 1 - 0.025 ** (1 / clusters)
    found = estimate([value] * clusters, range(clusters))
    assert found.low <= (1 - unseen) * value - unseen
    assert found.high >= (1 - unseen) * value + unseen
    for margin in (-0.9, -0.52, 0.0, 0.02, 0.5, 0.98):
        again = estimate([value] * clusters, range(clusters), margin=margin)
        assert (again.low > margin) == (again.p < 0.025)


def test_of_tasks_without_spread_that_share_no_document_the_one_that_could_hide_most_stands_for_all():
    """Had a share p_t of each task's C_t documents differed, all would go unseen with chance exp(-sum C_t p_t): at
    2.5 % the sum of w_t p_t is largest where one task holds it all. On the same documents both may differ at once."""
    tasks, weights = ["a"] * 10 + ["b"] * 20, {"a": 3.0, "b": 1.0}
    alone = estimate([0.0] * 30, range(30), tasks, weights)
    joint = estimate([0.0] * 30, [*range(10), *range(20)], tasks, weights)
    most, both = (-math.log(0.025) * each for each in (0.75 / 10, 0.75 / 10 + 0.25 / 20))
    assert (alone.low, alone.high, alone.mde80) == pytest.approx((-most, most, most))
    assert (joint.low, joint.high, joint.mde80) == pytest.approx((-both, both, both))


def test_equal_values_have_no_spread():
    for value in (0.0, 0.1, 1.0):
        found = estimate([value] * 12, [i // 2 for i in range(12)])
        assert (found.gain, found.se, found.method) == (pytest.approx(value), 0, "no spread")
    assert estimate([0.1] * 400, range(400), margin=0.05).p < 1e-7
    assert estimate([0.1] * 12, range(12), margin=0.1).p == 1


@pytest.mark.parametrize(
    ("values", "clusters", "tasks", "weights", "says"),
    [
        ([], [], None, None, "no questions"),
        ([1.0, 0.0], ["x", "x"], None, None, "one cluster holds all 2 questions"),
        ([1.0, 0.0, 1.0], ["x", "y", "z"], ["a", "a", "b"], None, "task 'b': one cluster"),
        ([1.0], ["x", "y"], None, None, "for 2 questions"),
        ([1.0, math.nan], ["x", "y"], None, None, "not a finite number"),
        ([1.0, 0.0], ["x", "y"], ["a"], None, "1 task names"),
        ([1.0, 0.0], ["x", "y"], None, {"all": 0.0}, "above 0"),
        ([1.0, 0.0], ["x", "y"], None, {"other": 1.0}, "weights for"),
    ],
)
def test_input_that_cannot_be_judged_is_refused_with_its_reason(values, clusters, tasks, weights, says):
    with pytest.raises(ValueError, match=says):
        estimate(values, clusters, tasks, weights)


# ---- two strata of each task


def strata(rng, shift: float = 0.0):
    """Two tasks of 90 documents, a third of them young; documents pull their questions together, tasks differ."""
    clusters = np.repeat(np.arange(180), 2)
    tasks = np.where(clusters < 90, "a", "b")
    young = clusters % 3 == 0
    pull = np.repeat(rng.normal(0, 0.25, 180), 2)
    d = np.clip(pull + rng.normal(0, 0.3, 360) + np.where(tasks == "a", 0.2, -0.1), -1, 1) + shift * young
    return d, clusters.tolist(), tasks.tolist(), young.tolist()


def test_the_difference_of_strata_is_covered_as_often_as_said():
    rng, runs = np.random.default_rng(5), 600
    found = [apart(*strata(rng), {"a": 2.0, "b": 1.0}) for _ in range(runs)]
    band = 3.3 * math.sqrt(0.05 * 0.95 / runs)
    assert np.mean([low <= 0 <= high for _, low, high in found]) == pytest.approx(0.95, abs=band)


def test_the_difference_of_strata_is_that_of_their_means():
    d, clusters, tasks, young = strata(np.random.default_rng(6), shift=0.3)
    gain, low, high = apart(d, clusters, tasks, young, {"a": 2.0, "b": 1.0})
    new, name = np.array(young), np.array(tasks)
    each = {t: d[new & (name == t)].mean() - d[~new & (name == t)].mean() for t in "ab"}
    assert gain == pytest.approx((2 * each["a"] + each["b"]) / 3)
    assert low < 0.3 < high
    ols = _strata_errors(d, clusters, name, new)
    assert (high - low) / 2 == pytest.approx(1.96 * ols, rel=0.05)


def _strata_errors(d, clusters, name, new) -> float:
    """The clustered standard error of the same contrast by statsmodels: a mean for each stratum."""
    import statsmodels.api as sm

    cells = np.stack([(name == t) & (new == side) for t in "ab" for side in (False, True)], axis=1).astype(float)
    fit = sm.OLS(d, cells).fit(cov_type="cluster", cov_kwds={"groups": np.array(clusters)})
    contrast = np.array([-2, 2, -1, 1]) / 3
    return math.sqrt(contrast @ fit.cov_params() @ contrast)


def test_a_document_in_both_strata_is_one_cluster():
    """Pulled together, its questions cancel: the interval is narrower than from documents apart."""
    rng = np.random.default_rng(7)
    d = np.repeat(rng.normal(0, 0.4, 100), 2) + rng.normal(0, 0.05, 200)
    young, tasks = [False, True] * 100, ["t"] * 200
    together = apart(d, np.repeat(np.arange(100), 2).tolist(), tasks, young, {"t": 1.0})
    alone = apart(d, list(range(200)), tasks, young, {"t": 1.0})
    assert together[2] - together[1] < (alone[2] - alone[1]) / 4
    with pytest.raises(ValueError, match="one cluster holds all"):
        apart(d, [0] * 200, tasks, young, {"t": 1.0})


@given(
    seed=st.integers(0, 10**6),
    clusters=st.integers(4, 45),  # with few of them the bootstrap confirms the t interval
    gain=st.floats(-0.6, 0.6),
    margin=st.sampled_from([0.0, 0.1]),
    confidence=st.sampled_from([0.8, 0.95]),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_p_is_as_careful_of_a_loss_as_of_a_gain(seed, clusters, gain, margin, confidence):
    """What is said of x is said of -x; and no p goes against its interval."""
    rng = np.random.default_rng(seed)
    d = np.clip(rng.choice([-1.0, 0.0, 1.0], 2 * clusters) * 0.6 + gain, -1, 1)
    owner = [at // 2 for at in range(2 * clusters)]
    found = estimate(d, owner, confidence=confidence, margin=margin)
    other = estimate(-d, owner, confidence=confidence, margin=-margin)
    assert (other.p, other.p_under) == pytest.approx((found.p_under, found.p))
    assert other.p_two_sided == pytest.approx(found.p_two_sided)
    assert (other.low, other.high) == pytest.approx((-found.high, -found.low))
    for bound, p, error in (
        (found.low - margin, found.p, (1 - confidence) / 2), (margin - found.high, found.p_under, (1 - confidence) / 2),
        (max(found.low - margin, margin - found.high), found.p_two_sided, 1 - confidence),
    ):  # fmt: skip
        assert abs(bound) < 1e-9 or (bound > 0) == (p <= error + 1e-9)


def test_where_nothing_varies_a_loss_is_told_as_a_gain_is():
    gain, loss = (estimate([value] * 30, range(30)) for value in (1.0, -1.0))
    assert gain.p_two_sided == pytest.approx(2 * math.exp(-15))  # 30 clusters, in each of which 2 could be lost
    assert (loss.p_two_sided, loss.p_under, loss.p) == (gain.p_two_sided, gain.p, 1.0)
