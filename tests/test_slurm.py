"""The job script for SLURM is run here: `srun` and `scontrol` stand in for two nodes, the rest is as on a cluster."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import leash
import pytest
import torch
from accelerate.commands.launch import launch_command_parser
from small_exam import HANGS
from small_lesson import LAUNCH, ROOT, facts, finish, manifest, place, start, words, write_lesson
from small_study import tuneworth

from eval.launch import Job, Machine, line
from eval.slurm import script
from finetune.mistakes import BadInput

torch.set_num_threads(1)
LESSON = {"tokens_per_step": 900, "dev": 0.2, "epochs": 12, "save_every": 500}
JOB = os.getpid() % 12_000  # its port, 20,000 beyond, is none that a system hands out
TWO = "launcher: torchrun\nprocesses: 2\nmachines: 2\n"
SRUN = """#!/bin/bash
# The command once on each node; a signal is handed on, and the highest status is that of the step.
while [[ $1 == --* ]]; do shift; done
tasks=()
trap 'kill -TERM "${tasks[@]}"' TERM
for node in $(seq 0 $((SLURM_NNODES - 1))); do SLURM_NODEID=$node SLURM_PROCID=$node "$@" & tasks+=($!); done
status=0
for task in "${tasks[@]}"; do
  while kill -0 "$task" 2>/dev/null; do wait "$task"; found=$?; done
  [ "$found" -gt "$status" ] && status=$found
done
exit "$status"
"""
SCONTROL = """#!/bin/bash
# What is queued again is ended, whole group; the signal may come in the middle of the next call.
[ "$1" = update ] && kill -TERM 0
echo "$@" >> scontrol.log
[ "$1" = requeue ] && kill -TERM 0
[ "$1 $2" = "show hostnames" ] && printf 'localhost\\nlocalhost\\n'
exit 0
"""


@pytest.fixture
def cluster(tmp_path):
    """cluster(script, nodes=2) -> the running batch job, in a process group of its own."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, text in (("srun", SRUN), ("scontrol", SCONTROL)):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)

    def sbatch(path: Path, nodes: int = 2, **keys: int) -> subprocess.Popen[str]:
        path_ = f"{tools}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        given = {"SLURM_JOB_NODELIST": "localhost", "SLURM_NNODES": str(nodes), "SLURM_JOB_ID": str(JOB)}
        env = os.environ | given | {"PATH": path_, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **keys}
        return subprocess.Popen(["bash", str(path)], cwd=tmp_path, env=env, start_new_session=True, **pipes)

    return sbatch


def printed(recipe: Path, *more: str) -> Path:
    done = tuneworth("train", recipe, "--contender", "lora", "--out", "runs", "--dry-run", "--launcher", "slurm", *more)
    assert done.returncode == 0, done.stderr
    path = recipe.parent / "job.sh"
    path.write_text(done.stdout)
    return path


@pytest.fixture
def lesson(tmp_path, tiny):
    (tmp_path / "two.yaml").write_text(TWO)
    return write_lesson(tmp_path, tiny("qwen2"), **LESSON, launch="two.yaml")


def test_a_job_at_its_time_limit_is_saved_queued_again_and_goes_on(cluster, lesson, tmp_path):
    path = printed(lesson)
    job = leash.started(cluster, path)  # on a leash, so that it is not done before the signal
    for text in job.stdout:
        if ": step 2/" in text:
            break
    job.send_signal(signal.SIGTERM)  # as `--signal=B:TERM@120` does: to the shell alone
    status, _, err = finish(job)
    assert status != 0
    assert "SIGTERM after step" in err
    assert (tmp_path / "scontrol.log").read_text().splitlines()[-1] == f"requeue {JOB}"
    assert len(list(place(lesson).checkpoints.glob("step-*"))) == 1  # save_every is past the end
    status, out, err = finish(cluster(path))
    assert status == 0, err
    assert "goes on after step" in out
    assert manifest(lesson).hardware.processes == 2
    assert facts(lesson).steps == facts(lesson).losses[-1][0]


def closed_for_an_hour() -> dict[str, str]:
    now = datetime.now(UTC)
    return {"from": f"{now + timedelta(hours=1):%H:%M}", "to": f"{now - timedelta(hours=1):%H:%M}", "tz": "UTC"}


def test_a_job_outside_of_its_hours_is_queued_again_for_their_beginning(cluster, tmp_path, tiny):
    """The note says when, whatever status a launcher makes of it; one of an earlier start counts for nothing."""
    hours = closed_for_an_hour()
    lesson = write_lesson(tmp_path, tiny("qwen2"), max_steps=2, window=hours)
    path, log = printed(lesson), tmp_path / "scontrol.log"
    status, _, err = finish(cluster(path, nodes=1))
    assert status != 0
    assert "paused: outside of train.window" in err
    queued, begin = log.read_text().splitlines()[-2:]
    assert queued == f"requeue {JOB}"
    job, _, seconds = begin.rpartition("=now+")
    assert job == f"update JobId={JOB} StartTime"
    assert 1800 < int(seconds) <= 3600
    note = tmp_path / "runs" / "lesson" / "lora" / "paused"
    assert note.is_file()
    log.unlink()
    lesson.write_text("question: cut off")
    status, _, err = finish(cluster(path, nodes=1))
    assert status != 0
    assert "train.window" not in err
    assert not any(line.startswith(("requeue", "update")) for line in log.read_text().splitlines())
    hours["from"], hours["to"] = hours["to"], hours["from"]
    write_lesson(tmp_path, tiny("qwen2"), max_steps=2, window=hours)
    status, _, err = finish(cluster(path, nodes=1))
    assert status == 0, err
    assert manifest(lesson).training.steps == 2


def test_a_note_that_ends_in_no_number_counts_for_nothing(cluster, tmp_path):
    note, path = tmp_path / "paused", tmp_path / "job.sh"
    (tmp_path / "tools" / "srun").write_text(f"#!/bin/bash\necho 'until 08:00' > {note}\nexit 75\n")
    path.write_text(script("x", [Job("train", Path("x.yaml"), "lora", 17, Path("runs"))], None, (), {"lora": note}))
    status, _, err = finish(cluster(path, nodes=1))
    assert (status, err) == (75, "")
    assert "requeue" not in (tmp_path / "scontrol.log").read_text()


def test_a_script_without_hours_names_no_note(lesson):
    assert "\npaused=" not in printed(lesson).read_text()


def test_bash_reads_the_script_whatever_the_names(tmp_path):
    job = Job("train", Path("it's/my recipe.yaml"), "lora $HOME", 17, Path("runs"), ("train.epochs=3",))
    for launch in (None, *sorted(map(str, LAUNCH.glob("*.yaml")))):
        text = script("a name", [job, job], launch, (), {"lora $HOME": Path("it's/lora $HOME/paused")})
        subprocess.run(["bash", "-n"], input=text, text=True, check=True)
        assert "paused='it'\"'\"'s/lora $HOME/paused'\nrun " in text
        run = next(each for each in text.splitlines() if each.startswith("run "))
        assert "'it'\"'\"'s/my recipe.yaml' --contender 'lora $HOME' --seed 17 --out runs --set train.epochs=3" in run


@pytest.mark.parametrize(
    ("name", "nodes", "devices"),
    [("ddp", 1, "gpus-per-node=8"), ("two_nodes", 2, "gpus-per-node=8"), ("cpu2.torchrun", 1, "cpus-per-task=2")],
)
def test_nodes_and_devices_are_those_of_the_launch_file(name, nodes, devices):
    text = script("x", [Job("train", Path("x.yaml"), "lora", 17, Path("runs"))], str(LAUNCH / f"{name}.yaml"))
    assert f"\n#SBATCH --nodes={nodes}\n#SBATCH --ntasks-per-node=1\n#SBATCH --{devices}\n" in text
    assert ('--main_process_ip "$MASTER_ADDR" --main_process_port "$MASTER_PORT"' in text) is (nodes > 1)


def test_accelerate_takes_the_line_of_several_machines():
    job = Job("train", Path("x.yaml"), "lora", 17, Path("runs"))
    found = line(job, str(LAUNCH / "two_nodes.yaml"), ("node1", "29511"))
    asked = launch_command_parser().parse_args(found[found.index("accelerate.commands.launch") + 1 :])
    assert (asked.main_process_ip, asked.main_process_port, asked.rdzv_backend) == ("node1", 29511, "c10d")
    assert (asked.module, asked.training_script) == (True, "finetune.train")
    plain = line(job, str(LAUNCH / "two_nodes.yaml"))
    assert "--main_process_ip" not in plain  # the file says where to meet


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TWO, "2 machines; print a job script: --dry-run --launcher slurm"),
        (TWO.replace("machines: 2", "machines: 3"), "2 processes cannot be shared out evenly over 3 machines"),
        (TWO.replace("machines: 2", "machines: two"), "2 processes on two machines; give two whole numbers"),
    ],
)
def test_machines_that_cannot_start_are_refused(tmp_path, text, said):
    (tmp_path / "odd.yaml").write_text(text)
    with pytest.raises(BadInput, match=said):
        line(Job("train", Path("x.yaml"), "lora", 17, Path("runs")), str(tmp_path / "odd.yaml"))


def test_one_process_has_one_machine():
    assert Machine.read(None) == Machine("", 1, 1, True, False)


def test_without_a_dry_run_nothing_is_printed(lesson):
    done = tuneworth("train", lesson, "--launcher", "slurm")
    assert done.returncode == 2
    assert "only --dry-run --launcher slurm" in done.stderr
    assert done.stdout == ""


@pytest.mark.slow
def test_processes_that_see_different_checkpoints_do_not_go_on(lesson, tmp_path):
    """What a run's folder on each machine's own disk comes to."""
    blind = (
        "import os\nfrom finetune.train.savepoint import Savepoints\nlatest = Savepoints.latest\n"
        "Savepoints.latest = lambda self, say: latest(self, say) if os.environ['RANK'] == '0' else None"
    )
    two = ["--set", f"train.launch={LAUNCH / 'cpu2.torchrun.yaml'}", "--set", "train.save_every=2"]
    running = leash.started(start, words(lesson, "lora", *two), processes=2)
    for text in running.stdout:
        if "step 4 saved" in text:
            break
    running.terminate()
    running.communicate(timeout=HANGS)
    status, _, err = finish(start(words(lesson, "lora", *two), processes=2, code=blind))
    assert status == 1
    assert "the processes see different checkpoints there (steps " in err
