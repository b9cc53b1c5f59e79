"""P-values against statsmodels and scipy; Holm's decisions and its bounds agree."""

from __future__ import annotations

import math

import numpy as np
import pytest

from eval.significance import benjamini_hochberg, holm, mcnemar_clustered, mcnemar_midp, tango, tango_score


def test_holm_equals_statsmodels():
    from statsmodels.stats.multitest import multipletests

    rng = np.random.default_rng(10)
    for _ in range(50):
        p = rng.uniform(0, 0.08, rng.integers(1, 8)).tolist()
        rejected, adjusted, *_ = multipletests(p, alpha=0.025, method="holm")
        found = holm(p, 0.025)
        assert [step.rejected for step in found] == rejected.tolist()
        assert [step.adjusted_p for step in found] == pytest.approx(adjusted.tolist())


def test_holm_decision_and_lower_bound_agree():
    from scipy.stats import norm

    rng = np.random.default_rng(15)
    for _ in range(200):
        z = rng.normal(1.5, 1.2, rng.integers(1, 6))
        for value, step in zip(z, holm(norm.sf(z).tolist(), 0.025), strict=True):
            assert step.rejected == (value - norm.isf(step.level) > 0)
    assert [step.level for step in holm([0.001, 0.5, 0.4], 0.03)] == pytest.approx([0.01, 0.015, 0.015])


def test_benjamini_hochberg_is_scipys_and_keeps_the_share_of_false_ones():
    from scipy.stats import false_discovery_control, norm

    rng = np.random.default_rng(16)
    for count in (1, 2, 7, 40):
        p = rng.uniform(0, 0.2, count).tolist()
        assert benjamini_hochberg(p) == pytest.approx(false_discovery_control(p).tolist())
    assert benjamini_hochberg([]) == []
    shares, truth = [], np.repeat([3.0, 0.0], [6, 24])  # subjects; every one shares a base, so they depend
    for _ in range(600):
        z = truth + math.sqrt(0.3) * rng.normal() + math.sqrt(0.7) * rng.normal(size=30)
        out = np.array(benjamini_hochberg((2 * norm.sf(np.abs(z))).tolist())) <= 0.05
        shares.append((out & (truth == 0)).sum() / max(1, out.sum()))
    assert np.mean(shares) <= 0.05 + 3.3 * np.std(shares) / math.sqrt(len(shares))
    assert np.mean(shares) > 0.01  # it does find some


def test_mcnemar_midp_lies_between_and_equals_its_definition():
    from scipy.stats import binom
    from statsmodels.stats.contingency_tables import mcnemar

    for wins, losses in [(0, 0), (1, 0), (5, 5), (3, 12), (40, 21), (7, 8)]:
        found = mcnemar_midp(wins, losses)
        fewer, total = min(wins, losses), wins + losses
        assert found == pytest.approx(min(1, 2 * binom.cdf(fewer - 1, total, 0.5) + binom.pmf(fewer, total, 0.5)))
        assert found <= mcnemar([[0, wins], [losses, 0]], exact=True).pvalue + 1e-12
        assert found == mcnemar_midp(losses, wins)
    assert mcnemar_midp(10, 10) == pytest.approx(1.0)


def test_tango_gives_the_published_interval():
    """Airways before and after a transplant, 21 children (Fagerland, Lydersen & Laake 2014): 1 gained, 7 lost."""
    assert tango(1, 7, 21) == pytest.approx((-0.517, -0.026), abs=5e-4)
    assert mcnemar_midp(1, 7) == pytest.approx(0.039, abs=5e-4)


def test_tango_score_is_mcnemars_at_no_difference_and_the_likelihoods_elsewhere():
    from scipy.optimize import minimize_scalar
    from statsmodels.stats.contingency_tables import mcnemar

    for wins, losses, count in [(3, 12, 40), (40, 21, 500), (7, 8, 15)]:
        table = [[count - wins - losses, wins], [losses, 0]]
        known = mcnemar(table, exact=False, correction=False).statistic
        assert tango_score(wins, losses, count, 0.0) ** 2 == pytest.approx(known)
        for delta in (-0.3, -0.05, 0.1, 0.4):

            def unlikely(lost, delta=delta, wins=wins, losses=losses, count=count):
                shares = np.array([lost + delta, lost, 1 - 2 * lost - delta])
                return -np.array([wins, losses, count - wins - losses]) @ np.log(shares)

            ends = max(0.0, -delta) + 1e-9, (1 - delta) / 2 - 1e-9
            lost = minimize_scalar(unlikely, bounds=ends, method="bounded", options={"xatol": 1e-12}).x
            known = (wins - losses - count * delta) / np.sqrt(count * (2 * lost + delta - delta**2))
            assert tango_score(wins, losses, count, delta) == pytest.approx(known, rel=1e-4)


def test_tango_turns_round_and_knows_the_ends():
    low, high = tango(9, 4, 60)
    assert tango(4, 9, 60) == pytest.approx((-high, -low), abs=1e-9)
    assert low < 5 / 60 < high
    assert tango(0, 0, 50) == pytest.approx((-0.0713, 0.0713), abs=1e-4)  # z^2 / (n + z^2), the score bound of 0 of n
    assert tango(12, 0, 12)[1] == pytest.approx(1.0)
    for counts in ((3, 4, 6), (-1, 2, 9), (0, 0, 0)):
        with pytest.raises(ValueError, match="no such counts"):
            tango(*counts)


@pytest.mark.parametrize(("won", "lost"), [(0.125, 0.125), (0.2, 0.1), (0.35, 0.05)])
def test_coverage_of_tango_and_error_of_mcnemar_by_every_table_there_is(won, lost):
    """Exact, no draw: all outcomes of 60 independent pairs with their multinomial chances."""
    from scipy.stats import multinomial

    held = called = 0.0
    for wins in range(61):
        for losses in range(61 - wins):
            chance = multinomial.pmf([wins, losses, 60 - wins - losses], 60, [won, lost, 1 - won - lost])
            if chance < 1e-9:
                continue
            low, high = tango(wins, losses, 60)
            held += chance * (low <= won - lost <= high)
            called += chance * (mcnemar_midp(wins, losses) <= 0.05)
    assert 0.94 <= held <= 0.965
    if won == lost:
        assert 0.03 <= called <= 0.05


def test_clustered_mcnemar_by_hand_and_of_single_questions():
    """Net 2, -1, 1 in clusters of 3, 2, 4: 2/3 * 4/6 after Obuchowski, (5/12)^2 / (109/144) after Durkalski."""
    from scipy.stats import chi2
    from statsmodels.stats.contingency_tables import mcnemar

    obuchowski, durkalski = mcnemar_clustered([2, -1, 1], [3, 2, 4])
    assert obuchowski == pytest.approx(chi2.sf(4 / 9, 1))
    assert durkalski == pytest.approx(chi2.sf((5 / 12) ** 2 / (109 / 144), 1))
    single = [1] * 14 + [-1] * 5 + [0] * 81
    found, known = mcnemar_clustered(single, [1] * 100), mcnemar([[0, 14], [5, 0]], exact=False, correction=False)
    assert found[1] == pytest.approx(known.pvalue)
    assert found[0] == pytest.approx(chi2.sf(0.99 * known.statistic, 1))
    assert mcnemar_clustered([0, 0], [3, 2]) == (1.0, 1.0)
    assert mcnemar_clustered([0.0, 5.0, -1.0], [9, 9, 9]) == mcnemar_clustered([0.0, -5.0, 1.0], [9, 9, 9])


def test_clustered_mcnemar_errs_as_often_as_it_says_where_the_plain_one_errs_more():
    """80 documents of 1 to 12 questions, two contenders that differ in which documents they know, not in how many."""
    rng, runs = np.random.default_rng(53), 3000
    sizes = rng.integers(1, 13, size=80)
    owner, errs = np.repeat(np.arange(80), sizes), np.zeros(3)
    for _ in range(runs):
        right = rng.normal(size=(2, len(owner))) + 0.8 * rng.normal(size=(2, 80))[:, owner] > 0
        d = right[0] * 1.0 - right[1]
        net = np.bincount(owner, weights=d)
        plain = mcnemar_midp(int((d > 0).sum()), int((d < 0).sum()))
        errs += [p < 0.05 for p in (*mcnemar_clustered(net.tolist(), sizes.tolist()), plain)]
    band = 3.3 * math.sqrt(0.05 * 0.95 / runs)
    assert errs[:2] / runs == pytest.approx([0.05, 0.05], abs=band)
    assert errs[2] / runs > 0.1
