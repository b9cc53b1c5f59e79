"""The split of a variance into what more samples remove and what they cannot."""

from __future__ import annotations

import numpy as np
import pytest

from eval.noise import noise


def test_noise_split_recovers_what_samples_can_and_cannot_remove():
    rng = np.random.default_rng(12)
    chance = rng.beta(2, 2, (2, 20000))
    a, b = (rng.binomial(1, np.repeat(p[:, None], 8, axis=1)).astype(float) for p in chance)
    found = noise(a, b)
    assert found.sigma2_a == pytest.approx((chance[0] * (1 - chance[0])).mean(), rel=0.02)
    assert found.omega2 == pytest.approx((chance[0] - chance[1]).var(), rel=0.04)
    assert noise(a[:, :1], b[:, :1]).removable == 0  # one sample cannot tell its own noise


def test_noise_of_binary_scores_is_the_closed_form():
    a = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 1.0]])
    means = a.mean(axis=1)
    assert noise(a, a).sigma2_a == pytest.approx((4 / 3 * means * (1 - means)).mean())


def test_samples_that_are_no_pair_are_refused():
    with pytest.raises(ValueError, match="shape"):
        noise([[1.0]], [[1.0]])
