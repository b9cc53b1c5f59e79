"""Scoring killed at any moment, by SIGKILL, and started again, ends with the rows of an undisturbed run."""

from __future__ import annotations

import errno
import random
import signal
import subprocess
import time
from pathlib import Path

import forked
import psutil
import pytest
import torch
from conftest import build_checkpoint
from forked import Hold
from small_exam import environment, model, run_line, score_line, write_exam, write_recipe

from eval import items
from eval.score import __main__ as score

SAMPLED = {"temperature": 1.5, "max_new_tokens": 12}
KILLS = 20


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Recipe of many small batches, and the rows of an undisturbed run."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("faults")
    exam, checkpoint = write_exam(folder / "exam", count=120), build_checkpoint(folder / "old", "qwen2")
    old = model(checkpoint, "r1_distill_qwen", decoding=SAMPLED)
    recipe = write_recipe(folder / "r.yaml", exam, old, old, samples=4, batch_tokens=64)
    done = run_line(score_line(recipe, folder / "calm", "old"))
    assert done.returncode == 0, done.stderr
    return recipe, stable(folder / "calm")


def stable(out: Path) -> list[dict]:
    """Rows without what a machine decides; log-likelihoods to five digits."""
    rows = items.read(out / "r/old/seed-0/items.jsonl")
    left_out = {"seconds", "rank", "loglikelihoods"}
    return [r.model_dump(exclude=left_out) | {"ll": [round(v, 3) for v in r.loglikelihoods]} for r in rows]


HELD = """import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import forked
from eval.score.__main__ import main
forked.Hold(forked.ROWS, forked.answered, Path({folder!r}), {most}).take()
sys.exit(main())
"""


def start_and_kill(words: list[str], out: Path, rows: int, pause: float) -> None:
    """Start a line; kill it and all that it started once so many more rows stand there. A few more and it stands."""
    folder, quiet = out / "r/old/seed-0", subprocess.DEVNULL
    wanted, script, room = forked.answered(folder) + rows, out / "held.py", words.index("eval.score")
    script.write_text(HELD.format(tests=str(Path(__file__).parent), folder=str(folder), most=wanted + 10), "utf-8")
    line = [*words[: room - 1], str(script), *words[room + 1 :]]
    with subprocess.Popen(line, env=environment(), stdout=quiet, stderr=quiet) as running:
        while running.poll() is None and forked.answered(folder) < wanted:
            time.sleep(0.002)
        time.sleep(pause)
        assert running.poll() is None, "it had ended before it was killed"
        first = psutil.Process(running.pid)
        for process in (*first.children(recursive=True), first):
            process.kill()


@pytest.mark.slow
def test_twenty_kills_at_random_moments_change_nothing(study, tmp_path):
    """Most once the log has grown by some lines, every fifth at any moment from the start on, before the log too; the
    last as the files are merged."""
    recipe, calm = study
    drawn, standing, folder = random.Random(11), [0], tmp_path / "r/old/seed-0"
    asked = [str(recipe), "--contender", "old", "--out", str(tmp_path)]
    for number in range(KILLS):
        last, any_moment = number == KILLS - 1, number % 5 == 4
        wanted = len(calm) if last else standing[-1] + (0 if any_moment else drawn.randint(1, 4))
        hold = Hold(forked.ROWS, forked.answered, folder, wanted + (20 if any_moment else 5))
        with forked.started("eval.score", asked, tmp_path / "said.log", None if last else hold) as running:
            while running.is_alive() and forked.answered(folder) < wanted:
                time.sleep(0.001)
            time.sleep(0 if last else drawn.random() * (1.5 if any_moment else 0.02))
            running.kill()
            running.join()
            assert last or running.exitcode == -signal.SIGKILL, "it had ended before it was killed"
        standing.append(forked.answered(folder))
    assert standing == sorted(standing)
    assert len(set(standing)) > KILLS / 2, "most kills fell into the scoring itself"
    assert score.main(asked) == 0
    assert stable(tmp_path) == calm
    assert not list(tmp_path.rglob("items.rank-*"))
    assert not list(tmp_path.rglob(".items*"))


@pytest.mark.slow
def test_a_kill_between_worlds_of_unlike_size_changes_nothing(study, tmp_path):
    """Two processes are killed, one goes on and is killed, two finish."""
    recipe, calm = study
    (tmp_path / "two.yaml").write_text("launcher: torchrun\nprocesses: 2\n", "utf-8")
    two = score_line(recipe, tmp_path, "old", "--set", f"exam.launch={tmp_path}/two.yaml", processes=2)
    start_and_kill(two, tmp_path, 30, 0.01)
    start_and_kill(score_line(recipe, tmp_path, "old"), tmp_path, 20, 0.01)
    done = run_line(two)
    assert done.returncode == 0, done.stderr
    assert stable(tmp_path) == calm


def test_a_full_disk_keeps_what_was_scored(study, tmp_path, monkeypatch, capsys):
    """The third batch finds no room: one line, status 2, and the next start goes on after the second."""
    recipe, calm = study
    written, append = [], items.append

    def fill(path: Path, rows: list[items.ItemScore], *, private: bool) -> None:
        if len(written) == 2:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        written.append(len(rows))
        append(path, rows, private=private)

    monkeypatch.setattr(items, "append", fill)
    asked = [str(recipe), "--contender", "old", "--out", str(tmp_path)]
    assert score.main(asked) == 2
    assert "no space left on the device; what was scored is kept" in capsys.readouterr().err
    monkeypatch.undo()
    assert score.main(asked) == 0
    assert f"{len(calm) - sum(written)} of {len(calm)} answers to go" in capsys.readouterr().out
    assert stable(tmp_path) == calm


@pytest.mark.parametrize("fault", ["cut", "torn", "doubled"])
def test_a_finished_log_that_is_not_what_its_scoring_left_is_mended(study, tmp_path, capsys, fault):
    """As half a copy, a full disk or a hand leaves it: only what is gone is asked, and nothing stands twice."""
    recipe, calm = study
    asked = [str(recipe), "--contender", "old", "--out", str(tmp_path)]
    assert score.main(asked) == 0
    log = tmp_path / "r/old/seed-0/items.jsonl"
    whole = log.read_bytes()
    lines = whole.splitlines(keepends=True)
    log.write_bytes({"cut": b"".join(lines[:-7]), "torn": whole[:-40], "doubled": whole + lines[3]}[fault])
    capsys.readouterr()
    assert score.main(asked) == 0
    gone = {"cut": 7, "torn": 1, "doubled": 0}[fault]
    assert f"{gone} of {len(calm)} answers to go" in capsys.readouterr().out
    assert stable(tmp_path) == calm
    assert score.main(asked) == 0
    assert "done, unchanged" in capsys.readouterr().out


def test_a_broken_line_that_no_kill_explains_is_refused_by_its_number(study, tmp_path, capsys):
    recipe, _ = study
    place = tmp_path / "r/old/seed-0"
    place.mkdir(parents=True)
    (place / "items.rank-0.jsonl").write_text('{"contender": "old"}\n{}\n', "utf-8")
    assert score.main([str(recipe), "--contender", "old", "--out", str(tmp_path)]) == 2
    assert "items.rank-0.jsonl:1: not an item score" in capsys.readouterr().err
