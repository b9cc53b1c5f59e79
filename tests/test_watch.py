"""The watchdog: a process that stops answering is named with what it was at, and slow is not hung."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest
import torch
from small_exam import HANGS
from small_lesson import LAUNCH, ROOT, place, start, words, write_lesson

torch.set_num_threads(1)
HOST = os.uname().nodename
TWO = ["--set", f"train.launch={LAUNCH / 'cpu2.torchrun.yaml'}"]
STOPS = (  # the second process stops in step 5, as on a machine that has died
    "import json, os, signal, time\nfrom pathlib import Path\nfrom finetune.train import watch\n"
    "from finetune.train.loop import Loop\n"
    "take, stops, watch.BEAT = Loop._gradient, Path('stops'), 0.5\n"
    "def gradient(self, *batch):\n"
    "    if self.progress.step == 4 and os.environ['RANK'] == '1':\n"
    "        told = {'phase': ''}\n"
    "        while told['phase'] != 'step 5' or told['idle'] > 1:  # all know where it is, and that it has just come\n"
    "            self.watch.note('step 5')\n"
    "            time.sleep(0.1)\n"
    "            told = json.loads(self.watch._path(1).read_text())\n"
    "        print('pid', os.getpid(), flush=True)\n"
    "        stops.touch()\n"
    "        os.kill(os.getpid(), signal.SIGSTOP)\n"
    "    while self.progress.step == 4 and not stops.exists():\n"
    "        time.sleep(0.1)\n"
    "    if self.progress.step == 4:\n"
    "        self.watch.limit = 8.0  # seconds, from here on, when nothing moves but by the machine's fault\n"
    "    return take(self, *batch)\n"
    "Loop._gradient = gradient"
)


def first(lines, begin):
    passed = []
    for line in lines:
        passed.append(line)
        if line.startswith(begin):
            return line
    raise AssertionError("".join(passed))


def test_a_process_that_stops_is_named(tmp_path, tiny):
    lesson = {"tokens_per_step": 900, "dev": 0.2, "epochs": 4, "save_every": 2, "hang_minutes": 30}
    recipe = write_lesson(tmp_path, tiny("qwen2"), **lesson)
    running = start(words(recipe, "lora", *TWO), processes=2, code=STOPS)
    with running.stdout, running.stderr:
        stopped = int(first(running.stdout, "pid").split()[1])
        line = first(running.stderr, "tuneworth")
        os.kill(stopped, signal.SIGKILL)  # as torchrun will, when it has waited for it to heed SIGTERM
        running.wait(timeout=HANGS)
    assert line.startswith("tuneworth: no process has moved for 8 seconds (train.hang_minutes): process 1 on")
    assert f"process 1 on {HOST} was last heard of " in line
    assert f" ago in step 5; process 0 on {HOST} waits for the others in step 5. The run is ended" in line
    assert running.returncode == 1
    assert place(recipe).trained() is None
    assert (place(recipe).checkpoints / "step-000004" / "state.json").is_file()


BOTH = """
import sys, threading, time
from pathlib import Path
from finetune.train.watch import Watch

LIMIT = {limit}  # seconds
with Watch(Path(sys.argv[1]), 0, 2, LIMIT / 60) as one:
    one.note("step 3", waits=True)
    {peer}
"""
NEVER = "threading.Event().wait()"


@pytest.fixture
def watched(tmp_path):
    """watched(what the peer does, what is to come) -> (exit status, standard error) of a process that waits for it.

    A machine that stands still for longer than the limit is rightly called hung, and shows nothing: then the limit, by
    which the peer goes too, is four times as long.
    """

    def run(peer, right):
        for limit in (1, 4, 16, 64):
            folder = tmp_path / "phases"
            body = [sys.executable, "-c", BOTH.format(peer=peer, limit=limit), str(folder)]
            done = subprocess.run(body, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
            if right(done.returncode, done.stderr):
                break
        return done.returncode, done.stderr

    return run


def test_slow_is_not_hung(watched, tmp_path):
    peer = (
        "with Watch(Path(sys.argv[1]), 1, 2, LIMIT / 60) as other:\n"
        "        for step in range(12):\n"
        "            other.note('step 3')\n"
        "            time.sleep(LIMIT / 4)\n"
        "        one.note('step 4')  # both go on together"
    )
    assert watched(peer, lambda *found: found == (0, "")) == (0, "")
    assert not (tmp_path / "phases").exists()


def test_whoever_does_not_wait_is_named_first(watched):
    peer = f"Watch(Path(sys.argv[1]), 1, 2, LIMIT * 0.06).__enter__().note('saving step 2'); {NEVER}"
    told = f"process 1 on {HOST} is in saving step 2; process 0 on {HOST} waits for the others in step 3"
    status, err = watched(peer, lambda _, err: told in err)
    assert status == 1
    assert told in err
    assert len(err.splitlines()) == 1


def test_a_process_that_never_came_is_not_taken_for_that_of_an_earlier_start(watched, tmp_path):
    (tmp_path / "phases").mkdir()
    left = tmp_path / "phases" / "1.json"
    left.write_text('{"phase": "step 99", "waits": false, "idle": 0, "host": "old"}')
    os.utime(left, (1, 1))
    status, err = watched(NEVER, lambda *_: True)
    assert status == 1
    assert re.search(r"process 1 on an unknown machine was last heard of \d+ seconds ago in no known phase", err)
