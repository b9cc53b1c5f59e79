"""`leaderboard --choose`: whom the evidence supports within limits of cost, memory, scenario, or "cannot tell"."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from judged_run import finished
from small_board import board, command, made, studies, written  # noqa: F401 (fixtures)
from small_logs import theirs
from written_exam import TASKS

from eval.leaderboard import Board, Limits, choose, parse_memory
from eval.leaderboard.pareto import field
from eval.verdict import judge
from finetune.mistakes import BadInput


@pytest.fixture
def elsewhere(studies):
    """The runs on a machine without the exam, whose every gold is A: there, guessing alone is known."""
    exam = [studies[0].parents[1] / task for task in TASKS]
    for folder in exam:
        folder.rename(folder.with_suffix(".away"))
    yield studies
    for folder in exam:
        folder.with_suffix(".away").rename(folder)


def test_who_is_told_apart_from_all_is_chosen(elsewhere):
    studies = elsewhere
    done = command(*studies, "--choose")
    assert done.exit_code == 0
    first, second = done.stdout.splitlines()
    assert first.startswith("second/lora: 100.0 [")
    assert "told apart from all 9 others within the limits; the closest is first/lora: +" in first
    assert second.startswith("second/lora：")


def test_limits_that_nobody_keeps_leave_nobody(studies):
    done = command(*studies, "--choose", "--max-cost", "0.0001")
    assert done.exit_code == 4
    assert done.stdout.startswith("cannot tell: nobody is known to keep within the limits\n")
    assert done.stdout.count("left out") == 10


@pytest.fixture(scope="module")
def tied(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tied")
    run = written(folder, "name=tied", rates={"lora": 0.61, "newer": 0.6, "prompted": 0.6})
    for task in TASKS:
        shutil.rmtree(folder / task)
    return run.run.folder


def test_whoever_is_not_told_apart_is_not_chosen(tied):
    done = command(tied, "--choose")
    assert done.exit_code == 4
    said = done.stdout.splitlines()[0]
    assert re.match(r"cannot tell: \w+ scores most, but is not told apart from \w+ \+\d", said)
    assert "times as many clusters" in said
    assert "无法判断：" in done.stdout


def limited(made, **changes):
    """The board with other facts of the contender that leads it."""
    said = json.loads((made[0] / "leaderboard.json").read_text("utf-8"))
    for card in said["contenders"]:
        card |= {"memory": 8e9}
        if card["contender"] == "second/lora":
            card |= changes
    for row in said["slices"][0]["standings"]:
        if row["contender"] == "second/lora" and "cost" in changes:
            row["cost"] = changes["cost"]
    said["slices"][0]["blind"]["score"] = 0.25
    return Board.model_validate(said)


def test_limits_leave_out_who_breaks_them_and_of_whom_it_is_not_known(made):
    for changes, limits, why in (
        ({"memory": 30e9}, Limits(memory=24e9), ("takes 30 GB", "占用 30 GB")),
        ({"memory": None}, Limits(memory=24e9), ("memory unknown", "显存未知")),
        ({"cost": 9.0}, Limits(cost=1), ("costs 9 CNY", "成本 9 CNY")),
        ({"cost": None}, Limits(cost=1), ("cost unknown", "成本未知")),
        ({"doubt": "run x is invalid", "doubt_zh": "运行 x 无效"}, Limits(), ("run x is invalid", "运行 x 无效")),
    ):
        found = choose(limited(made, **changes), limits)
        assert found.left_out == {"second/lora": why}
        assert found.contender == "first/lora"
    with pytest.raises(BadInput, match="costs are in CNY and USD"):
        choose(limited(made, currency="USD"), Limits(cost=1))


def test_who_does_not_beat_answering_blind_is_not_chosen(made):
    said = json.loads((made[0] / "leaderboard.json").read_text("utf-8"))
    said["slices"][0]["blind"]["score"] = 0.99
    found = choose(Board.model_validate(said), Limits())
    assert found.contender is None
    assert "not shown to beat answering blind (99.0)" in found.reason


def test_a_scenario_is_judged_on_its_own_tasks(made):
    said = json.loads((made[0] / "leaderboard.json").read_text("utf-8"))
    letters = next(part for part in said["slices"] if part["key"] == "letters")
    letters["blind"]["score"] = 0.25
    said["slices"].append(letters | {"kind": "scenario", "key": "compliance"})
    found = Board.model_validate(said)
    assert choose(found, Limits(scenario="compliance")).contender == "second/lora"
    with pytest.raises(BadInput, match="did you mean compliance"):
        choose(found, Limits(scenario="complianse"))


def test_scenarios_of_tasks_are_slices_and_can_be_chosen_on(tmp_path):
    rates = {"lora": {"letters": 0.3, "numbers": 0.95}, "newer": 0.6, "prompted": 0.3}
    made = finished(tmp_path, "name=tagged", rates=rates)
    for task, scenario in (("letters", "knowledge"), ("numbers", "extraction")):
        path = tmp_path / task / f"{task}.yaml"
        path.write_text(path.read_text().replace("headline: exact", f"headline: exact, scenario: {scenario}"))
    made.run.verdict.write_text(judge(made.recipe, made.run).model_dump_json(), "utf-8")
    for task in TASKS:
        shutil.rmtree(tmp_path / task)
    assert command(made.run.folder, "--out", tmp_path / "out").exit_code == 0
    found = board(tmp_path / "out")
    assert found.slice("scenario", "extraction").tasks == ("numbers",)
    assert found.slices[0].blind.guessed == ("letters", "numbers")
    assert "信息抽取" in (tmp_path / "out" / "leaderboard.html").read_text("utf-8")
    for scenario, name in (("extraction", "lora"), ("knowledge", "newer")):
        done = command(made.run.folder, "--choose", "--scenario", scenario)
        assert (done.exit_code, done.stdout.partition(":")[0]) == (0, name)


def test_answers_that_lm_eval_logged_stand_on_the_board_and_what_nobody_measured_is_unknown(tmp_path):
    made = theirs(tmp_path, "costs.gpu_hour=10")
    made.run.verdict.write_text(judge(made.recipe, made.run).model_dump_json(), "utf-8")
    assert command(made.run.folder, "--out", tmp_path / "out").exit_code == 0
    found = board(tmp_path / "out")
    card = found.card("newer")
    assert (card.cost, card.thinking, card.seconds, card.tokens_out) == (None,) * 4
    assert field(found).unknown == ("newer",)
    assert "| unknown | unknown | unknown | unknown |" in (tmp_path / "out" / "leaderboard.md").read_text("utf-8")
    assert "未知" in (tmp_path / "out" / "leaderboard.html").read_text("utf-8")
    assert "newer: cost unknown" in command(made.run.folder, "--choose", "--max-cost", 5).stdout


def test_limits_are_refused_where_they_mean_nothing(studies):
    for words, said in (
        (("--max-cost", "1"), "are limits of --choose"),
        (("--choose", "--max-memory", "24"), "--max-memory 24: no size"),
        (("--choose", "--scenario", "credit"), "--scenario credit: no task on this board is of it"),
    ):
        done = command(studies[0], *words)
        assert (done.exit_code, said in done.stderr) == (2, True)
    assert parse_memory("24GiB") == 24 * 2**30
