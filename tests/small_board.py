"""Two judged runs of one exam and their board, for the tests of the leaderboard; written by hand."""

from __future__ import annotations

import pytest
from judged_run import finished
from typer.testing import CliRunner

from eval.cli import app
from eval.leaderboard import Board
from eval.verdict import judge


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """Two judged runs of the same exam: `first`, and `second` with a better lora."""
    folder = tmp_path_factory.mktemp("board")
    first = written(folder, "name=first", "costs.gpu_hour=10", rates={"lora": 0.7})
    second = written(folder, "name=second", "costs.gpu_hour=10", rates={"lora": 0.98, "newer": 0.55})
    return [first.run.folder, second.run.folder]


def written(folder, *changes, **terms):
    made = finished(folder, *changes, **terms)
    made.run.verdict.write_text(judge(made.recipe, made.run).model_dump_json(), "utf-8")
    return made


def command(*words):
    return CliRunner().invoke(app, ["leaderboard", *map(str, words)])


def board(out) -> Board:
    return Board.model_validate_json((out / "leaderboard.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def made(studies, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    done = command(*studies, "--out", out)
    assert done.exit_code == 0, done.output
    return out, done.output
