"""What cannot be judged, or not so: each gate in its place, refusals, and what the exam or its data forbid to say."""

from __future__ import annotations

import json

import pytest
from judged_run import CLEAR, INVALID, finished, gate, judged
from written_exam import Run, build, graded

from eval.report import render
from eval.verdict import judge
from eval.verdict.licences import riders
from finetune.mistakes import BadInput


@pytest.mark.parametrize("name", INVALID)
def test_a_failed_gate_is_invalid_and_names_no_winner(tmp_path, name):
    found = judged(tmp_path, sit=INVALID[name])
    assert (found.outcome, gate(found, name).status) == ("invalid", "failed")
    assert {g.name for g in found.gates if g.status == "failed" and g.required} == {name}
    assert found.sentence.startswith(f"Invalid, no winner is named. {name}: ")
    assert found.sentence_zh.startswith("比较无效，不宣布胜者。")
    assert (found.delta is None) == (name == "same questions")


def test_questions_that_nobody_answered_are_missed(tmp_path):
    """Dropping a question for all contenders alike is no way to make it go away."""
    run = finished(tmp_path)
    for name in CLEAR:
        for seed in run.recipe.seeds(name):
            log = run.run.seed(name, seed).items
            lines = log.read_text().splitlines(keepends=True)
            log.write_text("".join(line for line in lines if json.loads(line)["id"] != "letters-7"))
    found = judge(run.recipe, run.run)
    assert (found.outcome, found.comparisons) == ("invalid", ())
    assert "lora lacks questions of the exam (1): letters/letters-7" in found.sentence


def test_a_base_that_cannot_be_parsed_leaves_the_verdict_alone(tmp_path):
    """tau would be inflated, and the page says so; delta does not rest on the base."""
    found = judged(tmp_path, sit={"old": {"change": lambda r: r.model_copy(update=graded("unparsed"))}})
    assert found.outcome == "worth_it"
    assert (gate(found, "base below chance").status, gate(found, "base below chance").required) == ("failed", False)


@pytest.mark.parametrize(
    ("sit", "name"),
    [({"lora": {"adapter_probe": None}}, "adapter applied"), ({"newer": {"dtype": "bfloat16"}}, "engine parity")],
)
def test_a_required_gate_not_checked_is_inconclusive_and_named(tmp_path, sit, name):
    found = judged(tmp_path, sit=sit)
    assert (found.outcome, gate(found, name).status) == ("inconclusive", "not_checked")
    assert f"{name} was not checked" in found.sentence
    assert [step.what for step in found.settle] == ["gate"]
    assert {r.call for r in found.rulings} == {"worth_it"}  # the numbers alone would have said so


def test_an_advisory_gate_that_the_recipe_raises_decides(tmp_path):
    plain = judged(tmp_path / "plain")
    passing = judged(tmp_path / "passing", "rule.required=[engine parity]")
    assert (plain.outcome, passing.outcome) == ("worth_it", "worth_it")
    assert gate(passing, "engine parity").required
    assert passing.provenance.plan != plain.provenance.plan  # what was raised is promised
    found = judged(tmp_path / "open", "rule.required=[noise floor, judge]")
    assert found.outcome == "inconclusive"
    assert "noise floor was not checked" in found.sentence
    assert "judge was not checked: rule.required names it, and nothing in this study asks it" in found.sentence
    cut = {"newer": {"change": lambda r: r.model_copy(update=graded("truncated")) if r.id == "letters-9" else r}}
    more = "contenders.lora.model={id: ./old, family: r1_distill_qwen, think: empty, decoding: {max_new_tokens: 4096}}"
    failing = judged(tmp_path / "failing", more, "rule.required=[token budget]", sit=cut)
    assert (failing.outcome, gate(failing, "token budget").status) == ("invalid", "failed")
    with pytest.raises(BadInput, match=r"rule.required"):
        build(tmp_path / "none", "rule.required=[same questions]")


def test_a_rival_with_fewer_tokens_that_was_cut_is_told_and_decides_nothing(tmp_path):
    cut = {"newer": {"change": lambda r: r.model_copy(update=graded("truncated")) if r.id == "letters-9" else r}}
    limit = "contenders.newer.model.decoding.max_new_tokens=32"
    found = judged(tmp_path, limit, rates={"newer": {"letters": 0.3, "numbers": 0.5}}, sit=cut)
    told = gate(found, "token budget")
    assert (found.outcome, told.status, told.required) == ("worth_it", "failed", False)
    assert "the lower one was reached by newer (tokens an answer: lora 64, newer 32)" in told.reason
    assert told.figures["newer: cut"] == pytest.approx(0.75 / 240)
    assert gate(judged(tmp_path / "alike"), "token budget").status == "passed"


def test_training_and_exam_of_one_source_are_said_to_be_in_distribution(tmp_path):
    again = build(tmp_path).folder / "letters.md"  # of that name, other rows
    again.write_text((tmp_path / "tuning.md").read_text("utf-8").replace("name: tuning", "name: letters"), "utf-8")
    found = judged(tmp_path, "data=[letters.md]")
    assert (found.outcome, gate(found, "exam unseen").status) == ("worth_it", "passed")
    assert "In distribution only: training and exam share letters." in found.sentence
    assert "同源（letters）" in found.sentence_zh


def test_a_challenger_tuned_on_the_very_exam_wins_nothing(tmp_path):
    found = judged(tmp_path, "data=[letters/letters.md#test]")
    assert (found.outcome, gate(found, "exam unseen").status) == ("invalid", "failed")
    assert "tuned on the very split that is the exam: letters (letters#test); take it out of data" in found.sentence
    assert "挑战者就在考试所用的数据上微调：letters (letters#test)" in found.sentence_zh
    out = ("data=[tuning.md, letters/letters.md#test]", "train.exclude=[letters/letters.md#test]")
    assert gate(judged(tmp_path / "b", *out), "exam unseen").status == "passed"


def test_on_public_items_not_worth_it_carries_the_doubt_in_its_headline(tmp_path):
    build(tmp_path)
    for task in ("letters", "numbers"):
        card = tmp_path / task / f"{task}.md"
        card.write_text(card.read_text().replace("published: false", "published: true"))
    run = _again(tmp_path, rates={"lora": 0.3})
    found = judge(run.recipe, run.run)
    assert found.outcome == "not_worth_it"
    assert "The newer base may have seen these items" in found.sentence
    assert "新底座可能见过" in found.sentence_zh


def _again(folder, rates) -> Run:
    """A finished run on cards that were changed on disk."""
    from finetune.recipe import Recipe

    run = Run(folder, Recipe.read(folder / "study.yaml"))
    run.pledge()
    for name in ("lora", "prefix"):
        run.tune(name)
    for name, rate in (CLEAR | rates).items():
        run.sit(name, rate)
    return run


@pytest.mark.parametrize(
    ("missing", "says"),
    [("score.json", "newer seed 0 is not scored"), ("train.json", "lora seed 17 is not tuned")],
)
def test_an_unfinished_run_is_refused_with_the_line_that_goes_on(tmp_path, missing, says):
    run = finished(tmp_path)
    place = run.run.seed("newer", 0) if missing == "score.json" else run.run.seed("lora", 17)
    (place.folder / missing).unlink()
    with pytest.raises(BadInput, match=says):
        judge(run.recipe, run.run)


def test_scores_of_another_state_of_the_recipe_are_refused(tmp_path):
    finished(tmp_path)
    changed = build(tmp_path, "exam.samples=2")
    with pytest.raises(BadInput, match="scored for another state of the recipe"):
        judge(changed.recipe, changed.run)


def test_an_exam_of_one_document_is_refused(tmp_path):
    build(tmp_path)
    questions = tmp_path / "numbers" / "numbers.jsonl"
    lines = [json.loads(line) | {"doc": 0} for line in questions.read_text().splitlines()]
    questions.write_text("".join(json.dumps(line) + "\n" for line in lines))
    run = _again(tmp_path, {})
    with pytest.raises(BadInput, match="task 'numbers': one cluster holds all 160 questions"):
        judge(run.recipe, run.run)


def test_licences_that_bar_or_bind_stand_in_the_notes_whatever_the_outcome(tmp_path):
    run = finished(tmp_path / "plain")
    assert "licence" not in {note.code for note in judge(run.recipe, run.run).notes}
    llama = tuple(
        f"contenders.{name}.model.licence=MIT; base Llama 3.1 Community License" for name in ("lora", "prefix", "newer")
    )
    for number, changes in enumerate([llama, (*llama, "purpose=smoke")]):
        bound = finished(tmp_path / str(number), *changes)
        found = judge(bound.recipe, bound.run)
        (note,) = [note for note in found.notes if note.code == "licence"]
        assert note.text.startswith("The base of lora, prefix is under the Llama 3.1 Community License: ")
        assert "newer" not in note.text, "it is untuned"
        assert '"Built with Llama"' in note.text
        assert note.text_zh.startswith("lora、prefix 的底座适用 Llama 3.1 Community License：")
        assert not note.headline
        page = render(found)
        assert "The base of lora, prefix is under the Llama 3.1" in page
        assert "lora、prefix 的底座适用 Llama 3.1" in page


def test_non_commercial_data_is_named_with_who_was_tuned_on_it(tmp_path):
    run = build(tmp_path)
    for path in tmp_path.rglob("*.md"):
        path.write_text(path.read_text("utf-8").replace("commercial: true", "commercial: false"), "utf-8")
    recipe = type(run.recipe).read(run.folder / "study.yaml")
    words = riders(recipe, [use.card for use in recipe.data])
    assert [en.split(":")[0] for en, _ in words] == [
        "No commercial use of lora, prefix", "The exam holds data without commercial use",
    ]  # fmt: skip
    assert words[0][1].startswith("lora、prefix 不得商用：")
