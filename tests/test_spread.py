"""Where variance comes from: the tables of decision.md 5.3, statsmodels as oracle for the design effect."""

from __future__ import annotations

import math

import numpy as np
import pytest

from eval.noise import noise
from eval.paired import Layout
from eval.spread import TABLE, best_samples, design_effect, mde_by_samples, samples_that_pay

DOCUMENTS, SIZE = 278, 6  # as in TAT-QA's development part
DOCUMENT, QUESTION, ANSWERS = 0.0174, 0.0144, 0.331  # variances that give the table's design effects
DEFF = {1: 1.24, 2: 1.44, 4: 1.76, 8: 2.19, 16: 2.70, 32: 3.15}
MDE = {1: 0.046, 2: 0.036, 4: 0.030, 8: 0.027, 16: 0.025, 32: 0.024}


def answers(rng: np.random.Generator, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores [n, K] of two contenders: the document's pull and the question's are one side's, each answer has luck."""
    count = DOCUMENTS * SIZE
    own = np.repeat(rng.normal(0, math.sqrt(DOCUMENT), DOCUMENTS), SIZE) + rng.normal(0, math.sqrt(QUESTION), count)
    luck = rng.normal(0, math.sqrt(ANSWERS / 2), (2, count, samples))
    return own[:, None] + luck[0], luck[1]


def layout() -> Layout:
    return Layout.of([question // SIZE for question in range(DOCUMENTS * SIZE)])


@pytest.mark.parametrize("samples", TABLE)
def test_the_design_effect_climbs_with_samples_as_tabled(samples):
    rng, plan, found, seen = np.random.default_rng(samples), layout(), [], []
    for _ in range(60):
        a, b = answers(rng, samples)
        d = a.mean(axis=1) - b.mean(axis=1)
        whole = plan.estimate(d)
        found.append(design_effect(whole.se**2, float(np.var(d, ddof=1)) / len(d)))
        seen.append(whole.mde80)
    assert np.mean(found) == pytest.approx(DEFF[samples], rel=0.05)
    assert np.mean(seen) == pytest.approx(MDE[samples], abs=0.001)


def test_one_exam_of_eight_samples_foretells_what_other_numbers_would_have_seen():
    rng, plan, tables, paying = np.random.default_rng(4), layout(), [], []
    for _ in range(60):
        a, b = answers(rng, 8)
        whole, split = plan.estimate(a.mean(axis=1) - b.mean(axis=1)), noise(a, b)
        drawn = (split.sigma2_a + split.sigma2_b) / len(a)
        kept = whole.se**2 - drawn / 8
        tables.append([mde for _, mde in mde_by_samples(whole.mde80, whole.se**2, kept, drawn)])
        paying.append(samples_that_pay(kept, drawn))
    assert np.mean(tables, axis=0) == pytest.approx(list(MDE.values()), abs=0.0015)  # tabled to a tenth, itself drawn
    known = ANSWERS / (0.1 * (QUESTION + DOCUMENT + (SIZE - 1) * DOCUMENT))  # 10 sigma^2 / (omega^2 DEFF)
    assert np.median(paying) == pytest.approx(known, rel=0.1)


def test_the_design_effect_is_that_of_clustered_regression():
    import statsmodels.api as sm

    rng = np.random.default_rng(1)
    owner = rng.integers(0, 60, 400)
    d = rng.normal(0, 1, 60)[owner] + rng.normal(0, 1, 400)
    plain = sm.OLS(d, np.ones(400)).fit()
    groups = {"groups": owner, "use_correction": True, "df_correction": True}
    clustered = sm.OLS(d, np.ones(400)).fit(cov_type="cluster", cov_kwds=groups)
    found = Layout.of(owner.tolist()).estimate(d)
    known = float((clustered.bse[0] / plain.bse[0]) ** 2)
    assert design_effect(found.se**2, float(np.var(d, ddof=1)) / 400) == pytest.approx(known)


def test_samples_that_pay_by_hand():
    assert samples_that_pay(kept=1.0, drawn=0.8) == 8
    assert samples_that_pay(kept=1.0, drawn=0.0) == 1
    assert samples_that_pay(kept=0.0, drawn=1.0) is None
    assert mde_by_samples(0.04, 2.0, 1.0, 1.0)[2] == (4, pytest.approx(0.04 * math.sqrt(1.25 / 2)))
    assert mde_by_samples(0.0, 0.0, 0.0, 0.0) == ()
    assert design_effect(0.0, 0.0) == 1.0


def test_the_samples_that_pay_best_give_the_least_variance_for_the_money():
    """Against every K by the formula, and against a third and three times as many by exams drawn at one budget."""
    rng, kept, drawn, question, answer = np.random.default_rng(61), 0.03, 0.33, 2.0, 1.5
    best = best_samples(question, answer, drawn / kept)
    variance = {k: (kept + drawn / k) * (question + answer * k) for k in range(1, 60)}
    assert best == min(variance, key=variance.__getitem__) == round(math.sqrt(question / answer * drawn / kept)) == 4

    def spread(samples: int) -> float:
        count = int(1500 / (question + answer * samples))
        own, luck = (
            rng.normal(0, math.sqrt(kept), (4000, count)),
            rng.normal(0, math.sqrt(drawn / samples), (4000, count)),
        )
        return float(np.var((own + luck).mean(axis=1)))

    seen = {samples: spread(samples) for samples in (1, best, 3 * best)}
    assert min(seen, key=seen.__getitem__) == best
    assert best_samples(0.001, 1.0, 5.0) == 1
