"""What is handed on names a model by its folder, and groups large counts; paths of this machine stay."""

from __future__ import annotations

import re

import pytest
from judged_run import finished
from small_study import tuneworth

from eval.gates.identity import same_questions
from eval.verdict import Verdict
from finetune.checkpoint import name_of


@pytest.mark.parametrize(
    ("model", "named"),
    [
        ("/data/models/our-base", "our-base"), ("../our-base/", "our-base"), ("./old", "old"),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B"),
        ("embedded:older", "embedded:older"), ("", ""),
    ],
)  # fmt: skip
def test_a_folder_is_named_without_what_leads_to_it(model, named):
    assert name_of(model) == named


def test_no_path_of_this_machine_is_handed_on(tmp_path):
    """Models are folders here, named by their whole path in the recipe of record alone."""
    run = finished(tmp_path)
    words = [tmp_path / "study.yaml", "--out", tmp_path / "runs"]
    assert tuneworth("judge", *words, "--junit", tmp_path / "junit.xml").returncode == 0
    assert tuneworth("report", *words).returncode == 0
    board = tuneworth("leaderboard", run.run.folder, "--out", tmp_path / "board")
    assert board.returncode == 0, board.stderr
    left = [tmp_path / "junit.xml", *(path for path in (tmp_path / "board").iterdir() if path.is_file())]
    left += [run.run.folder / name for name in ("verdict.json", "verdict.md", "report.html")]
    assert {path.suffix for path in left} >= {".xml", ".html", ".json", ".md", ".csv"}
    for path in left:
        assert str(tmp_path) not in path.read_text("utf-8"), path.name
    assert str(tmp_path) in run.run.plan.read_text("utf-8")
    found = Verdict.read(run.run.folder / "verdict.json")
    assert {row.name: row.model for row in found.contenders}["newer"] == "newer"
    html = (run.run.folder / "report.html").read_text("utf-8")
    assert re.search(r"newer<small>.*newer", html)
    assert tuneworth("verify", run.run.folder).returncode == 0


def test_counts_of_questions_are_grouped(tmp_path):
    asked = {("letters", str(number)): None for number in range(1500)}
    told = same_questions([], asked)
    assert (told.reason, told.reason_zh) == ("1,500 questions, the same for all", "所有方案回答相同的 1,500 道题")
