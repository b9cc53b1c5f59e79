"""What a judge and people said, weighed: labels read, a winner named, the corrected mean by hand and by draws."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from eval.opinion import settled
from eval.opinion.asking import winner
from eval.opinion.tally import read_labels, rectified
from finetune.mistakes import BadInput


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"id": "t/1", "pair": "p"}', "needs id, pair and label"),
        ('{"id": "t/1", "pair": "p", "label": "C"}', "needs id, pair and label"),
        ('{"id": "t/1", "pair": "p", "label": "A"}\n{"id": "t/1", "pair": "p", "label": "B"}', "two unlike labels"),
        ("nonsense", "needs id, pair and label"),
        ("\n" + "[" * 100_000, r"l\.jsonl:2: needs id, pair and label"),
    ],
)
def test_bad_labels_are_refused_with_their_line(tmp_path, line, said):
    (tmp_path / "l.jsonl").write_text(line + "\n", "utf-8")
    with pytest.raises(BadInput, match=said):
        read_labels(tmp_path / "l.jsonl")
    with pytest.raises(BadInput, match="cannot be read"):
        read_labels(tmp_path / "none.jsonl")


def test_empty_labels_are_none(tmp_path):
    (tmp_path / "l.jsonl").write_text('{"id": "t/1", "pair": "p", "label": ""}\n\n', "utf-8")
    assert read_labels(tmp_path / "l.jsonl") == {}


def test_an_answer_may_hold_line_breaks_of_other_scripts(tmp_path):
    row = {"id": "t/1", "pair": "p", "answer A": "one\u2028two\u0085three", "label": "A"}
    (tmp_path / "l.jsonl").write_bytes(json.dumps(row, ensure_ascii=False).encode() + b"\r\n")
    assert read_labels(tmp_path / "l.jsonl") == {"p": "A"}


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        ("So.\nWinner: A", "A"), ("**Winner: tie**\n", "tie"), ("winner: b.", "B"), ("Winner：A", "A"),
        ("Winner: A\nor not", None), ("A", None), ("", None), ("Winner: C", None), ('"Winner: A" it says', None),
    ],
)  # fmt: skip
def test_the_last_line_names_the_winner(answer, read):
    assert winner(answer) == read


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (("A", "B"), ("challenger", True)), (("B", "A"), ("rival", True)), (("tie", "tie"), ("tie", True)),
        (("A", "A"), ("tie", False)), (("B", "B"), ("tie", False)), (("A", "tie"), ("tie", False)),
        (("A", None), ("tie", False)), ((None, None), ("tie", False)),
    ],
)  # fmt: skip
def test_only_what_holds_in_both_orders_counts(said, found):
    assert settled(*said) == found


def test_the_formula_by_hand():
    """N = 4, n = 3, every pair its own document: theta = 0.25 + 1/3; the variance of each part over its count."""
    from scipy.stats import t

    f, judged_, labels = [1, 0, -1, 1], [1, -1, 0], [1, 0, 0]
    found = rectified(f, list("abcd"), judged_, labels, list("xyz"), 0.95)
    first = ((1 - 0.25) ** 2 * 2 + 0.25**2 + 1.25**2) / 3 / 4  # Var(f) / N = 2.75 / 12
    second = ((1 / 3) ** 2 * 2 + (2 / 3) ** 2) / 2 / 3  # Var(y - f) / n of 0, 1, 0
    assert (first, second) == (pytest.approx(2.75 / 12), pytest.approx(1 / 9))
    assert found.gain == pytest.approx(0.25 + 1 / 3)
    df = (first + second) ** 2 / (first**2 / 3 + second**2 / 2)
    plain = t.ppf(0.975, df) * math.sqrt(first + second)
    # Few clusters: the wild bootstrap may widen it, and a preference lies in [-1, 1].
    assert found.low <= found.gain - plain + 1e-9 or found.low == -1
    many = rectified(f * 20, range(80), judged_ * 20, labels * 20, range(100, 160), 0.95)
    first, second = 20 * 2.75 / 79 / 80, 20 * (2 / 3) / 59 / 60
    df = (first + second) ** 2 / (first**2 / 79 + second**2 / 59)
    reach = t.ppf(0.975, df) * math.sqrt(first + second)
    assert (many.low, many.high) == (pytest.approx(many.gain - reach), pytest.approx(many.gain + reach))


def test_where_all_are_labelled_it_is_their_mean_and_without_spread_it_is_no_point():
    found = rectified([], [], [1, 1, 1], [1, 0, -1], "abc", 0.95)
    assert found.gain == 0
    sure = rectified([1] * 50, range(50), [1] * 100, [1] * 100, range(50, 150), 0.95)
    assert (sure.gain, sure.high) == (1, 1)
    assert sure.low == pytest.approx(1 - 2 * -math.log(0.025) / 100)
    alone = rectified([1, 0], "ab", [1, 1], [0, 1], "cc", 0.95)
    assert (alone.gain, alone.low) == (pytest.approx(0.5 - 0.5), None)


def test_the_interval_covers_at_its_rate_where_the_judge_alone_does_not():
    """A judge that agrees with people three times of four, and else prefers the challenger; 500 seeded draws of 400
    pairs in 200 documents, 120 of them labelled."""
    rng, truth, covered, biased, widths = np.random.default_rng(7), 0.1, 0, 0, []
    for _ in range(500):
        shift = np.repeat(rng.normal(0, 0.15, 200), 2)  # documents lean one way
        y = np.where(rng.random(400) < (1 + truth) / 2 + shift, 1.0, -1.0)
        f = np.where(rng.random(400) < 0.75, y, 1.0)
        ids = np.arange(400) // 2
        found = rectified(f[120:], ids[120:], f[:120], y[:120], ids[:120], 0.95)
        plain = rectified([], [], f, f, ids, 0.95)
        people = rectified([], [], f[:120], y[:120], ids[:120], 0.95)
        covered += found.low <= truth <= found.high
        biased += plain.low <= truth <= plain.high
        widths.append((found.high - found.low) / (people.high - people.low))
    assert 0.925 <= covered / 500 <= 0.975
    assert biased / 500 < 0.1
    assert np.mean(widths) < 0.95  # and the judge has narrowed what 120 labels alone would say
