"""`tuneworth verify`: a verdict is reached again from what a run keeps, or the place where it differs is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from judged_run import finished
from typer.testing import CliRunner

from eval import items
from eval.cli import app
from eval.verdict import judge
from finetune.recipe import Recipe
from finetune.run import RunDir

RECIPES = Path(__file__).parent.parent / "recipes"


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verified")
    own = f"contenders.lora.data=[{folder / 'tuning.md'}]"
    made = finished(folder, "costs.gpu_hour=10", f"train.exclude=[{folder / 'tuning.md'}]", own)
    made.run.verdict.write_text(judge(made.recipe, made.run).model_dump_json(indent=1), "utf-8")
    return made.run.folder


@pytest.fixture
def run(kept, tmp_path):
    """A copy of a judged run, which has moved since."""
    shutil.copytree(kept, tmp_path / "study")
    return RunDir(tmp_path / "study")


def verify(run):
    return CliRunner().invoke(app, ["verify", str(run.folder)])


def changed(path, change):
    said = json.loads(path.read_text("utf-8"))
    change(said)
    path.write_text(json.dumps(said), "utf-8")


def test_an_untouched_run_is_equal(run):
    done = verify(run)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("verify: equal: 0 of ")
    assert int(done.stdout.split()[4]) > 500


def test_a_number_touched_in_the_verdict_is_named(run):
    def touch(said):
        said["delta"]["gain"] += 0.01
        said["outcome"] = "not_worth_it"
        said["contenders"][0]["tasks"][0]["score"] = 0.123

    changed(run.verdict, touch)
    done = verify(run)
    assert done.exit_code == 6
    lines = done.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "outcome", "delta.gain", "contenders[lora].tasks[letters].score", "verify",
    ]  # fmt: skip
    assert "0.123 in verdict.json, 0." in lines[2]
    assert "verify: differs: 3 of " in lines[3]


def test_an_answer_touched_in_a_log_moves_the_verdict(run):
    log = run.seed("newer", 0).items
    rows = items.read(log)
    items.replace(log, [rows[0].model_copy(update={"outcome": "wrong", "score": 0.0}), *rows[1:-1]])
    done = verify(run)
    assert done.exit_code == 6
    assert "more\n" in done.stdout


def test_a_rule_touched_in_the_recipe_breaks_the_plan(run):
    changed(run.plan, lambda said: said["given"]["rule"].update(margin=0.01))
    done = verify(run)
    assert done.exit_code == 6
    assert "margin: 0.02 in verdict.json, 0.01 reached again" in done.stdout
    assert "outcome: worth_it in verdict.json, exploratory reached again" in done.stdout


def test_what_is_not_there_is_named(run):
    for path, said in (
        (run.seed("newer", 0).score_manifest, "newer seed 0 is not scored"),
        (run.plan, "recipe.json: no such file; a run keeps its recipe there"),
        (run.verdict, "verdict.json: no such file; run `tuneworth judge` first"),
    ):
        path.unlink()
        done = verify(run)
        assert (done.exit_code, said in done.stderr) == (2, True), done.stderr


def test_a_recipe_of_another_version_is_named(run):
    changed(run.plan, lambda said: said["given"].update(unheard=1))
    done = verify(run)
    assert (done.exit_code, "no recipe that can be read back" in done.stderr) == (2, True)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_is_read_back_as_it_was(path, tmp_path):
    """Shared defaults, data shares, suites and searches come back to the same fingerprints."""
    for change in ((), ("train.epochs=2", "train.exclude=[../data_cards/demo_tuning.md]")):
        recipe = Recipe.read(path, change)
        given = recipe.model_dump(mode="json", exclude_unset=True)
        back = Recipe.model_validate(json.loads(json.dumps(given)))
        assert back.model_dump_json() == recipe.model_dump_json()
        assert repr(back) == repr(recipe)  # where a default of 2 is not 2.0


def test_cards_that_have_moved_are_found_by_name(run, kept, monkeypatch):
    monkeypatch.setenv("TUNEWORTH_CARDS", "")
    changed(run.plan, lambda said: said.update(cards={"tuning": "/nowhere/tuning.md"}))
    done = verify(run)
    assert (done.exit_code, "no data card tuning" in done.stderr) == (2, True)
    monkeypatch.setenv("TUNEWORTH_CARDS", str(kept.parents[1]))
    assert verify(run).exit_code == 0
