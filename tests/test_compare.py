"""Pairing two contenders: what is refused, what a missing answer is worth, what every row of a comparison holds."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written_exam import graded, row

from eval.compare import Comparison, compare
from eval.paired import estimate
from eval.pairing import Pair
from eval.sheet import BadPairing, Sheet
from eval.significance import tango


def sheet(name: str, *logs: list, seeds: tuple[int, ...] = (17, 18, 19)) -> Sheet:
    return Sheet.of(name, dict(zip(seeds, logs, strict=False)))


def answers(right: list[int] | str, task: str = "t", **changes) -> list:
    """One row a question from a list of 0 and 1; `cluster` is a document of two questions."""
    return [
        row(task, i, **{"cluster": f"{task}/{i // 2}"} | graded("correct" if int(bit) else "wrong") | changes)
        for i, bit in enumerate(right)
    ]


def compared(a: Sheet, b: Sheet, weights: dict[str, float] | None = None, **terms) -> Comparison:
    return compare(Pair.of(a, b, weights or {}), **{"role": "delta", "confidence": 0.95, "margin": 0.0} | terms)


@pytest.mark.parametrize(
    ("theirs", "says"),
    [
        (answers("110100", hash="other"), "t/0: hash is"),
        (answers("11010"), "lora answered questions that newer did not .1.: t/5"),
        (answers("1101001"), "newer answered questions that lora did not .1.: t/6"),
        (answers("110100", protocol="likelihood"), "t/0: protocol is generated for lora and likelihood for newer"),
        (answers("110100", cluster="one"), "t/0: cluster is"),
    ],
)
def test_a_bad_pairing_is_refused_with_its_reason(theirs, says):
    with pytest.raises(BadPairing, match=says):
        Pair.of(sheet("lora", answers("110100")), sheet("newer", theirs), {})


def test_seeds_pair_one_to_one_or_against_a_single_one():
    three, two = sheet("lora", *[answers("1101")] * 3), sheet("prefix", *[answers("0101")] * 2)
    with pytest.raises(BadPairing, match="3 seeds and prefix 2"):
        Pair.of(three, two, {})
    assert compared(three, sheet("newer", answers("0101"))).seeds == 3


@pytest.mark.parametrize(
    ("log", "says"),
    [
        ([], "no scored question"),
        (answers("1101") + answers("1"), "t/0 has sample 0 twice"),
        (answers("1101", outcome="truncated", score=0.5), "scores 0.5 with outcome truncated"),
        (answers("1101", score=1.5), "scores 1.5"),
        (answers("11", part="dev"), "no scored question"),
    ],
)
def test_a_broken_log_is_refused_with_its_reason(log, says):
    with pytest.raises(BadPairing, match=says):
        sheet("lora", log)


def test_seeds_with_unlike_questions_are_refused():
    with pytest.raises(BadPairing, match="seed 18 answered 3 questions, another 4"):
        sheet("lora", answers("1101"), answers("110"))
    with pytest.raises(BadPairing, match="t/0 is not one question"):
        sheet("lora", answers("1101"), answers("1101", hash="other"))


def test_a_missing_sample_scores_zero_and_is_counted():
    full = [row("t", i, sample=k, cluster=f"{i}") for i in range(6) for k in range(4)]
    lacking = [answer for answer in full if not (answer.id == "0" and answer.sample == 2)]
    whole, holed = sheet("lora", full), sheet("newer", lacking)
    found = compared(whole, holed)
    assert found.gain == pytest.approx(0.25 / 6)
    assert found.samples == {"t": (4, 4)}
    assert holed.count("missing") == 1


def test_unlike_sample_counts_are_allowed_and_stated():
    once = answers("111111")
    drawn = [{"sample": k} | graded("correct" if k else "wrong") for k in range(4)]
    many = [answer.model_copy(update=draw) for answer in once for draw in drawn]
    found = compared(sheet("lora", many), sheet("newer", once))
    assert found.samples == {"t": (4, 1)}
    assert found.gain == pytest.approx(-0.25)
    assert found.mcnemar is None


def test_development_questions_are_never_judged_on():
    dev = [row("t", 9, part="dev", **graded("wrong"))]
    found = compared(sheet("lora", answers("1111") + dev), sheet("newer", answers("0111") + dev))
    assert found.n == 4
    assert (found.wins, found.losses, found.ties) == (1, 0, 3)


def test_two_tasks_are_weighted_and_shown_with_their_part_in_gain_and_variance():
    a = answers("11110000", "x") + answers("1010101010101010", "y", lang="en")
    b = answers("10100101", "x") + answers("0110011001100110", "y", lang="en")
    found = compared(sheet("lora", a), sheet("newer", b), {"x": 3, "y": 1})
    by_name = {part.task: part for part in found.tasks}
    assert {name: (part.n, part.clusters, part.lang) for name, part in by_name.items()} == {
        "x": (8, 4, "zh"), "y": (16, 8, "en"),
    }  # fmt: skip
    assert found.gain == pytest.approx(sum(part.weight * part.gain for part in found.tasks))
    assert sum(part.variance_share for part in found.tasks) == pytest.approx(1)
    assert {part.lang: part.weight for part in found.langs} == pytest.approx({"en": 0.25, "zh": 0.75})
    assert [part.gain for part in found.langs] == pytest.approx([by_name["y"].gain, by_name["x"].gain])
    assert all(part.low <= part.gain <= part.high for part in found.tasks)


def test_the_interval_is_that_of_the_statistics_room():
    a, b = answers("1101010111001101"), answers("0101110101001000")
    found = compared(sheet("lora", a), sheet("newer", b), margin=0.05)
    order = sorted(range(16), key=str)  # questions stand in the order of their ids
    d = [a[i].score - b[i].score for i in order]
    known = estimate(d, [a[i].cluster for i in order], margin=0.05)
    assert (found.gain, found.low, found.high, found.p) == pytest.approx((known.gain, known.low, known.high, known.p))
    assert (found.clusters, found.mde) == (8, pytest.approx(known.mde80))


def test_a_language_in_one_document_has_a_gain_and_no_interval():
    a = [row("t", i, lang="zh" if i < 6 else "en", cluster=f"{min(i, 6)}") for i in range(8)]
    b = [answer.model_copy(update=graded("wrong")) if answer.id in "07" else answer for answer in a]
    found = {part.lang: part for part in compared(sheet("lora", a), sheet("newer", b)).langs}
    assert (found["en"].gain, found["en"].low, found["en"].holm_p) == (0.5, None, None)
    assert found["zh"].low is not None


def test_seeds_are_averaged_and_their_spread_is_shown():
    logs = [answers("1111110000"), answers("1111000000"), answers("1111111100")]
    found = compared(sheet("lora", *logs), sheet("newer", answers("0000000000")))
    assert found.seed_gains == pytest.approx((0.6, 0.4, 0.8))
    assert found.gain == pytest.approx(0.6)
    alone = compared(sheet("lora", logs[0]), sheet("newer", answers("0000000000")))
    assert (found.seeds, alone.seeds, alone.seed_variance) == (3, 1, 0)
    assert found.spread.seed_share == pytest.approx(found.seed_variance / 3 / found.se**2)
    assert alone.spread.seed_share == 0


def test_questions_asked_twice_of_each_document_double_the_variance():
    once, other = answers("110100101101" * 5), answers("011010110010" * 5)
    apart = [[answer.model_copy(update={"cluster": answer.id}) for answer in log] for log in (once, other)]
    assert compared(sheet("lora", apart[0]), sheet("newer", apart[1])).spread.deff == pytest.approx(1)
    twins = [log + [answer.model_copy(update={"id": f"twin {answer.id}"}) for answer in log] for log in apart]
    found = compared(sheet("lora", twins[0]), sheet("newer", twins[1]))
    assert found.spread.deff == pytest.approx(2 * 119 / 118)
    assert found.tasks[0].deff == pytest.approx(found.spread.deff)


def test_mcnemar_is_for_single_right_or_wrong_answers_only():
    a, b = answers("1111111100"), answers("1000000001")
    assert compared(sheet("lora", a), sheet("newer", b)).mcnemar == pytest.approx(2 * 9 / 2**8 - 8 / 2**8)
    assert compared(sheet("lora", a), sheet("newer", b)).tango == pytest.approx(tango(7, 1, 10))
    clustered = compared(sheet("lora", a), sheet("newer", b)).mcnemar_clustered
    assert len(clustered) == 2
    half = [answer.model_copy(update={"score": 0.5}) for answer in b]
    assert compared(sheet("lora", a), sheet("newer", half)).mcnemar is None
    twice = compared(sheet("lora", a, a), sheet("newer", b))
    assert (twice.mcnemar, twice.tango) == (None, None)


def test_luck_of_single_answers_is_told_from_what_samples_cannot_remove():
    rng = random.Random(3)

    def drawn(chance, count):
        return [
            row("t", i, sample=k, cluster=f"{i}", **graded("correct" if rng.random() < chance[i] else "wrong"))
            for i in range(200) for k in range(count)
        ]  # fmt: skip

    same = [0.5] * 200
    lucky = compared(sheet("lora", drawn(same, 4)), sheet("newer", drawn(same, 4)))
    assert lucky.sampling_share == pytest.approx(1, abs=0.15)
    assert lucky.tasks[0].sigma2 == pytest.approx((0.25, 0.25), abs=0.03)
    assert [count for count, _ in lucky.spread.mde_by_samples] == [1, 2, 4, 8, 16, 32]
    assert dict(lucky.spread.mde_by_samples)[4] == pytest.approx(lucky.mde)
    assert dict(lucky.spread.mde_by_samples)[16] == pytest.approx(lucky.mde / 2, rel=0.2)
    assert lucky.spread.samples_that_pay is None or lucky.spread.samples_that_pay > 32
    sure = [float(rng.random() < 0.5) for _ in range(200)]
    fixed = compared(sheet("lora", drawn(sure, 4)), sheet("newer", drawn(sure[::-1], 4)))
    assert fixed.sampling_share == 0
    assert fixed.tasks[0].omega2 == pytest.approx(np.var(np.subtract(sure, sure[::-1]), ddof=1))
    assert fixed.spread.samples_that_pay == 1
    single = compared(sheet("lora", answers("1101")), sheet("newer", answers("0110")))
    assert (single.sampling_share, single.spread.samples_that_pay, single.spread.mde_by_samples) == (None, None, ())


def test_bounds_stay_within_what_scores_allow():
    a = [row("t", i, cluster=f"{i // 4}") for i in range(8)]
    b = [answer.model_copy(update=graded("wrong")) if answer.id in "0123" else answer for answer in a]
    found = compared(sheet("lora", a), sheet("newer", b))
    assert -1 <= found.low < 0 < found.high <= 1
    assert Comparison.model_validate_json(found.model_dump_json()) == found


@given(st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_turning_a_pair_round_turns_every_sign(seed):
    rng = random.Random(seed)
    a, b = (answers([rng.randint(0, 1) for _ in range(20)]) for _ in "ab")
    ahead, back = (compared(sheet("x", p), sheet("y", q)) for p, q in ((a, b), (b, a)))
    assert (ahead.gain, ahead.low, ahead.high) == pytest.approx((-back.gain, -back.high, -back.low))
    assert (ahead.wins, ahead.losses, ahead.ties) == (back.losses, back.wins, back.ties)
    assert ahead.wins + ahead.losses + ahead.ties == ahead.n
    assert math.isclose(ahead.se, back.se)


def test_a_task_that_is_lost_is_told_as_carefully_as_one_that_is_won():
    """Few documents, so that the bootstrap has a say: swapped sides have the same p, and it goes with the interval."""
    rng = random.Random(5)
    for _ in range(8):
        ours, theirs = ("".join("10"[rng.random() < rate] for _ in range(16)) for rate in (0.35, 0.7))
        a, b = sheet("lora", answers(ours)), sheet("newer", answers(theirs))
        (won,), (lost,) = compared(a, b).tasks, compared(b, a).tasks
        assert won.holm_p == pytest.approx(lost.holm_p)
        for task in (won, lost):
            assert (task.low > 0 or task.high < 0) == (task.holm_p <= 0.05)
