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

import pytest
import torch
from small_exam import environment
from small_study import lines_started, settled, tuneworth, verdict, write_study

from finetune.run import RunDir

pytestmark = pytest.mark.slow
KILLS = 5
EXAM = {"tasks": ["./exam/own", "./exam/own_gen"], "samples": 4, "batch_tokens": 256}
TRAIN = {"epochs": 60, "max_steps": 200, "tokens_per_step": 512, "max_length": 256, "dev": 0.1, "save_every": 10}


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
    """Start a line; `pause` seconds after it has said `mark` (or after its start, without one) kill it."""
    with subprocess.Popen(
        words, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as running:
        if mark:
            said = next((line for line in running.stdout if mark in line), None)
            assert said, "it ended before it began to work"
        time.sleep(pause)
        os.killpg(running.pid, signal.SIGKILL)
        assert running.wait() == -signal.SIGKILL, "it had ended before it was killed"


def moments(seed: int, seconds: float) -> list[float]:
    """Random pauses that together stay within the work that there is, as an undisturbed run measured it."""
    drawn = random.Random(seed)
    return [drawn.random() * 0.8 * seconds / KILLS for _ in range(KILLS)]


def steps_seconds(out: Path) -> float:
    facts = RunDir(out / "study").seed("tuned", 17).trained().training
    return facts.raw_tokens / facts.raw_tokens_per_second


def test_killed_in_training_the_verdict_is_the_same(calm, tmp_path):
    recipe, quiet = calm
    words = line_of(recipe, tmp_path, "train", "tuned")
    kill(words, "", 1.0)
    for pause in moments(1, steps_seconds(quiet)):
        kill(words, " steps; ", pause)
    place = RunDir(tmp_path / "study").seed("tuned", 17)
    assert list(place.checkpoints.glob("step-*")), "nothing was kept that the next start could go on from"
    assert place.trained() is None
    done = tuneworth("run", recipe, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "step 1/200" not in done.stdout, "it began anew"
    assert settled(verdict(tmp_path)) == settled(verdict(quiet))
    kept, once = place.trained(), RunDir(quiet / "study").seed("tuned", 17).trained()
    assert kept.training.losses == once.training.losses
    assert kept.training.adapter_digest == once.training.adapter_digest


def test_killed_in_scoring_the_verdict_is_the_same(calm, tmp_path):
    recipe, quiet = calm
    tuned = RunDir(quiet / "study").seed("tuned", 17)
    shutil.copytree(tuned.adapter, RunDir(tmp_path / "study").seed("tuned", 17).adapter)
    shutil.copy(tuned.train_manifest, RunDir(tmp_path / "study").seed("tuned", 17).train_manifest)
    words = line_of(recipe, tmp_path, "score", "tuned")
    kill(words, "", 1.0)
    for pause in moments(2, tuned.scored().device_seconds):
        kill(words, " answers to go", pause)
    place = RunDir(tmp_path / "study").seed("tuned", 17)
    rows = sum(path.read_bytes().count(b"\n") for path in place.folder.glob("items*.jsonl"))
    assert 0 < rows < 240
    assert place.scored() is None
    done = tuneworth("run", recipe, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"{240 - rows} of 240 answers to go" in done.stdout
    assert settled(verdict(tmp_path)) == settled(verdict(quiet))


def test_the_front_door_killed_with_all_it_started(calm, tmp_path):
    recipe, quiet = calm
    words = [sys.executable, "-m", "eval.cli", "run", str(recipe), "--out", str(tmp_path)]
    for mark in ("train tuned seed 17: step 50/", "score tuned seed 17: 240 of 240", "eval.score"):
        kill(words, mark, 0.3)
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


def test_a_full_disk_in_scoring_loses_nothing(calm, disk):
    recipe, quiet = calm
    assert tuneworth("train", recipe, "--out", disk).returncode == 0
    words = line_of(recipe, disk, "score", "old")
    leave(disk, 70_000)
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, check=False)
    assert "no space left" in complaint(done).lower()
    rows = (disk / "study/old/seed-0/items.rank-0.jsonl").read_bytes().count(b"\n")
    assert rows > 20
    assert not list(disk.rglob(".*.json*")), "a temporary file was left"
    (disk / "ballast").unlink()
    done = tuneworth("run", recipe, "--out", disk)
    assert done.returncode == 0, done.stderr
    assert f"{240 - rows} of 240 answers to go" in done.stdout
    assert settled(verdict(disk)) == settled(verdict(quiet))


def test_a_full_disk_in_training_loses_nothing(calm, disk):
    recipe, quiet = calm
    words = line_of(recipe, disk, "train", "tuned")
    leave(disk, 500_000)
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, check=False)
    assert "no space left" in complaint(done).lower()
    (disk / "ballast").unlink()
    done = tuneworth("run", recipe, "--out", disk)
    assert done.returncode == 0, done.stderr
    assert settled(verdict(disk)) == settled(verdict(quiet))


@pytest.mark.parametrize("command", ["judge", "report", "run"])
def test_a_full_disk_in_judging_keeps_what_stands_there(calm, disk, command):
    recipe, quiet = calm
    shutil.copytree(quiet / "study", disk / "study")
    before = (disk / "study/verdict.json").read_bytes(), (disk / "study/report.html").read_bytes()
    leave(disk, 4096)
    assert "no space left" in complaint(tuneworth(command, recipe, "--out", disk)).lower()
    assert ((disk / "study/verdict.json").read_bytes(), (disk / "study/report.html").read_bytes()) == before
    (disk / "ballast").unlink()
    assert tuneworth("run", recipe, "--out", disk).returncode == 0
    assert verdict(disk) == verdict(quiet)


def test_a_full_disk_before_anything_is_written(calm, disk):
    """Not even the plan fits; and a plan whose note in attempts.jsonl was torn is no stumbling block later."""
    recipe, quiet = calm
    leave(disk, 4096)
    assert "no space left" in complaint(tuneworth("run", recipe, "--out", disk)).lower()
    (disk / "ballast").unlink()
    done = tuneworth("run", recipe, "--out", disk)
    assert done.returncode == 0, done.stderr
    assert settled(verdict(disk)) == settled(verdict(quiet))
