"""Blows from outside: killed in training and scoring at random moments, or out of disk, the verdict stays the same."""

from __future__ import annotations

import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import forked
import leash
import pytest
import torch
from forked import Hold
from small_exam import environment
from small_study import begun, lines_started, settled, tuneworth, verdict, write_study

from finetune.run import RunDir

pytestmark = pytest.mark.slow
EXAM = {"tasks": ["./exam/own", "./exam/own_gen"], "samples": 4, "batch_tokens": 256}
TRAIN = {"epochs": 30, "max_steps": 100, "tokens_per_step": 512, "max_length": 256, "dev": 0.1, "save_every": 5}


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """(recipe, folder of runs) of an undisturbed run."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("faults")
    recipe = write_study(folder, exam=EXAM, train=TRAIN)
    done = tuneworth("run", recipe, "--out", folder / "calm")
    assert done.returncode == 0, done.stderr
    return recipe, folder / "calm"


def line_of(recipe: Path, out: Path, command: str, contender: str) -> list[str]:
    """The engine room's line as the front door spells it, ready to be started here."""
    (line,) = lines_started(tuneworth(command, recipe, "--out", out, "--contender", contender, "--dry-run").stdout)
    return [sys.executable, *shlex.split(line)[1:]]


def kill(words: list[str], mark: str, pause: float) -> None:
    """Start a line; `pause` seconds after it has said `mark` (or after its start, without one) kill it.

    It is on a leash: however fast it is, it has not ended by then.
    """
    keys = {"env": environment(), "stderr": subprocess.STDOUT, "text": True, "start_new_session": True}
    with leash.started(subprocess.Popen, words, **keys) as running:
        if mark:
            said = next((line for line in running.stdout if mark in line), None)
            assert said, "it ended before it began to work"
        time.sleep(pause)
        os.killpg(running.pid, signal.SIGKILL)
        assert running.wait() == -signal.SIGKILL, "it had ended before it was killed"


def kill_forked(words: list[str], log: Path, due: int, pause: float, hold: Hold) -> None:
    """The same line again, with its libraries at hand; it is killed `pause` seconds after what is `due` has come."""
    with forked.started(words[2], words[3:], log, hold) as running:
        while hold.count(hold.path) < due:
            assert running.is_alive(), "it ended before it was to be killed"
            time.sleep(0.002)
        time.sleep(pause)
        running.kill()
        running.join()
        assert running.exitcode == -signal.SIGKILL, "it had ended before it was killed"


def test_killed_in_training_the_verdict_is_the_same(calm, tmp_path):
    recipe, quiet = calm
    place = begun(quiet, tmp_path, "tuned").seed("tuned", 17)
    words = line_of(recipe, tmp_path, "train", "tuned")
    kill(words, "", 1.0)
    drawn = random.Random(1)
    for step in (5, 25, 45, 60, 80):  # by what it has done, whatever its pace; each start goes on behind the last
        log, due = tmp_path / f"{step}.log", step + drawn.choice((0, 5))
        kill_forked(words, log, due, drawn.random() / 20, Hold(forked.STEPS, forked.stepped, log, due + 5))
    assert list(place.checkpoints.glob("step-*")), "nothing was kept that the next start could go on from"
    assert place.trained() is None
    done = tuneworth("run", recipe, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "step 1/100" not in done.stdout, "it began anew"
    assert settled(verdict(tmp_path)) == settled(verdict(quiet))
    kept, once = place.trained(), RunDir(quiet / "study").seed("tuned", 17).trained()
    assert kept.training.losses == once.training.losses
    assert kept.training.adapter_digest == once.training.adapter_digest


def test_what_is_forked_has_the_environment_of_its_start_and_one_thread(tmp_path, monkeypatch):
    (tmp_path / "seen").mkdir()
    (tmp_path / "seen" / "__main__.py").write_text(
        "import os, torch\ndef main(argv):\n    print(os.environ.get(argv[0]), torch.get_num_threads())\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for value in ("one", "two"):
        monkeypatch.setenv("TUNEWORTH_SEEN", value)
        with forked.started("seen", ["TUNEWORTH_SEEN"], tmp_path / "log") as running:
            running.join()
        assert (tmp_path / "log").read_text("utf-8") == f"{value} 1\n"


def test_killed_in_scoring_the_verdict_is_the_same(calm, tmp_path):
    recipe, quiet = calm
    tuned = RunDir(quiet / "study").seed("tuned", 17)
    place = begun(quiet, tmp_path, "tuned").seed("tuned", 17)
    shutil.copytree(tuned.adapter, place.adapter)
    shutil.copy(tuned.train_manifest, place.train_manifest)
    words = line_of(recipe, tmp_path, "score", "tuned")
    kill(words, "", 1.0)
    drawn = random.Random(2)
    for count in (1, 40, 80, 120, 160):
        count += drawn.randrange(30)
        hold = Hold(forked.ROWS, forked.answered, place.folder, count + 12)
        kill_forked(words, tmp_path / "log", count, drawn.random() / 50, hold)
    rows = forked.answered(place.folder)
    assert 0 < rows < 240
    assert place.scored() is None
    done = tuneworth("run", recipe, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"{240 - rows} of 240 answers to go" in done.stdout
    assert settled(verdict(tmp_path)) == settled(verdict(quiet))


def test_the_front_door_killed_with_all_it_started(calm, tmp_path):
    recipe, quiet = calm
    place = begun(quiet, tmp_path, "old", "tuned")
    words = [sys.executable, "-m", "eval.cli", "run", str(recipe), "--out", str(tmp_path)]
    kill(words, "train tuned seed 17: step 50/", 0.3)
    kill(words, "score tuned seed 17: 240 of 240", 0.1)
    shutil.rmtree(place.seed("framed", 0).folder)  # there is something to score then, however far the blow let it come
    kill(words, "eval.score", 0.3)
    done = tuneworth("run", recipe, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert settled(verdict(tmp_path)) == settled(verdict(quiet))


@pytest.fixture
def disk(tmp_path):
    """A disk of 4 MB; `leave(n)` fills all of it but n bytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {made.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def leave(disk: Path, free: int) -> None:
    """Fill the disk but for `free` bytes, rounded to its blocks."""
    (disk / "ballast").unlink(missing_ok=True)
    state = os.statvfs(disk)
    size = state.f_bavail * state.f_frsize - free
    (disk / "ballast").write_bytes(b"\0" * size)


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """What a line said when it ran out of disk: one line, status 2."""
    assert done.returncode == 2, done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("tuneworth")]
    assert done.stderr.splitlines() == said
    assert len(said) == 1, said
    return said[0]


def ended(words: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, env=environment(), capture_output=True, text=True, check=False)


def test_a_disk_full_at_every_stage_of_a_run_loses_nothing(calm, disk):
    """Not even the plan fits, then no checkpoint, then no answers; each time the next start goes on.

    A plan whose note in attempts.jsonl was torn is no stumbling block later.
    """
    recipe, quiet = calm
    leave(disk, 4096)
    assert "no space left" in complaint(tuneworth("run", recipe, "--out", disk)).lower()

    leave(disk, 500_000)
    assert "no space left" in complaint(ended(line_of(recipe, disk, "train", "tuned"))).lower()
    (disk / "ballast").unlink()
    assert tuneworth("train", recipe, "--out", disk).returncode == 0

    leave(disk, 70_000)
    assert "no space left" in complaint(ended(line_of(recipe, disk, "score", "old"))).lower()
    rows = (disk / "study/old/seed-0/items.rank-0.jsonl").read_bytes().count(b"\n")
    assert rows > 20
    assert not list(disk.rglob(".*.json*")), "a temporary file was left"
    (disk / "ballast").unlink()
    done = tuneworth("run", recipe, "--out", disk)
    assert done.returncode == 0, done.stderr
    assert f"{240 - rows} of 240 answers to go" in done.stdout
    assert settled(verdict(disk)) == settled(verdict(quiet))


def test_a_full_disk_in_judging_keeps_what_stands_there(calm, disk):
    recipe, quiet = calm
    shutil.copytree(quiet / "study", disk / "study")
    before = (disk / "study/verdict.json").read_bytes(), (disk / "study/report.html").read_bytes()
    leave(disk, 4096)
    for command in ("judge", "report", "run"):
        assert "no space left" in complaint(tuneworth(command, recipe, "--out", disk)).lower()
        assert ((disk / "study/verdict.json").read_bytes(), (disk / "study/report.html").read_bytes()) == before
    (disk / "ballast").unlink()
    assert tuneworth("run", recipe, "--out", disk).returncode == 0
    assert verdict(disk) == verdict(quiet)
