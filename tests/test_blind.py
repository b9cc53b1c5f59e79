"""Blind baselines: by hand, and what a study does with a task of one's own that is passed without reading."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import build_checkpoint
from small_exam import model, write_exam, write_recipe
from typer.testing import CliRunner

from eval import blind
from eval.benchmark import Benchmark, find, read_task
from eval.cli import app
from eval.score import __main__ as score
from finetune.recipe import Recipe


def test_blind_baselines_of_a_known_exam():
    task = read_task(*find("demo_label"))
    counts = [sum(row.answer == letter for row in task.rows) for letter in "ABC"]
    ways = {found.way: found.score for found in blind.baselines(task)}
    assert ways["guess"] == pytest.approx(1 / 3)
    assert ways["frequent"] == max(counts) / len(task.rows)
    assert blind.best(task).score == max(ways.values())
    numbers = {found.way: found.score for found in blind.baselines(read_task(*find("demo_extraction")))}
    assert numbers["guess"] == 0
    assert 0 < numbers["frequent"] < 0.1
    notices = {found.way: found.score for found in blind.baselines(read_task(*find("notices_zh")))}
    assert notices["frequent"] < 0.05 < notices["echo"] < 0.3, "a table said again is a part"


def test_a_task_that_is_passed_blind_is_named_with_its_figure():
    task = read_task(*find("demo_label"))
    first = tuple(row for row in task.rows if row.answer == "A")
    easy = replace(task, rows=(*first, *[row for row in task.rows if row.answer == "B"][:40]))
    assert blind.warnings(Benchmark((task,))) == []
    (line,) = blind.warnings(Benchmark((easy,)))
    assert re.search(r"exam\.tasks: demo_label: always the same answer scores 80% there without reading", line)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Recipes over one exam in which every third answer is another, and one in which 20 of 24 are A."""
    folder = tmp_path_factory.mktemp("blind")
    even, uneven = write_exam(folder / "even"), write_exam(folder / "uneven")
    for name in ("own.md", "own.yaml", "own_gen.yaml"):  # two exams of one recipe have two names
        text = (uneven / name).read_text("utf-8").replace("own", "uneven")
        (uneven / name.replace("own", "uneven")).write_text(text, "utf-8")
        (uneven / name).unlink()
    _answer(uneven / "exam.jsonl", lambda number: "A" if number < 20 else "B")
    models = [model(build_checkpoint(folder / name, name), family) for name, family in FAMILIES.items()]
    write_recipe(folder / "even.yaml", even, *models)
    write_recipe(folder / "alone.yaml", even, *models, tasks=[f"{uneven}/uneven_gen"])
    write_recipe(folder / "part.yaml", even, *models, tasks=[f"{even}/own_gen", f"{uneven}/uneven"])
    return folder


FAMILIES = {"qwen2": "r1_distill_qwen", "qwen3": "qwen3"}
BLIND = "always the same answer scores 83% there without reading a question, more than 60%, so it is"
HEADLINE = f"{BLIND} no part of a headline; even out its answers (as many rows of each), or leave it out"


def _answer(path: Path, gold) -> None:
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    said = [json.dumps(row | {"answer": gold(number)}, ensure_ascii=False) for number, row in enumerate(rows)]
    path.write_text("\n".join(said) + "\n", "utf-8")


def guard(folder: Path) -> str:
    return f"rule.guards={{tasks: ['{folder}/uneven/uneven']}}"


@pytest.mark.parametrize("command", ["check", "run"])
@pytest.mark.parametrize(("recipe", "task"), [("alone", "exam.tasks: uneven_gen: "), ("part", "exam.tasks: uneven: ")])
def test_a_study_is_refused_a_headline_that_is_passed_blind(place, tmp_path, command, recipe, task):
    done = CliRunner().invoke(app, [command, str(place / f"{recipe}.yaml"), "--out", str(tmp_path / "runs")])
    assert done.exit_code == 2
    assert f"{task}{HEADLINE}" in " ".join(done.output.split())
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_study_is_refused_such_a_guard(place, tmp_path, command):
    words = [command, str(place / "even.yaml"), "--out", str(tmp_path / "runs"), "--set", guard(place)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert f"rule.guards: uneven: {BLIND} no guard; even out its answers" in " ".join(done.output.split())
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("more", [(), ("--probe",)])
def test_nobody_is_scored_on_it(place, tmp_path, capsys, more):
    words = [str(place / "even.yaml"), "--contender", "old", "--out", str(tmp_path / "runs"), "--set", guard(place)]
    assert score.main([*words, *more]) == 2
    said = capsys.readouterr().err
    assert "rule.guards: uneven: " in said
    assert len(said.splitlines()) == 1
    assert not list((tmp_path / "runs").rglob("items*"))


def test_a_smoke_recipe_is_warned_only(place, tmp_path):
    words = ["check", str(place / "part.yaml"), "--out", str(tmp_path / "runs"), "--set", "purpose=smoke"]
    done = CliRunner().invoke(app, [*words, "--set", guard(place).replace("uneven/uneven", "uneven/uneven_gen")])
    said = " ".join(done.output.split())
    assert done.exit_code == 0, said
    for task in ("exam.tasks: uneven: ", "rule.guards: uneven_gen: "):
        assert f"{task}always the same answer scores 83% there without reading a question; a headline or" in said


def test_answers_that_are_evened_out_go_through(place, tmp_path):
    recipe = Recipe.read(place / "part.yaml", ("exam.tasks=[" + f"{place}/even/own, {place}/even/own_gen]",))
    blind.refuse_blind(recipe, Benchmark.read(recipe))
    _answer(place / "uneven" / "exam.jsonl", lambda number: "ABC"[number % 3])
    try:
        done = CliRunner().invoke(app, ["check", str(place / "alone.yaml"), "--out", str(tmp_path / "runs")])
        assert done.exit_code == 0, done.output
    finally:
        _answer(place / "uneven" / "exam.jsonl", lambda number: "A" if number < 20 else "B")
