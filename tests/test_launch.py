"""The lines that the front door spells: right words, right order, and they work as typed."""

import shlex
import sys
from pathlib import Path

import pytest

from eval.launch import Job, line, spell, start
from finetune.mistakes import BadInput

LAUNCH = Path(__file__).parent.parent / "recipes" / "launch"
JOB = Job("train", Path("recipes/x.yaml"), "lora", 17, Path("runs"), ("train.epochs=3",))


def test_one_process_is_plain_python():
    words = shlex.split(spell(line(JOB, None)))
    assert words[:4] == ["python", "-m", "finetune.train", "recipes/x.yaml"]
    assert words[4:] == ["--contender", "lora", "--seed", "17", "--out", "runs", "--set", "train.epochs=3"]


def test_an_accelerate_config_becomes_accelerate_launch():
    path = str(LAUNCH / "ddp.yaml")
    assert spell(line(JOB, path)).startswith(f"accelerate launch --config_file {path} -m finetune.train recipes/x.yaml")


def test_two_cpu_processes_go_through_torchrun():
    assert spell(line(JOB, str(LAUNCH / "cpu2.torchrun.yaml"))).startswith(
        "torchrun --standalone --nproc_per_node=2 -m finetune.train"
    )


@pytest.mark.parametrize(
    "text", ["launcher: mpirun\nprocesses: 2\n", "launcher: torchrun\n", "launcher: torchrun\nprocesses: 2\nx: 1\n"]
)
def test_another_file_of_our_own_is_refused(tmp_path, text):
    path = tmp_path / "odd.yaml"
    path.write_text(text)
    with pytest.raises(BadInput, match="odd.yaml"):
        line(JOB, str(path))


def test_the_status_of_a_line_comes_back():
    assert start([sys.executable, "-c", "raise SystemExit(7)"]) == 7
