"""The gates on questions, prompts, adapters, chance, blanks and plan: failed, passed, and where nothing was asked."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from written_exam import graded, row

from eval import gates
from eval.gates import AdapterFact, Asked, BlankFact, ChanceFact, PlanFact
from eval.sheet import Sheet
from finetune.recipe.sections import Raised

EXPECTED = {("t", str(i)): Asked(f"hash {i}", "A", f"document {i}") for i in range(4)}


def sheet(name: str, numbers=range(4), **changes) -> Sheet:
    return Sheet.of(name, {0: [row("t", i, **changes) for i in numbers]})


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (sheet("newer", range(3)), "newer lacks questions of the exam (1): t/3"),
        (sheet("newer", range(5)), "newer answered questions that the exam has not (1): t/4"),
        (sheet("newer", hash="edited"), "newer answered another text under the same id (4): t/0, t/1, t/2"),
        (sheet("newer", gold="B"), "newer was graded by another gold than the exam's (4): t/0, t/1, t/2"),
        (sheet("newer", cluster="one"), "newer has questions under other documents than the exam (4): t/0"),
        (sheet("newer", protocol="likelihood"), "t is scored by likelihood for one"),
    ],
)
def test_same_questions_fails(other, says):
    found = gates.same_questions([sheet("lora"), other], EXPECTED)
    assert (found.status, found.required) == ("failed", True)
    assert says in found.reason
    assert found.reason_zh


def test_same_questions_passes():
    found = gates.same_questions([sheet("lora"), sheet("newer", **graded("unparsed"))], EXPECTED)
    assert (found.status, found.figures["questions"]) == ("passed", 4)


def test_prompt_content_fails_when_one_was_asked_something_else_or_its_template_is_unknown():
    templates = {"lora": "a", "newer": "b"}
    other = gates.prompt_content([sheet("lora"), sheet("newer", content="else")], templates)
    assert (other.status, other.reason) == ("failed", "t/0: lora and newer were asked different things")
    unknown = gates.prompt_content([sheet("lora"), sheet("newer")], {"lora": "a", "newer": ""})
    assert (unknown.status, unknown.reason) == ("failed", "newer has no record of its chat template")
    for rows in (["a", "c"], ["c"], ["a", "c", ""]):  # of one log: two templates, or not the one recorded
        told = Sheet.of("lora", {0: [row("t", i, template=rows[i % len(rows)]) for i in range(4)]})
        found = gates.prompt_content([told, sheet("newer")], templates)
        assert (found.status, found.reason[:34]) == ("failed", "lora was asked t in another templa")
    mine = gates.prompt_content([sheet("lora", template="a"), sheet("newer", template="b")], templates)
    assert mine.status == "passed"
    chosen = sheet("lora", template="an empty thought", protocol="likelihood")
    assert gates.prompt_content([chosen, sheet("newer")], templates).status == "passed"
    assert gates.prompt_content([sheet("lora"), sheet("newer")], templates).status == "passed"


def adapter(**changes) -> AdapterFact:
    known = {"contender": "lora", "seed": 17, "tuned": True, "scored": "a", "trained": "a"}
    return AdapterFact(**(known | {"prompts": 16, "kl": 0.1, "kl_same": 1e-6, "norm": 2.0} | changes))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"scored": None}, "without an adapter"),
        ({"scored": "b"}, "another adapter"),
        ({"norm": 0.0}, "all zero"),
        ({"kl": 0.0, "kl_same": 0.0}, "no more than chance"),
        ({"kl": 5e-6}, "no more than chance"),
        ({"tuned": False}, "an untuned contender was scored with an adapter"),
    ],
)
def test_adapter_applied_fails(changes, says):
    found = gates.adapter_applied([adapter(), adapter(**changes)])
    assert (found.status, found.required) == ("failed", True)
    assert says in found.reason


@pytest.mark.parametrize("changes", [{"kl": None, "prompts": 0}, {"prompts": 7}])
def test_adapter_applied_is_not_checked_without_enough_probes(changes):
    assert gates.adapter_applied([adapter(**changes)]).status == "not_checked"


def test_adapter_applied_passes():
    untuned = adapter(contender="newer", tuned=False, scored=None, trained=None, kl=None, prompts=0)
    found = gates.adapter_applied([adapter(), untuned])
    assert (found.status, found.figures["lora seed 17: kl"]) == ("passed", 0.1)


def test_below_chance_fails_only_when_the_whole_interval_lies_under_guessing():
    low, high = ChanceFact("newer", "t", 0.25, 0.10, 0.16), ChanceFact("lora", "t", 0.25, 0.22, 0.27)
    found = gates.below_chance([high, low])
    assert (found.status, found.figures) == ("failed", {"newer, t": 0.10})
    assert found.reason == "newer on t: 10.0%, at most 16.0%, blind 25.0%"
    passed = gates.below_chance([high])  # seen under guessing, and not shown to be: the words say so
    assert (passed.status, passed.reason) == ("passed", "none of 1 choice scores is shown to lie under blind guessing")
    assert passed.reason_zh == "1 个选择题得分中，没有一个被证实低于瞎猜"
    third = round(1 / 3, 14)  # one letter always, in a balanced exam
    assert gates.below_chance([ChanceFact("newer", "t", 1 / 3, third, third)]).status == "passed"


def blank(shares, low=0.05, high=0.09, margin=0.02) -> BlankFact:
    return BlankFact("lora", "newer", shares, low, high, margin)


@pytest.mark.parametrize(
    ("gate", "shares", "interval", "status"),
    [
        (gates.unparsed, (0.02, 0.011), (0.03, 0.09), "passed"),  # few and alike
        (gates.unparsed, (0.0, 0.019), (0.03, 0.09), "failed"),  # few, but 1.9 points apart: 0.03 - 0.019 <= 0.02
        (gates.unparsed, (0.03, 0.03), (0.03, 0.09), "failed"),
        (gates.unparsed, (0.30, 0.01), (0.05, 0.09), "passed"),  # only the challenger lost by it, and won all the same
        (gates.unparsed, (0.03, 0.03), (-0.09, -0.05), "passed"),  # not worth it whatever they were
        (gates.unparsed, (0.08, 0.00), (-0.09, -0.05), "failed"),
        (gates.unparsed, (0.50, 0.50), (0.01, 0.09), "passed"),  # inconclusive it stays
        (gates.truncated, (0.05, 0.031), (0.03, 0.09), "passed"),
        (gates.truncated, (0.00, 0.06), (0.03, 0.09), "failed"),
        (gates.truncated, (0.00, 0.03), (0.03, 0.09), "failed"),
        (gates.truncated, (0.00, 0.03), (0.06, 0.09), "passed"),
    ],
)
def test_blanks_fail_when_many_or_unlike_and_the_decision_hangs_on_them(gate, shares, interval, status):
    found = gate([blank((0.0, 0.0)), blank(shares, *interval)])
    assert (found.status, found.required) == (status, True)
    assert found.reason
    assert found.reason_zh


def test_blanks_of_both_kinds_that_together_could_turn_it_fail_both():
    """Six points each: either alone leaves 12 points over 2, both together do not; what is few is not counted."""
    many, few = blank((0.06, 0.06), 0.12, 0.2), blank((0.0, 0.01), 0.12, 0.2)
    assert [each([many]).status for each in (gates.unparsed, gates.truncated)] == ["passed", "passed"]
    assert gates.unparsed([many], [few]).status == gates.truncated([many], [few]).status == "passed"
    found = gates.unparsed([many], [many])
    assert (found.status, gates.truncated([many], [many]).status) == ("failed", "failed")
    assert found.figures["lora - newer, low"] == pytest.approx(0.0)


def test_a_recipe_may_raise_what_is_advisory_and_nothing_else():
    assert set(get_args(Raised)) == set(gates.RAISABLE)
    some = [gates.merge_faithful({"lora": 1e-6}), gates.known_by_heart([]), gates.same_questions([], {})]
    found = gates.raised(some, ["merge faithful", "judge"])
    assert [(each.name, each.required, each.status) for each in found] == [
        ("merge faithful", True, "passed"), ("items known by heart", False, "not_checked"),
        ("same questions", True, "passed"), ("judge", True, "not_checked"),
    ]  # fmt: skip
    assert gates.raised(some, []) == some


@given(
    st.lists(
        st.tuples(st.sampled_from(["correct", "wrong", "unparsed"]), st.sampled_from(["correct", "wrong", "unparsed"])),
        min_size=1,
    ),
    st.data(),
)
def test_whatever_the_blanks_would_have_scored_the_gain_lies_within_the_bounds(pairs, data):
    ours, theirs = zip(*pairs, strict=True)
    n, right = len(pairs), [sum(o == "correct" for o in side) / len(pairs) for side in (ours, theirs)]
    shares = tuple(sum(o == "unparsed" for o in side) / n for side in (ours, theirs))
    gain = right[0] - right[1]
    low, high = blank(shares, gain, gain).bounds
    filled = [data.draw(st.integers(0, sum(o == "unparsed" for o in side))) / n for side in (ours, theirs)]
    assert low - 1e-9 <= gain + filled[0] - filled[1] <= high + 1e-9


def score(**changes) -> PlanFact:
    return PlanFact(**({"contender": "lora", "digest": "p", "first_score_at": 20.0} | changes))


@pytest.mark.parametrize(
    ("plan", "facts", "says"),
    [
        ((None, None, "p"), [score()], "no plan was kept"),
        (("p", 10.0, "q"), [score()], "not those of the kept plan"),
        (("p", 10.0, "p"), [score(), score(contender="newer", digest="q")], "newer was scored under another plan"),
        (("p", 10.0, "p"), [score(first_score_at=9.0)], "lora was scored before the plan was kept"),
    ],
)
def test_plan_fails(plan, facts, says):
    found = gates.plan(*plan, facts)
    assert (found.status, found.required) == ("failed", True)
    assert says in found.reason


def test_plan_passes():
    assert gates.plan("p", 10.0, "p", [score()]).status == "passed"


def test_merging_is_told_with_its_figure():
    found = gates.merge_faithful({"lora seed 17": 2e-6, "lora seed 18": 3e-6, "prefix seed 17": None})
    assert (found.status, found.required) == ("passed", False)
    assert found.figures == {"lora seed 17": 2e-6, "lora seed 18": 3e-6}
    assert "at most 3e-06" in found.reason
    assert "3e-06" in found.reason_zh
    for none in ({}, {"prefix seed 17": None}):
        assert (gates.merge_faithful(none).status, gates.merge_faithful(none).required) == ("not_checked", False)


@pytest.mark.parametrize(
    ("limits", "cut", "status", "says"),
    [
        ({"lora": 64, "newer": 64}, 0.2, "passed", "the same for all: 64 tokens"),
        ({"lora": 4096, "newer": 1024}, 0.0, "passed", "unlike, but no answer reached a lower one"),
        ({"lora": 4096, "newer": 1024}, 0.01, "failed", "unlike, and the lower one was reached by newer"),
        ({"lora": 1024, "newer": 4096}, 0.01, "passed", "no answer reached a lower one"),
        ({"lora": 4096, "newer": None}, 0.0, "not_checked", "an answer of newer might be is not known"),
    ],
)
def test_the_side_with_fewer_tokens_for_an_answer_must_not_have_been_cut(limits, cut, status, says):
    found = gates.token_budget(limits, {"lora": 0.0, "newer": cut})
    assert (found.status, found.required) == (status, False)
    assert says in found.reason


@pytest.mark.parametrize(
    ("budget", "ended", "status"), [(512, 0.2, "failed"), (512, 0.0, "passed"), (4096, 0.2, "passed")]
)
def test_a_lower_budget_of_thought_must_not_have_ended_one(budget, ended, status):
    thoughts = {"lora": (budget, ended), "newer": (4096, 0.0)}
    found = gates.token_budget({"lora": 4096, "newer": 4096}, {"lora": 0.0, "newer": 0.0}, thoughts)
    assert (found.status, found.required) == (status, False)
    assert ("the lower one ended some of lora" in found.reason) == (status == "failed")
