"""Guards: questions that training shows are left out, and several challengers are corrected for."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from judged_run import CLEAR
from small_guards import SAME, shelved
from written_exam import Run, build, graded

from eval.outlets.junit import junit
from eval.paired import Layout
from eval.report import render
from eval.verdict import judge, leaks
from eval.verdict.evidence import Evidence
from eval.verdict.guards import verdict_of
from eval.verdict.ruling import stand
from eval.verify import verify
from finetune.recipe import Recipe

ROW = {"question": "a row of its own", "answer": "A"}


def tuned_on(folder: Path, questions: list[str], harm: float, *names: str) -> Run:
    """A study whose training rows hold these guard questions: lora knows them by heart, and is right elsewhere on the
    guards at a rate of `harm`, where all others are at 0.6."""
    build(folder)
    rows = [ROW, *({"question": text, "answer": "A"} for text in questions)]
    (folder / "tuning.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    guards = f"rule.guards={{tasks: {json.dumps(shelved(folder, *names))}}}"
    run = Run(folder, Recipe.read(folder / "study.yaml", (guards,)))
    run.pledge()
    for name in ("lora", "prefix"):
        run.tune(name)
    learned = {text.rstrip("?").replace(" ", "-") for text in questions}

    def change(answer):
        return answer.model_copy(update=graded("correct")) if answer.id in learned else answer

    for who, rate in CLEAR.items():
        told = dict.fromkeys(("letters", "numbers"), rate) | (dict.fromkeys(SAME, harm) if who == "lora" else SAME)
        run.sit(who, told, change=change if who == "lora" else None)
    return run


def test_a_guard_that_passes_by_what_was_taught_does_not(tmp_path):
    """Worse by eleven points on what it never saw, and better on the whole by the half that it was tuned on."""
    run = tuned_on(tmp_path, [f"general {number}?" for number in range(100, 500)], 0.49, "general")
    found = judge(run.recipe, run.run)
    (row,) = found.guards
    assert (found.outcome, row.status) == ("not_worth_it", "failed")
    assert row.flattered is not None
    assert row.flattered[1] > 0 > row.high  # with them it passes with points to spare
    answers = {who: _scores(run, who) for who in ("lora", "old")}
    near = {
        f"general-{number}" for number in [*range(10, 50), *range(100, 500)]
    }  # "general 10" is nearly "general 100"
    kept = [key for key in answers["lora"] if key not in near]
    assert (row.shown, row.n) == (len(near), len(kept))
    assert row.gain == pytest.approx(np.mean([answers["lora"][key] - answers["old"][key] for key in kept]))
    assert row.base_score == pytest.approx(np.mean([answers["old"][key] for key in kept]))
    (note,) = [note for note in found.notes if note.code == "guard_leak"]
    assert "flatter it there and are left out: general ability in Chinese 440 of 900" in note.text
    assert "中文通用能力 900 题中 440 题" in note.text_zh
    html = render(found)
    assert 'data-left-out="440"' in html
    assert "data-guards-shown" in html
    assert "shown in training 见于训练: 440" in junit(found)
    run.run.verdict.write_text(found.model_dump_json(), "utf-8")
    assert verify(run.run).differs == ()


def _scores(run: Run, who: str) -> dict[str, float]:
    lines = run.run.seed(who, run.recipe.seeds(who)[0]).items.read_text("utf-8").splitlines()
    return {row["id"]: row["score"] for row in map(json.loads, lines) if row["task"] == "general"}


def test_a_guard_whose_questions_were_all_taught_cannot_pass(tmp_path):
    run = tuned_on(tmp_path, [f"reading {number}?" for number in range(400)], 0.6, "general", "reading")
    found = judge(run.recipe, run.run)
    rows = {row.tasks: row for row in found.guards}
    assert {tasks: (row.status, row.untold) for tasks, row in rows.items()} == {
        ("general", "reading"): ("unresolved", True), ("general",): ("passed", False),
        ("reading",): ("unresolved", True),
    }  # fmt: skip
    assert (rows["reading",].n, rows["reading",].shown) == (400, 400)
    assert found.outcome == "inconclusive"
    assert "cannot pass: 400 of its 400 questions show in what lora was tuned on" in found.sentence
    assert "剩余题目无法判定" in found.sentence_zh
    assert "400 of them in training; what is left cannot be judged" in render(found)


def test_a_long_search_is_kept_by_the_contents_of_both_sides(tmp_path, monkeypatch):
    """Judging again in another process reads it; other rows, or a spoilt note, are searched anew."""
    monkeypatch.setenv("TUNEWORTH_CACHE", str(tmp_path / "cache"))
    run = tuned_on(tmp_path / "study", ["letters 101?"], 0.6, "reading")
    leaks._found.cache_clear()
    quick = judge(run.recipe, run.run)
    assert not (tmp_path / "cache" / "overlap").exists()  # so small a search costs nothing
    monkeypatch.setattr(leaks, "LONG", -1.0)
    leaks._found.cache_clear()
    first = judge(run.recipe, run.run)
    assert first == quick
    notes = sorted((tmp_path / "cache" / "overlap").iterdir())
    assert len(notes) == 2  # the exam, and the guard
    leaks._found.cache_clear()
    with monkeypatch.context() as there:
        there.setattr(leaks, "overlap", None)  # not asked again
        assert judge(run.recipe, run.run) == first
    for note in notes:
        note.write_text("{", "utf-8")
    leaks._found.cache_clear()
    assert judge(run.recipe, run.run) == first
    evidence = Evidence.read(run.recipe, run.run)
    with (tmp_path / "study" / "tuning.jsonl").open("a", encoding="utf-8") as rows:
        rows.write(json.dumps({"question": "letters 202?", "answer": "A"}) + "\n")
    assert ("letters", "letters-202") in leaks.leaks(evidence).of("same")
    assert len(list((tmp_path / "cache" / "overlap").iterdir())) == 3


def test_another_challengers_rows_leave_a_guard_as_it_is(tmp_path):
    """prefix was tuned on rows of its own, without the guard's questions."""
    run = tuned_on(tmp_path, [f"general {number}?" for number in range(100, 500)], 0.49, "general")
    (tmp_path / "own.jsonl").write_text(json.dumps(ROW) + "\n", "utf-8")
    card = (tmp_path / "tuning.md").read_text("utf-8").replace("tuning", "own")
    (tmp_path / "own.md").write_text(card, "utf-8")
    changes = (
        f"rule.guards={{tasks: [{tmp_path / 'general'}]}}", "rule.challengers=[lora, prefix]",
        "contenders.prefix.data=[own.md]",
    )  # fmt: skip
    run = Run(tmp_path, Recipe.read(tmp_path / "study.yaml", changes))
    run.run.folder.rename(tmp_path / "before")
    run.pledge()
    for name in ("lora", "prefix"):
        run.tune(name)
    for who, rate in (CLEAR | {"prefix": CLEAR["lora"]}).items():
        run.sit(who, dict.fromkeys(("letters", "numbers"), rate) | SAME)
    found = judge(run.recipe, run.run)
    assert {row.challenger: (row.shown, row.n) for row in found.guards} == {"lora": (440, 460), "prefix": (0, 900)}
    assert "data-guards-holm" in render(found)


def test_guards_of_several_challengers_are_taken_at_holms_levels(tmp_path):
    """The lower end is that of the one-sided level at which Holm tested, the upper end the plain one's."""
    paths = json.dumps(shelved(tmp_path, "general"))
    run = Run(tmp_path, _two(tmp_path, f"rule.guards={{tasks: {paths}}}"))
    run.pledge()
    told = {who: dict.fromkeys(("letters", "numbers"), rate) | SAME for who, rate in CLEAR.items()}
    told["lora"] |= {"general": 0.63}
    told["prefix"] = told["lora"] | {"general": 0.57}
    for who, rates in told.items():
        if who in ("lora", "prefix"):
            run.tune(who)
        run.sit(who, rates)
    found = judge(run.recipe, run.run)
    d = np.array(list(_scores(run, "lora").values())) - np.array(list(_scores(run, "old").values()))
    first = next(row for row in found.guards if row.challenger == "lora")
    plan = Layout.of(list(range(len(d))))
    assert first.low == pytest.approx(plan.estimate(d, confidence=1 - 0.025).low)  # two challengers: half of .025
    assert first.high == pytest.approx(plan.estimate(d).high)
    calls = {ruling.challenger: (ruling.call, ruling.rejected) for ruling in found.rulings}
    assert calls["lora"] == ("worth_it", True)
    assert calls["prefix"][0] != "worth_it"
    assert not calls["prefix"][1]


def _two(folder: Path, *changes: str) -> Recipe:
    build(folder)
    return Recipe.read(folder / "study.yaml", ("rule.challengers=[lora, prefix]", *changes))


@dataclass(frozen=True)
class Measured:
    """A guard or a gain of the simulation, as Holm and the rule ask it."""

    layout: Layout
    values: np.ndarray
    margin: float

    @property
    def p(self) -> float:
        return self.layout.estimate(self.values, margin=self.margin).p

    @property
    def passes(self) -> bool:
        return verdict_of(self.layout.estimate(self.values), -self.margin) == "passed"


def test_one_of_several_that_harm_to_the_limit_passes_no_more_often_than_it_may():
    """Four challengers that gain beyond doubt, each with two guards and one of them at the limit: the family's error is
    a 40th with Holm over the worst p, and more than twice that where guards stand alone."""
    rng, runs, corrected, plain = np.random.default_rng(29), 1200, 0, 0
    documents, limit = 60, -0.02
    layout = Layout.of(list(range(documents)))
    for _ in range(runs):
        base = rng.normal(0, 0.05, (2, documents))
        made = {
            str(number): [
                Measured(layout, rng.normal(truth, 0.07, documents) - base[at], limit)
                for at, truth in enumerate((limit, 0.1))
            ]
            for number in range(4)
        }
        standings = stand({name: [] for name in made}, 0.95, 0.02, made, dict.fromkeys(made, ()))
        corrected += any(each.rejected for each in standings.values())
        plain += any(all(guard.passes for guard in guards) for guards in made.values())
    assert corrected / runs == pytest.approx(0.022, abs=3.3 * math.sqrt(0.025 * 0.975 / runs))
    assert plain / runs > 0.05
