"""P-values against statsmodels and scipy; Holm's decisions and its bounds agree."""

from __future__ import annotations

import numpy as np
import pytest

from eval.significance import holm, mcnemar_midp, tango, tango_score


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
