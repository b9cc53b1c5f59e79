"""The watchdog: a process that stops answering is named with what it was at, and slow is not hung."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
import torch
from small_lesson import LAUNCH, ROOT, place, start, words, write_lesson

torch.set_num_threads(1)
HOST = os.uname().nodename
TWO = ["--set", f"train.launch={LAUNCH / 'cpu2.torchrun.yaml'}"]
STOPS = (  # the second process stops in step 5, as on a machine that has died
    "import os, signal, time\nfrom finetune.train.loop import Loop\ntake = Loop._gradient\n"
    "def gradient(self, *batch):\n"
    "    if self.progress.step == 4:\n"
    "        self.watch.limit = 5.0  # seconds; loading, above, takes longer on a busy machine\n"
    "    if self.progress.step == 4 and os.environ['RANK'] == '1':\n"
    "        self.watch.note('step 5')\n"
    "        while 'step 5' not in self.watch._path(1).read_text():\n"
    "            time.sleep(0.1)\n"
    "        print('pid', os.getpid(), flush=True)\n"
    "        os.kill(os.getpid(), signal.SIGSTOP)\n"
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
    lesson = {"tokens_per_step": 900, "dev": 0.2, "epochs": 4, "save_every": 2, "hang_minutes": 0.5}
    recipe = write_lesson(tmp_path, tiny("qwen2"), **lesson)
    running = start(words(recipe, "lora", *TWO), processes=2, code=STOPS)
    with running.stdout, running.stderr:
        stopped = int(first(running.stdout, "pid").split()[1])
        line = first(running.stderr, "tuneworth")
        os.kill(stopped, signal.SIGKILL)  # as torchrun will, when it has waited for it to heed SIGTERM
        running.wait(timeout=60)
    assert line.startswith("tuneworth: no process has moved for 5 seconds (train.hang_minutes): process 1 on")
    assert f"process 1 on {HOST} was last heard of " in line
    assert f" ago in step 5; process 0 on {HOST} waits for the others in step 5. The run is ended" in line
    assert running.returncode == 1
    assert place(recipe).trained() is None
    assert (place(recipe).checkpoints / "step-000004" / "state.json").is_file()


BOTH = """
import sys, time
from pathlib import Path
from finetune.train.watch import Watch

with Watch(Path(sys.argv[1]), 0, 2, 1 / 60) as one:
    one.note("step 3", waits=True)
    {peer}
"""


@pytest.fixture
def watched(tmp_path):
    """watched(what the peer does) -> (exit status, standard error) of a process that waits for it."""

    def run(peer):
        body = [sys.executable, "-c", BOTH.format(peer=peer), str(tmp_path / "phases")]
        done = subprocess.run(body, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
        return done.returncode, done.stderr

    return run


def test_slow_is_not_hung(watched, tmp_path):
    peer = (
        "with Watch(Path(sys.argv[1]), 1, 2, 1 / 60) as other:\n"
        "        for step in range(12):\n"
        "            other.note('step 3')\n"
        "            time.sleep(0.25)\n"
        "        one.note('step 4')  # both go on together"
    )
    assert watched(peer) == (0, "")
    assert not (tmp_path / "phases").exists()


def test_whoever_does_not_wait_is_named_first(watched):
    status, err = watched("Watch(Path(sys.argv[1]), 1, 2, 0.06).__enter__().note('saving step 2'); time.sleep(9)")
    assert status == 1
    assert f"process 1 on {HOST} is in saving step 2; process 0 on {HOST} waits for the others in step 3" in err
    assert len(err.splitlines()) == 1


def test_a_process_that_never_came_is_not_taken_for_that_of_an_earlier_start(watched, tmp_path):
    (tmp_path / "phases").mkdir()
    left = tmp_path / "phases" / "1.json"
    left.write_text('{"phase": "step 99", "waits": false, "idle": 0, "host": "old"}')
    os.utime(left, (1, 1))
    status, err = watched("time.sleep(9)")
    assert status == 1
    assert "process 1 on an unknown machine was last heard of 1 seconds ago in no known phase" in err
