"""Dated questions: what older and younger ones say of who has seen them; the plan, the gate, the page, `check`."""

from __future__ import annotations

import json
import random
from datetime import date
from pathlib import Path

import pytest
from judged_run import CLEAR, gate
from reader import Reader
from written_exam import Run, build, graded

from eval import pledge
from eval.foresight import dated as show_dated
from eval.gates import DatedFact, dated
from eval.report import render
from eval.verdict import Verdict, judge
from eval.verdict.dates import timeline
from eval.verify import verify
from finetune.checkpoint import Cutoff
from finetune.recipe import Recipe
from tests import planted_study

MODELS = {"old": "2025-01-20", "lora": "2025-01-20", "prefix": "2025-01-20", "newer": "2025-04-29"}
RELEASED = tuple(f"contenders.{who}.model.released='{day}'" for who, day in MODELS.items())
OLD, YOUNG, BETWEEN = "2024-03", "2026-02-01", "2025"


# ---- studies


def study(
    folder: Path, *changes: str, when=lambda document: (OLD, YOUNG)[document % 2], rates=None, by_age=None
) -> Run:
    """A finished study on public cards whose documents are dated; `by_age`: contender -> chance on old, on young."""
    build(folder)
    for task in ("letters", "numbers"):
        _date(folder / task / task, when)
    run = Run(folder, Recipe.read(folder / "study.yaml", changes))
    run.pledge()
    for name in ("lora", "prefix"):
        run.tune(name)
    ages = {(task.name, row.id): row.public for task in run.benchmark.tasks for row in task.rows}
    for name, rate in (CLEAR | (rates or {})).items():
        run.sit(name, rate, change=_aged(name, (by_age or {}).get(name), ages))
    return run


def test_what_dates_questions_and_models_stands_in_the_plan_where_a_card_dates_any(tmp_path):
    def promised(folder: Path, *changes: str) -> str:
        run = Run(folder, Recipe.read(folder / "study.yaml", (*RELEASED, *changes)))
        return pledge.digest(run.recipe, run.benchmark)

    stated = "contenders.newer.model.cutoff={date: 2024-07, source: its card}"
    build(tmp_path / "plain")
    plain = promised(tmp_path / "plain")
    assert promised(tmp_path / "plain", stated) == plain, "no question has a date"
    build(tmp_path / "dated")
    for task in ("letters", "numbers"):
        _date(tmp_path / "dated" / task / task, lambda document: OLD)
    found = promised(tmp_path / "dated")
    other = {promised(tmp_path / "dated", change) for change in (
        stated, "contenders.newer.cutoff={date: 2024-08, source: its card}",
        "contenders.newer.model.released='2025-05-01'",
    )}  # fmt: skip
    assert len(other | {found}) == 4
    assert promised(tmp_path / "dated", stated.replace("its card", "its page")) in other, "who says so decides nothing"
    card = tmp_path / "dated" / "letters" / "letters.md"
    card.write_text(card.read_text().replace("{column: when}", "{column: when, later: 30}"))
    assert promised(tmp_path / "dated") not in other | {found}


def _date(card: Path, when) -> None:
    path = card.with_suffix(".jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row | {"when": when(row["doc"])}) + "\n" for row in rows))
    text = card.with_suffix(".md").read_text()
    told = text.replace("published: false", "published: true\ndates: {column: when}")
    card.with_suffix(".md").write_text(told)


def _aged(name: str, chances: tuple[float, float] | None, ages: dict):
    def change(answer):
        span = ages[answer.task, answer.id]
        luck = random.Random(f"{name} {answer.id}").random()
        right = luck < chances[span.first.year > 2025]
        return answer.model_copy(update=graded("correct" if right else "wrong"))

    return change if chances else None


def at(run: Run) -> tuple[Verdict, object]:
    found = judge(run.recipe, run.run)
    return found, gate(found, "dated questions")


def test_an_older_set_that_the_newer_base_has_seen_is_told(tmp_path):
    """It is right on 8 of 10 old questions and on 4 of 10 young ones, lora on 6 of 10 of both."""
    run = study(tmp_path, *RELEASED, by_age={"newer": (0.8, 0.4), "lora": (0.6, 0.6)})
    found, caught = at(run)
    told = found.contamination.dated
    assert (str(told.newest), told.total("old"), told.total("young")) == ("2025-04-29", 200, 200)
    assert told.apart.low < 0.4 < told.apart.high
    assert told.old.high < 0 < told.young.low
    assert (caught.status, caught.required) == ("failed", False)
    assert "newer may have seen the older ones, where Δ leans down" in caught.reason
    assert "Δ 在旧题上偏低" in caught.reason_zh
    newer = told.apart.sides[1]
    assert newer.contender == "newer"
    assert newer.old - newer.young == pytest.approx(0.4, abs=0.12)
    assert next(case for case in found.sensitivity.cases if case.kind == "dated").call == told.young.call
    run.run.verdict.write_text(found.model_dump_json(), "utf-8")
    assert verify(run.run).differs == ()


def test_a_not_worth_it_of_old_questions_alone_carries_the_doubt(tmp_path):
    rates = {"newer": (0.95, 0.5), "lora": (0.5, 0.6)}
    found, _ = at(study(tmp_path, *RELEASED, when=lambda document: YOUNG if document % 5 == 0 else OLD, by_age=rates))
    assert found.outcome == "not_worth_it"
    assert "The newer base may have seen 320 of the 400 items: all of them are public." in found.sentence
    assert "By date, on questions public after 2025-04-29 the gain of lora over newer differs by +" in found.sentence
    assert "400 道中有 320 道新底座可能见过" in found.sentence_zh
    assert "按日期：lora 对 newer 的增益" in found.sentence_zh


def test_a_not_worth_it_that_young_questions_carry_too_is_free_of_the_doubt(tmp_path):
    found, _ = at(study(tmp_path, *RELEASED, by_age={"newer": (0.7, 0.7), "lora": (0.3, 0.3)}))
    assert found.outcome == "not_worth_it"
    assert "may have seen" not in found.sentence
    fresh = next(note for note in found.notes if note.code == "dated")
    assert fresh.text == (
        "Not worth it on the 200 items that no model can have seen, public after 2025-04-29, too."
    )  # fmt: skip
    assert "同样不值得" in fresh.text_zh


def test_young_questions_agree_with_no_word_but_the_one_that_was_said(tmp_path):
    """They alone say not worth it; all together are inconclusive, and no note says "too"."""
    found, _ = at(study(tmp_path, *RELEASED, by_age={"newer": (0.3, 0.7), "lora": (0.7, 0.3)}))
    assert (found.outcome, found.contamination.dated.young.call) == ("inconclusive", "not_worth_it")
    assert not [note for note in found.notes if "too." in note.text or "同样" in note.text_zh]
    seen = next(note for note in found.notes if note.code == "public")
    assert not seen.headline
    assert seen.text == "The newer base may have seen 200 of the 400 items: all of them are public."


def test_a_gain_of_questions_that_the_tuned_side_knew_leans_up(tmp_path):
    found, caught = at(study(tmp_path, *RELEASED, by_age={"newer": (0.3, 0.3), "lora": (0.95, 0.55)}))
    assert found.outcome == "worth_it"
    assert caught.status == "failed"
    assert "the base or the training rows of lora may have held the older ones, where Δ leans up" in found.sentence


@pytest.mark.parametrize(
    ("terms", "status", "words"),
    [
        ({"when": lambda _: None}, "not_checked", "no card dates its questions"),
        ({"when": lambda _: OLD}, "not_checked", "none of the 400 dated questions is surely younger than 2025-04-29"),
        ({"when": lambda _: BETWEEN}, "not_checked", "none of the 400 dated questions is surely younger"),
        ({"when": lambda _: YOUNG}, "passed", "every question is younger than the models"),
        ({"when": lambda d: YOUNG if d == 0 else OLD}, "not_checked", "no task has questions from two clusters"),
        ({}, "unresolved", "too few to rule out a difference of 2%"),
    ],
)
def test_what_cannot_be_told_is_not_checked(tmp_path, terms, status, words):
    _, found = at(study(tmp_path, *RELEASED, **terms))
    assert (found.status, found.required) == (status, False)
    assert words in found.reason


def test_a_model_of_no_known_day_is_never_guessed(tmp_path):
    found, caught = at(study(tmp_path, "contenders.newer.model.released=built here"))
    assert caught.status == "not_checked"
    assert "until when lora, newer learned is not known; give its `cutoff`" in caught.reason
    told = found.contamination.dated
    assert (told.newest, told.total("young"), told.old, told.young, told.apart) == (None, 0, None, None, None)
    assert "dated" not in {case.kind for case in found.sensitivity.cases}


def test_a_stated_cutoff_goes_before_the_release_and_a_contenders_before_its_models(tmp_path):
    late = "contenders.newer.model.released='2026-06-01'"  # after every question
    cutoff = "contenders.newer.model.cutoff={date: 2025-03, source: its card}"
    _, released = at(study(tmp_path / "a", *RELEASED, late))
    assert "none of the 400 dated questions is surely younger than 2026-06-01" in released.reason
    found, _ = at(study(tmp_path / "b", *RELEASED, late, cutoff))
    bound = next(each for each in found.contamination.dated.bounds if each.contender == "newer")
    assert (str(bound.until), bound.by, bound.source) == ("2025-03-31", "stated", "its card")
    own = "contenders.newer.cutoff={date: 2026-05, source: the vendor}"
    found, caught = at(study(tmp_path / "c", *RELEASED, late, cutoff, own))
    assert (str(found.contamination.dated.newest), caught.status) == ("2026-05-31", "not_checked")


def test_dated_training_rows_bound_whoever_is_tuned_on_them(tmp_path):
    """A house tunes on its documents up to March 2026: what is younger than its models alone is not young."""
    build(tmp_path)
    rows = [{"question": f"row {at}", "answer": "a", "when": "2026-03"} for at in range(3)]
    run = study(tmp_path / "study", *RELEASED)
    (tmp_path / "study/tuning.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    card_path = tmp_path / "study/tuning.md"
    card_path.write_text(card_path.read_text().replace("published:", "dates: {column: when}\npublished:"))
    recipe = Recipe.read(tmp_path / "study/study.yaml", RELEASED)
    bounds = {each.contender: each for each in timeline(recipe, run.benchmark, ["lora", "newer"]).bounds}
    assert (str(bounds["lora"].until), bounds["lora"].by) == ("2026-03-31", "training")
    assert (str(bounds["newer"].until), bounds["newer"].by) == ("2025-04-29", "released")


def test_what_was_tuned_elsewhere_is_bound_by_its_own_cutoff_alone(tmp_path):
    run = study(tmp_path, *RELEASED)
    own = run.recipe.contenders["lora"].model_copy(update={"method": None, "adapter_cost": 100.0})
    said = own.model_copy(update={"cutoff": Cutoff(date="2026-01", source="who tuned it")})
    for chosen, until in ((own, None), (said, date(2026, 1, 31))):
        recipe = run.recipe.model_copy(update={"contenders": {**run.recipe.contenders, "lora": chosen}})
        line = timeline(recipe, run.benchmark, ["lora", "newer"])
        assert (line.bounds[0].until, line.newest) == (until, until)
        assert len(line.young) == (200 if until else 0)


FACT = {"challenger": "lora", "incumbent": "newer", "items": 100, "dated": 90, "old": 40, "young": 40,
        "newest": date(2025, 4, 29), "unknown": ()}  # fmt: skip


@pytest.mark.parametrize(
    ("span", "status", "lean"),
    [
        ((0.1, 0.03, 0.17), "failed", -1), ((-0.1, -0.17, -0.03), "failed", 1), ((0.0, -0.01, 0.01), "passed", 0),
        ((0.03, 0.01, 0.05), "unresolved", 0), ((0.0, -0.1, 0.1), "unresolved", 0),
    ],
)  # fmt: skip
def test_the_gate(span, status, lean):
    fact = DatedFact(**FACT, apart=span)
    assert (dated(fact).status, dated(fact).required, fact.lean) == (status, False, lean)
    assert dated(fact).figures["young - old"] == span[0]


# ---- the page and the terminal


def test_the_page_shows_the_figures_of_the_verdict(tmp_path):
    found, caught = at(study(tmp_path, *RELEASED, by_age={"newer": (0.8, 0.4), "lora": (0.6, 0.6)}))
    read, told = Reader(render(found)), found.contamination.dated
    assert read.faults == []
    gains = {attrs["data-dated"]: attrs["data-gain"] for _, attrs, _, _ in read.elements if "data-dated" in attrs}
    assert gains == {"old": str(told.old.gain), "young": str(told.young.gain), "apart": str(told.apart.gain)}
    assert {attrs["data-bound"] for _, attrs, _, _ in read.elements if "data-bound" in attrs} == {"lora", "newer"}
    heads = ("By date: what no model can have seen", "按日期：各模型不可能见过的题目", "day of release", "发布日期")
    for said in (*heads, caught.reason, caught.reason_zh, "2024-03-01 – 2026-02-01"):
        assert said in read.text()


def test_a_study_without_dates_says_so_on_its_page(tmp_path):
    found, caught = at(study(tmp_path, when=lambda _: None))
    assert (found.contamination.dated, caught.status) == (None, "not_checked")
    text = Reader(render(found)).text()
    assert "No card dates its questions" in text
    assert "数据卡未注明题目日期" in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (RELEASED, "Dates: 400 questions have one; 200 of them became public after 2025-04-29, when the last of the"),
        ((), "until when lora, newer learned is not known"),
    ],
)
def test_check_counts_them(tmp_path, changes, words):
    run = study(tmp_path, *changes)
    assert words in " ".join(str(show_dated(run.recipe, run.benchmark)).split())


# ---- the planted study


def test_a_newer_base_that_was_planted_to_know_old_documents_is_found(tmp_path):
    """30 points likelier on what it can have seen; the planted difference lies in the interval."""
    seen = dict.fromkeys(("newer", "prompted", "informed"), 0.3)
    made = planted_study.write(tmp_path, 400, 1, seen=seen)
    found, caught = at(made)
    told = found.contamination.dated
    assert told.apart.low < 0.3 < told.apart.high
    assert told.apart.tasks == ("fields_zh", "notes_en", "ratios_en", "rules_zh")  # general_en has no dates
    assert caught.status == "failed"
    assert "newer may have seen the older ones" in caught.reason
    assert sum(task.dated - task.old - task.young for task in told.tasks) > 0  # those of 2025 are told apart by nobody
