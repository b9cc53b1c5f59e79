"""Contamination: questions that training shows, the verdict without them, and which way it leans."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from judged_run import CLEAR, codes, finished, gate
from written_exam import Run, build, graded

from eval.gates import CleanFact, clean_subset
from eval.paired import estimate
from eval.report import render
from eval.verdict import judge
from eval.verify import verify
from finetune.recipe import Recipe


def leaking(folder: Path, questions: list[str], *changes: str, lora: float, known: bool = True, more=()) -> Run:
    """A study whose training rows hold these questions; lora knows them by heart, and is right elsewhere at a rate."""
    build(folder)
    rows = [{"question": text, "answer": "A"} for text in ("a row of its own", *questions)] + list(more)
    (folder / "tuning.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    run = Run(folder, Recipe.read(folder / "study.yaml", changes))
    run.pledge()
    for name in ("lora", "prefix"):
        run.tune(name)
    learned = {text.rstrip("?").replace(" ", "-") for text in questions}

    def change(answer):
        return answer.model_copy(update=graded("correct")) if known and answer.id in learned else answer

    for name, rate in (CLEAR | {"lora": lora}).items():
        run.sit(name, rate, change=change if name == "lora" else None)
    return run


def some(task: str, numbers: range) -> list[str]:
    return [f"{task} {number}?" for number in numbers]


HALF = [*some("letters", range(100, 240)), *some("numbers", range(100, 160))]


def test_nothing_shown_is_a_gate_passed(tmp_path):
    run = finished(tmp_path)
    found = judge(run.recipe, run.run)
    assert (gate(found, "clean subset").status, found.contamination.clean) == ("passed", None)
    assert found.contamination.taught == ("tuning#train",)
    assert [(task.task, task.items, task.shown) for task in found.contamination.tasks] == [
        ("letters", 240, 0), ("numbers", 160, 0),
    ]  # fmt: skip
    assert "clean" not in {case.kind for case in found.sensitivity.cases}


def test_a_gain_that_is_known_questions_alone_is_invalid(tmp_path):
    run = leaking(tmp_path, HALF, lora=0.45)
    found = judge(run.recipe, run.run)
    caught = gate(found, "clean subset")
    assert (found.outcome, caught.status, caught.required) == ("invalid", "failed", True)
    assert found.contamination.all.call == "worth_it"
    assert found.contamination.clean.call == "not_worth_it"
    assert "without them the rule says not worth it (points over the incumbent: +" in found.sentence
    assert "去掉后规则判断为“不值得”" in found.sentence_zh
    assert {task.task: task.same for task in found.contamination.tasks} == {"letters": 140, "numbers": 60}
    run.run.verdict.write_text(found.model_dump_json(), "utf-8")
    assert verify(run.run).differs == ()


def test_the_clean_subset_is_what_the_plain_estimate_says_of_what_is_left(tmp_path):
    run = leaking(tmp_path, HALF, lora=0.75)
    found = judge(run.recipe, run.run)
    left = found.contamination.clean
    rows = {who: _rows(run, who) for who in ("lora", "newer")}
    shown = {text.rstrip("?").replace(" ", "-") for text in HALF}
    near = {
        f"{task}-{number}" for task in ("letters", "numbers") for number in range(10, 24 if task == "letters" else 16)
    }
    kept = [key for key in rows["lora"] if key not in shown | near]  # "letters 10" is nearly "letters 100"
    assert left.n == len(kept) == 400 - 200 - 20
    d = np.array([rows["lora"][key]["score"] - rows["newer"][key]["score"] for key in kept])
    clusters, tasks = ([rows["lora"][key][part] for key in kept] for part in ("cluster", "task"))
    by_hand = estimate(d, clusters, tasks, {"letters": 3.0, "numbers": 1.0})
    assert (left.gain, left.low, left.high) == pytest.approx((by_hand.gain, by_hand.low, by_hand.high))
    assert (found.outcome, left.call, gate(found, "clean subset").status) == ("worth_it", "worth_it", "passed")
    case = next(case for case in found.sensitivity.cases if case.kind == "clean")
    assert (case.gain, case.call, case.a_priori) == (pytest.approx(left.gain), "worth_it", True)


def _rows(run: Run, who: str) -> dict[str, dict]:
    lines = run.run.seed(who, run.recipe.seeds(who)[0]).items.read_text("utf-8").splitlines()
    return {row["id"]: row for row in sorted(map(json.loads, lines), key=lambda row: (row["task"], row["id"]))}


def test_a_gain_that_the_clean_questions_no_longer_carry_is_inconclusive(tmp_path):
    run = leaking(tmp_path, HALF, lora=0.6)
    found = judge(run.recipe, run.run)
    assert (found.contamination.all.call, found.contamination.clean.call) == ("worth_it", "inconclusive")
    assert (found.outcome, gate(found, "clean subset").status) == ("inconclusive", "unresolved")
    assert "clean subset is unresolved: 220 of 400 questions show in the training rows (tuning#train)" in found.sentence
    assert "干净子集未能判定" in found.sentence_zh


def test_not_worth_it_survives_what_training_shows(tmp_path):
    """Leaks make the gain too high; a gain that falls short all the same falls short."""
    run = leaking(tmp_path, some("letters", range(100, 120)), lora=0.3)
    found = judge(run.recipe, run.run)
    assert (found.outcome, codes(found)) == ("not_worth_it", {"harmful"})
    assert gate(found, "clean subset").status == "passed"


def test_an_exam_that_training_shows_whole_carries_no_worth_it(tmp_path):
    run = leaking(tmp_path, [*some("letters", range(240)), *some("numbers", range(160))], lora=0.75)
    found = judge(run.recipe, run.run)
    assert (found.outcome, found.contamination.clean) == ("inconclusive", None)
    assert "what is left cannot be judged; tune without them (train.exclude)" in found.sentence


def test_rows_that_training_excludes_taught_nothing(tmp_path):
    run = leaking(tmp_path, HALF, f"train.exclude=[{tmp_path}/letters/letters.md#test]", lora=0.75)
    found = judge(run.recipe, run.run)
    assert {task.task: task.same for task in found.contamination.tasks} == {"letters": 0, "numbers": 60}


SPAN = {"items": 100, "shown": 10, "taught": ("card#train",), "unknown": ()}


@pytest.mark.parametrize(
    ("call", "all_", "clean_call", "clean", "status"),
    [
        ("worth_it", (0.1, 0.05, 0.15), "worth_it", (0.1, 0.03, 0.17), "passed"),
        ("worth_it", (0.1, 0.05, 0.15), "inconclusive", (0.05, -0.02, 0.12), "unresolved"),
        ("worth_it", (0.1, 0.05, 0.15), "not_worth_it", (0.0, -0.01, 0.01), "failed"),
        ("not_worth_it", (0.0, -0.01, 0.01), "worth_it", (0.1, 0.05, 0.15), "failed"),
        ("not_worth_it", (0.0, -0.01, 0.01), "inconclusive", (0.0, -0.03, 0.03), "passed"),
        ("inconclusive", (0.03, 0.01, 0.05), "not_worth_it", (-0.03, -0.05, -0.01), "failed"),
        ("inconclusive", (0.03, 0.01, 0.05), "not_worth_it", (0.0, -0.01, 0.01), "passed"),
        ("worth_it", (0.1, 0.05, 0.15), None, None, "unresolved"),
        ("not_worth_it", (0.0, -0.01, 0.01), None, None, "passed"),
    ],
)
def test_the_gate(call, all_, clean_call, clean, status):
    found = clean_subset(CleanFact(call=call, all=all_, clean_call=clean_call, clean=clean, **SPAN))
    assert (found.status, found.required) == (status, True)


def test_training_that_nobody_knows_is_not_checked_and_decides_nothing():
    fact = CleanFact(**(SPAN | {"unknown": ("theirs",), "shown": 0}), call="worth_it", all=(0.1, 0.05, 0.15))
    found = clean_subset(fact)
    assert (found.status, found.required) == ("not_checked", False)
    assert "theirs" in found.reason


@pytest.mark.parametrize(("clean_call", "status"), [("not_worth_it", "failed"), ("inconclusive", "unresolved")])
def test_what_is_known_is_judged_whatever_else_is_not(clean_call, status):
    """A second challenger brought from elsewhere does not hide what the first one was taught."""
    told = SPAN | {"unknown": ("theirs",)}
    found = clean_subset(
        CleanFact(call="worth_it", all=(0.1, 0.05, 0.15), clean_call=clean_call, clean=(0.0, -0.01, 0.03), **told)
    )
    assert (found.status, found.required) == (status, True)
    fact = CleanFact(call="worth_it", all=(0.1, 0.05, 0.15), clean_call="worth_it", clean=(0.1, 0.03, 0.17), **told)
    passed = clean_subset(fact)
    assert (passed.status, passed.required) == ("not_checked", False)
    assert "theirs was tuned on is not known here; of what is known: 10 of 100 questions show" in passed.reason
    assert "theirs 的训练数据在此未知；就已知者而言：100 道题中有 10 道" in passed.reason_zh


def test_the_page_says_nothing_of_rows_that_nobody_searched(tmp_path):
    run = finished(tmp_path)
    found = judge(run.recipe, run.run)
    says = "No question of the exam shows in the training rows."
    assert says in render(found)
    some_ = found.contamination.model_copy(update={"unknown": ("theirs",)})
    page = render(found.model_copy(update={"contamination": some_}))
    assert says not in page
    assert "Of what is known, no question of the exam shows in the training rows." in page
    none = render(found.model_copy(update={"contamination": some_.model_copy(update={"taught": ()})}))
    assert "question of the exam shows in the training rows." not in none


def test_the_page_shows_both(tmp_path):
    found = judge(*(lambda run: (run.recipe, run.run))(leaking(tmp_path, HALF, lora=0.75)))
    html = render(found)
    assert f'data-clean="all" data-gain="{found.contamination.all.gain}"' in html
    assert f'data-clean="clean" data-gain="{found.contamination.clean.gain}"' in html
    assert 'data-shown="letters" data-count="154"' in html
