"""Two runs never write in one folder: the second gets one line, and a kill gives the folder back."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from small_exam import model, run_line, score_line, write_exam, write_recipe
from small_lesson import ROOT, finish, place, start, words, write_lesson

from finetune.lock import held
from finetune.mistakes import BadInput

HOLD = "import sys, time; from pathlib import Path; from finetune.lock import held\n"
HOLD += "with held([Path(sys.argv[1])]): print('held', flush=True); time.sleep(120)"


@pytest.fixture
def holder(tmp_path):
    """(folder, a process that holds it)"""
    folder = tmp_path / "runs" / "study" / "old" / "seed-0"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield folder, process
        process.kill()


def test_the_second_hears_who_is_there_and_a_kill_gives_the_folder_back(holder):
    folder, process = holder
    with pytest.raises(
        BadInput, match=rf"seed-0: another run is at work here \(pid {process.pid} on .+, since \d{{4}}-"
    ):
        held([folder]).__enter__()
    with held([folder.parent / "seed-1"]):
        pass  # another seed is free
    process.kill()
    process.wait()
    with held([folder]):
        assert f"pid {os.getpid()} " in (folder / ".lock").read_text("utf-8")
    assert list(folder.iterdir()) == []


def test_a_hold_that_wrote_nothing_leaves_nothing(tmp_path):
    folder = tmp_path / "runs/study/old/seed-0"
    with held([folder, folder.with_name("seed-1")]):
        assert folder.is_dir()
    assert not (tmp_path / "runs").exists()
    with held([folder]):
        (folder / "train.json").write_text("{}")
    assert [path.name for path in folder.iterdir()] == ["train.json"]


def test_the_first_gives_all_back_where_the_second_folder_is_taken(holder, tmp_path):
    folder, _ = holder
    free = folder.with_name("seed-1")
    with pytest.raises(BadInput):
        held([free, folder]).__enter__()
    assert not free.exists()
    assert (folder / ".lock").is_file()


@pytest.mark.parametrize("processes", [1, 2])
def test_training_refuses_a_folder_at_work(tmp_path, tiny, processes):
    """Of several processes the first one asks; its launcher ends the others."""
    recipe = write_lesson(tmp_path, tiny("qwen2"))
    with held([place(recipe).folder]):
        status, _, said = finish(start(words(recipe), processes=processes))
    assert status == (2 if processes == 1 else 1)
    assert len(re.findall("another run is at work here", said)) == 1, said
    assert not (tmp_path / "runs").exists()


def test_scoring_refuses_a_folder_at_work_and_another_contender_goes_on(tmp_path, tiny):
    old, newer = model(tiny("qwen2"), "r1_distill_qwen"), model(tiny("qwen3"), "qwen3")
    recipe, out = write_recipe(tmp_path / "r.yaml", write_exam(tmp_path / "exam", 6), old, newer), tmp_path / "runs"
    with held([out / "r/old/seed-0"]):
        done = run_line(score_line(recipe, out, "old"))
        assert (done.returncode, done.stdout) == (2, "")
        assert re.fullmatch(r"tuneworth: [^\n]+another run is at work here [^\n]+\n", done.stderr)
        assert run_line(score_line(recipe, out, "newer")).returncode == 0
    assert [path.name for path in (out / "r").iterdir() if path.is_dir()] == ["newer"]
    kept = {"items.jsonl", "items.parquet", "score.json"}
    assert {path.name for path in (out / "r/newer/seed-0").iterdir()} == kept
