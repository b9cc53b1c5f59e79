"""Properties of tiers, spans and duels, on plain numbers."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.paired import Layout
from eval.standing import duels, spans, tiers


def standing(scores, clusters=None):
    clusters = list(range(len(scores[0]))) if clusters is None else clusters
    layout, weight = Layout.of(clusters), np.full(len(clusters), 1 / len(clusters))
    arrays = [np.atleast_2d(np.asarray(each, dtype=float)) for each in scores]
    found = duels(arrays, weight, layout, 0.95)
    means = [float(each.mean()) for each in arrays]
    return found, tiers(means, found), spans(means, found)


@given(st.integers(0, 10**6), st.integers(2, 5))
@settings(max_examples=25, deadline=None)
def test_whoever_is_better_on_every_question_never_ranks_below(seed, count):
    rng = np.random.default_rng(seed)
    scores = list((rng.random((count, 60)) < rng.random((count, 1))).astype(float))
    scores.append(np.maximum(scores[0], rng.random(60) < 0.2))  # never worse than the first
    _, places, ranks = standing(scores)
    assert places[-1].tier <= places[0].tier
    assert places[-1].rank <= places[0].rank
    assert ranks[-1][0] <= ranks[0][0]
    assert ranks[-1][1] <= ranks[0][1]
    assert all(best <= place.rank <= worst for place, (best, worst) in zip(places, ranks, strict=True))


@given(st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_swapping_contenders_swaps_their_rows(seed):
    rng = np.random.default_rng(seed)
    scores = (rng.random((3, 60)) < rng.random((3, 1))).astype(float)
    found, places, _ = standing(scores)
    back, turned, _ = standing(scores[::-1])
    assert turned[::-1] == places
    means = scores.mean(axis=1)
    if len(set(means.tolist())) == 3:
        said = {(duel.ahead, duel.behind): (duel.gain, duel.p, duel.resolved) for duel in found}
        assert said == {(2 - d.ahead, 2 - d.behind): (d.gain, d.p, d.resolved) for d in back}


def test_equals_tie_and_share_every_rank():
    scores = [np.tile([1.0, 0, 1, 1], 20), np.tile([1.0, 0, 1, 1], 20), np.tile([0.0, 0, 0, 1], 20)]
    found, places, ranks = standing(scores)
    assert [each.tier for each in places] == [1, 1, 2]
    assert [each.rank for each in places] == [1, 1, 3]
    assert ranks == [(1, 2), (1, 2), (3, 3)]
    assert not next(duel for duel in found if {duel.ahead, duel.behind} == {0, 1}).resolved


def test_a_tier_has_no_holes():
    """The last is not told from the head, so neither is the one between, whatever its own duel says."""
    rng = np.random.default_rng(0)
    head = (rng.random(200) < 0.6).astype(float)
    steady = head.copy()
    steady[np.flatnonzero(head)[:10]] = 0  # a little worse, always
    noisy = rng.permutation(steady)
    noisy[np.flatnonzero(noisy)[:1]] = 0
    found, places, _ = standing([head, steady, noisy])
    resolved = {(duel.ahead, duel.behind): duel.resolved for duel in found}
    assert resolved[0, 1]
    assert not resolved[0, 2]
    assert [each.tier for each in places] == [1, 1, 1]
    assert spans([each.mean() for each in (head, steady, noisy)], found) == [(1, 2), (1, 3), (1, 3)]


def test_questions_of_one_document_widen_spans_and_intervals():
    rng = np.random.default_rng(1)
    scores = [np.repeat(rng.random(40) < rate, 5).astype(float) for rate in (0.65, 0.6, 0.55, 0.5, 0.45, 0.4)]
    apart, _, narrow = standing(scores)
    joined, _, wide = standing(scores, [at // 5 for at in range(200)])
    width = [sum(last - first for first, last in each) for each in (narrow, wide)]
    assert width[0] < width[1]
    for a, b in zip(apart, joined, strict=True):
        assert b.high - b.low > 1.5 * (a.high - a.low)


def test_noise_widens_a_duel():
    rng = np.random.default_rng(2)
    one, two = rng.random(200) * 0.2 + 0.6, rng.random(200) * 0.2 + 0.5
    quiet, *_ = standing([one, two])
    loud, *_ = standing([np.clip(one + rng.normal(0, 0.3, 200), 0, 1), two])
    assert loud[0].high - loud[0].low > quiet[0].high - quiet[0].low


def test_equal_contenders_are_rarely_told_apart():
    """Family-wise over all pairs: of 300 boards of equals, at most 5 % (and Monte-Carlo error) say otherwise."""
    rng, false = np.random.default_rng(3), 0
    layout, weight = Layout.of(list(range(50)) * 2), np.full(100, 0.01)
    for _ in range(300):
        scores = [(rng.random((1, 100)) < 0.6).astype(float) for _ in range(4)]
        false += any(duel.resolved for duel in duels(scores, weight, layout, 0.95))
    assert false / 300 < 0.05 + 2.6 * (0.05 * 0.95 / 300) ** 0.5


def test_all_spans_of_a_board_hold_the_true_ranks():
    """At once, as Holm over the pairs promises: of 150 boards at most 5 % (and Monte-Carlo error) miss any."""
    rng, held, wide = np.random.default_rng(4), 0, 0
    layout, weight = Layout.of([at // 2 for at in range(200)]), np.full(200, 1 / 200)
    for _ in range(150):
        hard = np.repeat(rng.random(100), 2)
        scores = [(0.5 * hard + 0.5 * rng.random(200) < rate)[None].astype(float) for rate in (0.66, 0.52, 0.38)]
        found = spans([float(each.mean()) for each in scores], duels(scores, weight, layout, 0.95))
        held += all(first <= rank <= last for rank, (first, last) in enumerate(found, 1))
        wide += sum(last - first for first, last in found)
    assert held / 150 > 0.95 - 2.6 * (0.05 * 0.95 / 150) ** 0.5
    assert wide / 450 < 1, "they tell something"
