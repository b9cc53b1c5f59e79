"""P-values against statsmodels and scipy; Holm's decisions and its bounds agree."""

from __future__ import annotations

import numpy as np
import pytest

from eval.significance import holm, mcnemar_midp


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
