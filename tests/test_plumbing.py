"""Smoke runs: plumbing passes or fails by name, and is never a verdict."""

from __future__ import annotations

import json

import pytest
from judged_run import INVALID, finished, judged
from written_exam import build, graded

from eval.verdict import Verdict, judge

SMOKE = ("purpose=smoke",)


def test_a_smoke_run_says_plumbing_and_nothing_else(tmp_path):
    found = judged(tmp_path, *SMOKE)
    assert (found.outcome, found.plumbing.passed) == ("plumbing", True)
    assert (found.delta, found.comparisons, found.rulings, found.money) == (None, (), (), None)
    assert json.loads(found.model_dump_json())["plumbing"]["pass"] is True
    assert Verdict.model_validate_json(found.model_dump_json()) == found
    assert found.sentence == "Plumbing only: every room works. Never a verdict."


@pytest.mark.parametrize(
    ("terms", "failed"),
    [
        ({"tune": {"loss_last": 2.5}}, "lora seed 17: loss fell"),
        ({"tune": {"end_token_trained": False}}, "lora seed 17: end token trained"),
        ({"tune": {"logit_shift": 0.0}}, "lora seed 17: adapter moved the logits"),
        ({"tune": {"reload_difference": 0.1}}, "lora seed 17: reloaded = trained"),
        ({"sit": {"newer": {"change": lambda r: r.model_copy(update=graded("missing"))}}}, "items complete"),
        ({"sit": INVALID["same questions"]}, "same questions"),
        ({"sit": INVALID["adapter applied"]}, "adapter applied"),
        ({"plan": False}, "plan"),
    ],
)
def test_each_plumbing_check_fails_by_name(tmp_path, terms, failed):
    found = judged(tmp_path, *SMOKE, **terms)
    assert not found.plumbing.passed
    assert failed in {check.name for check in found.plumbing.failed}
    assert found.sentence.startswith("Plumbing only: failed at ")


def test_a_changed_smoke_recipe_starts_a_new_plan_and_the_old_is_kept(tmp_path):
    """Scores whose fingerprint still holds stay; going back to the first plan is no fault either."""
    first = build(tmp_path, *SMOKE)
    finished(tmp_path, *SMOKE)
    kept = first.run.plan.read_bytes()
    changed = build(tmp_path, *SMOKE, "rule.margin=0.01")
    assert "plan" in {check.name for check in judge(changed.recipe, changed.run).plumbing.failed}, "not kept yet"
    second = changed.pledge()
    assert judge(changed.recipe, changed.run).plumbing.passed
    shelf = changed.run.folder / f".old-{json.loads(kept)['plan']['digest'][:12]}"
    assert (shelf / "recipe.json").read_bytes() == kept
    assert first.pledge().at < second.at, "kept again under its first time"
    assert judge(first.recipe, first.run).plumbing.passed


def test_a_smoke_score_of_no_plan_that_was_kept_here_fails(tmp_path):
    found = judged(tmp_path, *SMOKE, sit={"newer": {"plan_digest": "f" * 64}})
    assert [check.name for check in found.plumbing.failed] == ["plan"]


def test_behaviour_is_shown_in_a_smoke_run_and_decides_nothing(tmp_path):
    found = judged(tmp_path, *SMOKE, sit=INVALID["below chance"])
    shown = {check.name: (check.passed, check.decides) for check in found.plumbing.checks}
    assert shown["below chance"] == (False, False)
    assert found.plumbing.passed
