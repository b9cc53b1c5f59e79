"""The front door end to end: a recipe in, a verdict and a page out; what is done stays, what changed is done anew."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from pathlib import Path

import pytest
import torch
from small_study import begun, lines_started, settled, tuneworth, verdict, write_study
from written_exam import build

from eval.course import Course
from eval.items import read
from eval.verdict import Verdict
from finetune.recipe import Recipe
from finetune.run import RunDir


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """(recipe, folder of runs, what was printed) of one undisturbed run."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("course")
    recipe = write_study(folder)
    done = tuneworth("run", recipe, "--out", folder / "runs")
    assert done.returncode == 0, done.stderr
    return recipe, folder / "runs", done.stdout


@pytest.fixture
def again(study, tmp_path):
    """The same run in a folder of its own, to go on with."""
    shutil.copytree(study[1], tmp_path / "runs")
    return study[0], tmp_path / "runs"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_ends_with_a_verdict_and_a_page(study):
    recipe, out, printed = study
    found = verdict(out)
    assert Verdict.model_validate(found).outcome == "worth_it", found["sentence"]
    assert [each["name"] for each in found["contenders"]] == ["old", "tuned", "newer", "framed"]
    assert found["delta"]["gain"] == pytest.approx(found["tau"]["gain"] - found["gamma"]["gain"], abs=1e-12)
    assert found["delta"]["n"] == 96
    assert found["delta"]["clusters"] == 16
    assert {gate["status"] for gate in found["gates"] if gate["required"]} == {"passed"}
    page = (out / "study" / "report.html").read_text("utf-8")
    assert found["question"] in page
    assert found["sentence"] in " ".join(printed.split())
    assert f"report: {out}/study/report.html" in printed


def test_the_tuned_contender_learnt(study):
    scores = {each["name"]: each["score"] for each in verdict(study[1])["contenders"]}
    assert scores["tuned"] > scores["old"] + 0.1


def test_every_stage_left_its_files(study):
    recipe, out, printed = study
    tuned, old = RunDir(out / "study").seed("tuned", 17), RunDir(out / "study").seed("old", 0)
    scored = {"items.jsonl", "items.parquet", "score.json"}
    assert {path.name for path in old.folder.iterdir()} == scored
    assert {path.name for path in tuned.folder.iterdir()} == scored | {"adapter", "train.json"}
    assert len(read(old.items)) == len(read(tuned.items)) == 96
    events = [json.loads(line)["event"] for line in (out / "study/attempts.jsonl").read_text().splitlines()]
    assert events == ["plan", "score", "score", "score", "score"]
    started = lines_started(printed)
    assert [re.search(r"-m (\S+).* --contender (\S+) --seed (\d+)", line).groups() for line in started] == [
        ("finetune.train", "tuned", "17"), ("eval.score", "old", "0"), ("eval.score", "tuned", "17"),
        ("eval.score", "newer", "0"), ("eval.score", "framed", "0"),
    ]  # fmt: skip


def test_what_was_judged_is_exported_with_its_results(study, front, tmp_path):
    recipe, out, _ = study
    target, found = tmp_path / "tuned", verdict(out)
    status, said, _ = front("export", recipe, "--contender", "tuned", "--out", out, "--merge", "--to", target)
    assert (status, said.splitlines()[-1]) == (0, f"exported to {target}")
    card = (target / "README.md").read_text("utf-8")
    row = next(each for each in found["contenders"] if each["name"] == "tuned")
    assert found["sentence"] in card
    assert f"{row['score']:.1%} [{row['low']:.1%}, {row['high']:.1%}]" in card
    assert "It was scored unmerged" in card
    assert all(note["text"] in card for note in found["notes"])
    assert (target / "model.safetensors").is_file()


def test_the_verdict_and_a_board_are_reached_from_what_the_run_keeps(study, front, tmp_path):
    run = study[1] / "study"
    status, said, complaints = front("verify", run)
    assert (status, complaints) == (0, "")
    assert said.startswith("verify: equal: 0 of ")
    assert front("leaderboard", run, "--out", tmp_path)[0] == 0
    board = json.loads((tmp_path / "leaderboard.json").read_text("utf-8"))
    rows = {row["name"]: row["score"] for row in verdict(study[1])["contenders"]}
    assert {row["contender"]: row["score"] for row in board["slices"][0]["standings"]} == pytest.approx(rows)
    for card in board["contenders"]:
        assert 1e5 < card["size"] < 1e7
        assert card["memory"] > 4 * card["size"]


def test_a_second_run_does_nothing_and_says_the_same(study, again, front):
    recipe, out = again
    before = contents(out)
    status, said, complaints = front("run", recipe, "--out", out)
    assert (status, complaints) == (0, "")
    assert lines_started(said) == []
    assert said.count(": done, unchanged") == 5
    after = contents(out)
    assert after == before, [name for name in after if after[name] != before.get(name)]


def test_a_margin_moved_after_scoring_is_exploratory(again, front):
    recipe, out = again
    status, said, _ = front("run", recipe, "--out", out, "--set", "rule.margin=0.2", "--gate")
    assert lines_started(said) == []
    assert status == 8
    found = verdict(out)
    assert (found["outcome"], found["margin"]) == ("exploratory", 0.2)
    assert [gate["name"] for gate in found["gates"] if gate["required"] and gate["status"] == "failed"] == ["plan"]
    events = [json.loads(line)["event"] for line in (out / "study/attempts.jsonl").read_text().splitlines()]
    assert events.count("plan") == 2


def test_a_margin_moved_in_judging_alone_is_exploratory_too(again, front):
    recipe, out = again
    plan = (out / "study/recipe.json").read_bytes()
    assert front("judge", recipe, "--out", out, "--set", "rule.margin=0.2", "--gate")[0] == 8
    assert (out / "study/recipe.json").read_bytes() == plan
    assert front("judge", recipe, "--out", out, "--gate")[0] == 0


def test_a_changed_method_moves_the_stale_stages_aside(again):
    recipe, out = again
    place = out / "study/tuned/seed-17"
    before, others = contents(place), contents(out / "study/old")
    done = tuneworth("run", recipe, "--out", out, "--set", "contenders.tuned.method.rank=2")
    assert done.returncode == 0, done.stderr
    assert len(lines_started(done.stdout)) == 2
    assert done.stdout.count(": done, unchanged") == 3
    kept = {name.split("/", 1)[1]: text for name, text in contents(place).items() if name.startswith(".old-")}
    assert kept == before
    assert json.loads((place / "adapter/adapter_config.json").read_text())["r"] == 2
    assert contents(out / "study/old") == others
    assert verdict(out)["outcome"] == "exploratory"


def test_a_dry_run_prints_the_lines_and_touches_nothing(study, front, tmp_path):
    recipe, out, printed = study
    before = contents(recipe.parent)
    status, said, complaints = front("run", recipe, "--out", tmp_path / "runs", "--dry-run")
    assert (status, complaints) == (0, "")
    assert [line.replace(str(tmp_path / "runs"), str(out)) for line in said.splitlines()] == lines_started(printed)
    assert not (tmp_path / "runs").exists()
    assert contents(recipe.parent) == before


@pytest.mark.slow
def test_stages_by_hand_make_the_run_that_run_makes(study, tmp_path):
    """Train and score, by commands of their own, what no earlier start has scored; then judge and report."""
    recipe, out, printed = study
    runs = tmp_path / "runs"
    begun(out, runs, "old", "tuned")
    assert tuneworth("train", recipe, "--out", runs, "--contender", "tuned").returncode == 0
    scored = tuneworth("score", recipe, "--out", runs)
    assert (scored.returncode, scored.stdout.count(": done, unchanged")) == (0, 2)
    assert tuneworth("judge", recipe, "--out", runs).returncode == 0
    assert not (runs / "study/report.html").exists()
    assert tuneworth("report", recipe, "--out", runs).returncode == 0
    assert (runs / "study/report.html").is_file()
    assert settled(verdict(runs)) == settled(verdict(out))


def test_check_shows_the_trained_tokens_the_power_and_the_plan_that_run_keeps(study, front):
    recipe, out, printed = study
    status, said, complaints = front("check", recipe)
    assert (status, complaints) == (0, "")
    assert "tuned: one training row, what is trained in ⟦brackets⟧" in said
    assert re.search(r"⟦.+⟧", said.split("in ⟦brackets⟧")[1], re.S), "the trained tokens are marked"
    assert "<｜Assistant｜><think>" in said.replace("\n", "")
    assert "60 rows" in said
    assert re.search(r"Power: 96 questions in 16 clusters find a gain of [\d.]+%", " ".join(said.split()))
    assert re.search(r"Plan digest: (\w{12})", said)[1] == re.search(r"^plan (\w{12})$", printed, re.MULTILINE)[1]


@pytest.mark.parametrize("change", ["family=plain", "dtype=bfloat16", "think=drop", "decoding={max_new_tokens: 9}"])
def test_how_a_model_is_asked_is_part_of_the_plan(study, front, change):
    digests = {
        re.search(r"Plan digest: (\w{12})", front("check", study[0], *words)[1])[1]
        for words in ([], ["--set", f"contenders.newer.model.{change}"])
    }
    assert len(digests) == 2


@pytest.mark.parametrize(
    ("rates", "changes", "status"),
    [
        ({"old": 0.3, "lora": 0.8, "prefix": 0.8, "newer": 0.4, "prompted": 0.4}, (), 0),
        ({"old": 0.3, "lora": 0.4, "prefix": 0.4, "newer": 0.8, "prompted": 0.8}, (), 3),
        ({"old": 0.5, "lora": 0.5, "prefix": 0.5, "newer": 0.48, "prompted": 0.48}, (), 4),
        ({"old": 0.3, "lora": 0.05, "prefix": 0.3, "newer": 0.4, "prompted": 0.4}, (), 5),
        ({"old": 0.3, "lora": 0.8, "prefix": 0.8, "newer": 0.4, "prompted": 0.4}, ("rule.margin=0.03",), 8),
        ({"old": 0.3, "lora": 0.8, "prefix": 0.8, "newer": 0.4, "prompted": 0.4}, ("purpose=smoke",), 0),
    ],
    ids=["worth it", "not worth it", "inconclusive", "invalid", "exploratory", "smoke"],
)
def test_gate_tells_the_outcome(tmp_path, front, rates, changes, status):
    written = build(tmp_path, *(change for change in changes if "smoke" in change))
    written.pledge()
    for name in ("lora", "prefix"):
        written.tune(name)
    for name, rate in rates.items():
        written.sit(name, rate)
    words = ["--out", tmp_path / "runs", *(word for change in changes for word in ("--set", change))]
    assert front("judge", tmp_path / "study.yaml", *words, "--gate")[0] == status
    assert front("judge", tmp_path / "study.yaml", *words)[0] == 0


def test_gate_of_a_smoke_run_with_broken_plumbing_is_7(tmp_path, front):
    written = build(tmp_path, "purpose=smoke")
    written.pledge()
    written.tune("lora", reload_difference=0.5)
    written.tune("prefix")
    for name in ("old", "lora", "prefix", "newer", "prompted"):
        written.sit(name, 0.6)
    words = ["--out", tmp_path / "runs", "--set", "purpose=smoke", "--gate"]
    assert front("judge", tmp_path / "study.yaml", *words)[0] == 7
    failed = [check for check in verdict(tmp_path / "runs")["plumbing"]["checks"] if not check["passed"]]
    assert [check["name"] for check in failed] == ["lora seed 17: reloaded = trained"]


def test_a_build_sweeps_what_a_killed_one_left(tmp_path, monkeypatch):
    """Only what nobody has written to for a day, and nothing that was finished."""
    monkeypatch.setenv("TUNEWORTH_CACHE", str(tmp_path))
    started = []
    monkeypatch.setattr("eval.course.start", lambda words: started.append(words) or 0)
    now, shelf = time.time(), tmp_path / "embedded"
    for name, age in ((".older-ab-killed", 90_000), (".older-ab-at_work", 600), ("older-cd", 90_000)):
        (shelf / name).mkdir(parents=True)
        (shelf / name / "tokenizer.json").write_text("{}")
        os.utime(shelf / name, (now - age, now - age))
    recipe = Path(__file__).parent.parent / "recipes/demo.yaml"
    Course(Recipe.read(recipe), recipe, tmp_path / "runs", (), True).build()
    assert (shelf / ".older-ab-killed").is_dir(), "a dry run touches nothing"
    Course(Recipe.read(recipe), recipe, tmp_path / "runs").build()
    assert {path.name for path in shelf.iterdir()} == {".older-ab-at_work", "older-cd"}
    assert {words[-1] for words in started} == {"older", "newer"}
