"""Macro-F1 of whole sets of answers: scikit-learn and scipy as oracles, coverage by seeded simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from written_exam import graded, row

from eval.compare import compare
from eval.corpus import NONE, counts, macro_f1, macro_f1_gain
from eval.labels import corpus_rows
from eval.pairing import Pair
from eval.sheet import Sheet

LABELS = np.array([0.6, 0.28, 0.12])


def answers(rng, documents: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gold labels [n] and what two contenders said [n, 1]: a document pulls its questions."""
    gold, said = rng.choice(3, documents * size, p=LABELS), []
    for chance in (0.75, 0.6):
        pull = np.repeat(rng.normal(0, 0.8, documents), size) + math.log(chance / (1 - chance))
        right = rng.random(len(gold)) < 1 / (1 + np.exp(-pull))
        other = np.where(rng.random(len(gold)) < 0.05, NONE, rng.choice(3, len(gold), p=LABELS))
        said.append(np.where(right, gold, other)[:, None])
    return gold, *said


def test_macro_f1_is_scikit_learns():
    from sklearn.metrics import f1_score

    gold, said, _ = answers(np.random.default_rng(0), 50, 4)
    known = f1_score(gold, said[:, 0], labels=[0, 1, 2], average="macro")
    assert macro_f1(counts(gold, said, 3).sum(axis=0)) == pytest.approx(known)


def test_samples_of_a_question_count_as_parts_of_it():
    gold = np.array([0, 1])
    found = counts(gold, np.array([[0, 1], [1, NONE]]), 2)
    assert found[0].tolist() == [[0.5, 0, 0.5], [0, 0.5, 0]]
    assert found[1].tolist() == [[0, 0, 0], [0.5, 0, 0.5]]


def test_a_label_that_is_nowhere_says_nothing():
    gold = np.array([0, 0, 1])
    found = counts(gold, gold[:, None], 3).sum(axis=0)
    assert macro_f1(found) == 1.0
    assert macro_f1(np.zeros((3, 3))) == 0.0


def test_the_interval_is_scipys_basic_bootstrap_of_documents():
    from scipy import stats

    gold, first, second = answers(np.random.default_rng(3), 300, 1)
    mine = macro_f1_gain(counts(gold, first, 3), counts(gold, second, 3), range(300))

    def gain(chosen):
        parts = [macro_f1(counts(gold[chosen], said[chosen], 3).sum(axis=0)) for said in (first, second)]
        return parts[0] - parts[1]

    known = stats.bootstrap((np.arange(300),), gain, method="basic", n_resamples=1999, vectorized=False, rng=1)
    assert mine.gain == pytest.approx(mine.challenger - mine.incumbent)
    assert (mine.low, mine.high) == pytest.approx(tuple(known.confidence_interval), abs=0.012)


@pytest.mark.parametrize(("documents", "size"), [(60, 5), (12, 12)])
def test_coverage_and_error_rate(documents, size):
    rng, runs, held, called = np.random.default_rng(5), 400, 0, 0
    gold, *said = answers(rng, 100_000, size)
    scores = [macro_f1(counts(gold, each, 3).sum(axis=0)) for each in said]
    truth, owner = float(scores[0] - scores[1]), np.repeat(np.arange(documents), size).tolist()
    for _ in range(runs):
        gold, first, second = answers(rng, documents, size)
        found = macro_f1_gain(counts(gold, first, 3), counts(gold, second, 3), owner, draws=499)
        held += found.low <= truth <= found.high
        called += found.low > truth
    assert held / runs >= 0.95 - 3.3 * math.sqrt(0.05 * 0.95 / runs)
    assert held / runs <= 0.99
    assert called / runs <= 0.025 + 3.3 * math.sqrt(0.025 * 0.975 / runs)


def test_one_document_is_refused():
    gold = np.array([0, 1])
    with pytest.raises(ValueError, match="needs two"):
        macro_f1_gain(counts(gold, gold[:, None], 2), counts(gold, gold[:, None], 2), ["x", "x"])


def test_rows_of_a_comparison_are_scikit_learns_on_what_was_named():
    from sklearn.metrics import f1_score

    rng, options = np.random.default_rng(7), ("up", "down", "flat")
    gold, logs, named = rng.choice(3, 90), [], []
    for blank in (0.0, 0.2):
        said = np.where(rng.random(90) < 0.6, gold, rng.choice(3, 90))
        log = []
        for place, (right, chosen) in enumerate(zip(gold.tolist(), said.tolist(), strict=True)):
            turned = options[place % 3 :] + options[: place % 3]  # letters stand for other labels in each question
            letters = ["ABC"[turned.index(options[which])] for which in (right, chosen)]
            silent = rng.random() < blank
            outcome = "unparsed" if silent else "correct" if right == chosen else "wrong"
            said[place] = NONE if silent else chosen
            facts = {"options": turned, "gold": letters[0], "extracted": None if silent else letters[1]}
            log.append(row("t", place, cluster=f"{place // 3}", **facts, **graded(outcome)))
        logs.append(Sheet.of("x", {0: log}))
        named.append(said)
    (found,) = corpus_rows(*logs, 0.95)
    order = sorted(range(90), key=str)
    known = [f1_score(gold[order], said[order], labels=[0, 1, 2], average="macro") for said in named]
    assert (found.challenger, found.incumbent) == pytest.approx(tuple(known))
    assert (found.labels, found.n, found.clusters, found.task, found.lang) == (3, 90, 30, "t", "zh")
    assert found.low < found.gain < found.high
    assert compare(Pair.of(*logs, {}), role="delta", confidence=0.95, margin=0.0).corpus == (found,)


def test_questions_with_options_of_their_own_have_no_macro_f1():
    own = [row("t", place, options=(f"{place}", "x"), cluster=f"{place}") for place in range(6)]
    several = [row("t", place, options=("x", "y"), gold="AB", cluster=f"{place}") for place in range(6)]
    for log in (own, several, [row("t", place) for place in range(6)]):
        sheet = Sheet.of("x", {0: log})
        assert corpus_rows(sheet, sheet, 0.95) == ()
