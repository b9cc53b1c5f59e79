"""The verdict is a function of item logs, manifests and recipe: better answers never worsen it, swapped answers mirror
it, noise widens it. Through the judge, by hypothesis, on studies of 400 questions in 160 documents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged_run import finished
from written_exam import graded

from eval.items import ItemScore, read
from eval.sheet import Sheet
from eval.verdict import Verdict, judge, weigh
from eval.verdict.evidence import Evidence

ORDER = ("not_worth_it", "inconclusive", "worth_it")
FEW = settings(max_examples=12, deadline=None, derandomize=True)
SIDES = ("lora", "newer")
Log = list[ItemScore]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """What a finished run is judged by, and the answers of every contender."""
    run = finished(tmp_path_factory.mktemp("study"), rates={"lora": 0.62})
    logs = {name: read(run.run.seed(name, run.recipe.seeds(name)[0]).items) for name in run.recipe.contenders}
    assert weigh(Evidence.read(run.recipe, run.run)) == judge(run.recipe, run.run)
    return Evidence.read(run.recipe, run.run), logs


def judged(study, margin: float, **changed: Log) -> Verdict:
    """The verdict where these contenders answered otherwise."""
    evidence, logs = study
    seeds = {name: evidence.sheets[name].seeds[0] for name in evidence.sheets}
    sheets = {name: Sheet.of(name, {seeds[name]: changed.get(name, logs[name])}) for name in evidence.sheets}
    recipe = evidence.recipe.model_copy(update={"rule": evidence.recipe.rule.model_copy(update={"margin": margin})})
    return weigh(replace(evidence, recipe=recipe, sheets=sheets, means={}))


def regraded(log: Log, outcome: str, wanted: Callable[[ItemScore], bool]) -> Log:
    return [row.model_copy(update=graded(outcome)) if wanted(row) else row for row in log]


def some(seed: int, share: float) -> Callable[[ItemScore], bool]:
    """Each question by itself, the same one whoever is asked."""
    rng: dict[str, bool] = {}
    draw = np.random.default_rng(seed)
    return lambda row: rng.setdefault(row.id, bool(draw.random() < share))


@given(
    seed=st.integers(0, 10**6),
    worse=st.floats(0, 0.7),
    better=st.floats(0.01, 0.9),
    margin=st.sampled_from([0.02, 0.1]),
)
@FEW
def test_better_answers_of_the_challenger_never_worsen_the_verdict(study, seed, worse, better, margin):
    """From a challenger that knows less and less, some of what is wrong made right."""
    log = regraded(study[1]["lora"], "wrong", some(seed, worse))
    chosen = some(seed + 1, better)
    improved = regraded(log, "correct", lambda row: row.score == 0 and chosen(row))
    before, after = judged(study, margin, lora=log), judged(study, margin, lora=improved)
    assert ORDER.index(after.outcome) >= ORDER.index(before.outcome)
    assert after.delta.low >= before.delta.low
    assert after.delta.high >= before.delta.high


@given(seed=st.integers(0, 10**6), lost=st.floats(0.02, 0.35), margin=st.sampled_from([0.02, 0.1]))
@FEW
def test_a_rival_that_knows_less_never_worsens_the_verdict(study, seed, lost, margin):
    poorer = regraded(study[1]["newer"], "wrong", some(seed, lost))
    before, after = judged(study, margin), judged(study, margin, newer=poorer)
    assert ORDER.index(after.outcome) >= ORDER.index(before.outcome)
    assert after.delta.low >= before.delta.low


@given(seed=st.integers(0, 10**6), worse=st.floats(0, 0.5))
@FEW
def test_swapped_answers_mirror_every_interval(study, seed, worse):
    """What the challenger said is put into the rival's mouth, and the reverse."""
    logs = {name: study[1][name] for name in SIDES}
    logs["lora"] = regraded(logs["lora"], "wrong", some(seed, worse))
    there, back = judged(study, 0.0, **logs), judged(study, 0.0, lora=logs["newer"], newer=logs["lora"])
    assert back.delta.gain == pytest.approx(-there.delta.gain)
    assert (back.delta.low, back.delta.high) == pytest.approx((-there.delta.high, -there.delta.low))
    mine, other = (next(row for row in each.comparisons if row.role == "delta") for each in (there, back))
    assert (mine.wins, mine.losses, mine.ties) == (other.losses, other.wins, other.ties)
    assert other.p == pytest.approx(1 - mine.p)
    for one, two in zip((*mine.tasks, *mine.langs), (*other.tasks, *other.langs), strict=True):
        assert (two.low, two.high) == pytest.approx((-one.high, -one.low))
    assert {there.outcome, back.outcome} != {"worth_it"}, "both cannot be worth it against each other"
    assert (there.tau.gain, there.gamma.gain) == pytest.approx((back.gamma.gain, back.tau.gain))


@given(seed=st.integers(0, 10**6), share=st.floats(0.1, 0.6))
@FEW
def test_questions_that_are_noise_widen_the_interval(study, seed, share):
    """Of some documents both know nothing more: alike before, they toss a coin each."""
    rng = np.random.default_rng(seed)
    documents = dict.fromkeys(row.cluster for row in study[1]["newer"])
    noisy = {name for name in documents if rng.random() < share}
    alike = regraded(study[1]["lora"], "correct", lambda row: row.cluster in noisy)
    rival = regraded(study[1]["newer"], "correct", lambda row: row.cluster in noisy)
    tossed = [regraded(log, "wrong", lambda row: row.cluster in noisy and rng.random() < 0.5) for log in (alike, rival)]
    still, noise = judged(study, 0.02, lora=alike, newer=rival), judged(study, 0.02, lora=tossed[0], newer=tossed[1])
    assert noise.delta.high - noise.delta.low > still.delta.high - still.delta.low
    assert noise.power.mde > still.power.mde
