"""Numbers as people read them, and scores that stand clear of their neighbours; without a page."""

from __future__ import annotations

import pytest

from eval.report.board import places
from eval.report.figures import less, number, points, share, tiny


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "–"),
        ("none", "none"),
        (1.74e-13, "1.7e-13"),
        (0.502, "0.5"),
        (15.2, "15"),
        (99.6, "99.6"),
        (1234, "1,234"),
    ],
)
def test_an_exponent_stands_only_where_a_figure_is_small(value, said):
    assert tiny(value) == said


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0312, "+3.1"), (-0.0312, "−3.1"), (0.0004, "0.0"), (-0.0004, "0.0"), (0.99951, "+100.0"), (0, "0.0")],
)
def test_points(value, text):
    assert points(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (160.00000001, "160"), (160, "160"), (1234.6, "1,235"), (0.000123456, "0.000123"), (0.0, "0"),
        (-12.34, "−12.3"), (None, "–"), (float("inf"), "∞"), (999.96, "1,000"), (1e-12, "0"),
    ],
)  # fmt: skip
def test_numbers(value, text):
    assert number(value) == text


def test_small_words():
    assert (share(0.0), share(0.0001), share(0.5)) == ("0.0%", "<0.1%", "50.0%")
    assert (less(0.02), less(-0.02)) == ("− 2.0", "+ 2.0")


def test_a_score_stands_clear_where_no_interval_beside_it_touches_its_own():
    found = places([(0.50, 0.45, 0.55), (0.80, 0.78, 0.82), (0.53, 0.48, 0.58), (0.20, 0.18, 0.22)])
    assert [(place.index, place.clear) for place in found] == [(1, True), (2, False), (0, False), (3, True)]
