"""The gates of blanks by the whole rule: what is called must be called whatever the blanks would have been."""

from __future__ import annotations

import random

import pytest
from judged_run import finished, gate, judged
from written_exam import graded

from eval.verdict import judge
from eval.verdict.evidence import Evidence

PRICED = ("costs.gpu_hour=18", "costs.value_per_correct=0.01", "costs.queries=1000000")


def lost(outcome: str, share: float, unless: str = "unparsed"):
    """A share of wrong answers that become of another outcome; the same ones for any outcome."""

    def change(answer):
        drawn = random.Random(f"{answer.id} {unless}").random() < share
        return answer.model_copy(update=graded(outcome)) if not answer.score and drawn else answer

    return {"change": change}


def call(folder, *changes, **terms) -> str:
    """The rule's word before gates."""
    return judged(folder, *changes, **terms).rulings[0].call


@pytest.mark.parametrize("outcome", ["unparsed", "truncated"])
@pytest.mark.parametrize(("who", "share", "people"), [("newer", 0.3, 1500), ("newer", 0.3, 2300), ("lora", 0.5, 3900)])
def test_the_gate_passes_where_the_same_is_called_had_the_blanks_been_right_or_wrong(
    tmp_path, outcome, who, share, people
):
    """At 2,300 lora pays, and had what newer left unread been right it could not be told; at 3,900 it is too dear, and
    had what lora left unread been right that could not be told. The margin holds in all of these."""
    changes = (*PRICED, f"costs.people={people}")
    run = finished(tmp_path / "blank", *changes, sit={who: lost(outcome, share)})
    found = judge(run.recipe, run.run)
    made = {found.rulings[0].call}
    for filled in ("correct", "wrong"):
        made.add(call(tmp_path / filled, *changes, sit={who: lost(filled, share)}))
    checked = gate(found, outcome)
    assert (checked.status, found.outcome == "invalid") == (("passed", False) if len(made) == 1 else ("failed", True))
    assert (len(made) == 1) == (people == 1500)
    at = Evidence.read(run.recipe, run.run).share(who, outcome)
    low, high = (checked.figures[f"lora - newer, {end}"] for end in ("low", "high"))
    known = found.delta.low - at * (who == "newer"), found.delta.high + at * (who == "lora")
    assert (low, high) == (pytest.approx(known[0]), pytest.approx(known[1]))
    if found.sensitivity:
        assert {case.call for case in found.sensitivity.cases if case.kind == "blanks"} == made
    else:
        assert "the decision could turn on them (not by the margin alone: net benefit" in found.sentence
        assert "结论可能因此改变（不单看门槛：净收益与各对手一并计入）" in found.sentence_zh


@pytest.mark.parametrize(("loss", "people", "status"), [(0, 2000, "passed"), (0.01, 6500, "failed")])
def test_a_blank_that_might_have_been_wrong_is_charged_for(tmp_path, loss, people, status):
    """All that lora has not right was not read: nothing to lose in points, fourteen more wrong answers in a hundred."""
    changes = (*PRICED, f"costs.people={people}", f"costs.loss_per_wrong={loss}")
    found = judged(tmp_path, *changes, sit={"lora": lost("unparsed", 1.0)})
    assert (found.rulings[0].call, gate(found, "unparsed").status) == ("worth_it", status)
    assert found.outcome == ("worth_it" if status == "passed" else "invalid")
    assert call(tmp_path / "wrong", *changes) == ("worth_it" if status == "passed" else "inconclusive")


def test_every_rival_counts(tmp_path):
    """Of two rivals prompted alone has blanks, and over it alone the gain hangs on them."""
    terms = {"rates": {"prompted": 0.68}, "sit": {"prompted": lost("unparsed", 0.9)}}
    found = judged(tmp_path, "rule.alternatives=[prompted]", **terms)
    assert gate(found, "unparsed").status == "failed"
    assert "prompted" in gate(found, "unparsed").reason
    assert judged(tmp_path / "without", **terms).outcome == "worth_it"


def test_who_was_called_nothing_cannot_be_undone_where_the_verdict_stands(tmp_path):
    """prefix is left open with many blanks. Beside lora, who is worth it all the same, that undoes nothing; alone it
    might have been worth it."""
    terms = {"rates": {"prefix": 0.57}, "sit": {"prefix": lost("unparsed", 0.5)}}
    both = judged(tmp_path / "both", "rule.challengers=[lora, prefix]", **terms)
    assert {each.challenger: each.call for each in both.rulings} == {"lora": "worth_it", "prefix": "inconclusive"}
    assert (both.outcome, gate(both, "unparsed").status) == ("worth_it", "passed")
    alone = judged(tmp_path / "alone", "rule.challengers=[prefix]", **terms)
    assert (alone.rulings[0].call, alone.outcome) == ("inconclusive", "invalid")
