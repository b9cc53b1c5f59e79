"""Spells the lines that start the engine rooms; runs or prints them. A person can paste what stands here.

A launch file is an accelerate config (`accelerate launch --config_file ...`), or, since accelerate starts one CPU
process whatever it is asked, a file of our own: `launcher: torchrun`, `processes: 2` (and `machines: 2`).
"""

import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from finetune.mistakes import BadInput
from finetune.recipe import read_yaml

Stage = Literal["train", "score", "export"]
ROOMS: dict[Stage, str] = {"train": "finetune.train", "score": "eval.score", "export": "finetune.export"}
# Threads that spin while they wait make small products several times slower as soon as another program runs.
KIND = {"OMP_WAIT_POLICY": "PASSIVE"}
# torchrun kills what has not ended so many seconds after SIGTERM; 30 by itself, too few for a long step and its save.
PATIENT = {"TORCH_ELASTIC_SHUTDOWN_TIMEOUT": "600"}
OURS = {"processes", "machines"}  # keys of a launch file of our own, beside `launcher`
SHOWN = {"torch.distributed.run": "torchrun", "accelerate.commands.launch": "accelerate launch"}


@dataclass(frozen=True)
class Job:
    """One stage of one contender and seed, of a recipe as the user gave it."""

    stage: Stage
    recipe: Path
    contender: str
    seed: int | None  # None: the only one that there is
    out: Path
    changes: tuple[str, ...] = ()

    @property
    def words(self) -> list[str]:
        named = ["-m", ROOMS[self.stage], str(self.recipe), "--contender", self.contender]
        named += [] if self.seed is None else ["--seed", str(self.seed)]
        return [*named, "--out", str(self.out), *(word for change in self.changes for word in ("--set", change))]


@dataclass(frozen=True)
class Machine:
    """What a launch file says of the machines that a line starts on."""

    launch: str
    machines: int
    processes: int  # over all machines
    cpu: bool
    ours: bool  # not accelerate's

    @classmethod
    def read(cls, launch: str | None) -> "Machine":
        """BadInput: a file of our own with other keys than ours, or processes that cannot be shared out evenly."""
        if launch is None:
            return cls("", 1, 1, True, False)
        file = read_yaml(Path(launch))
        ours = "launcher" in file
        if ours and (file["launcher"] != "torchrun" or not {"processes"} <= file.keys() - {"launcher"} <= OURS):
            raise BadInput(
                f"{launch}: a file of our own holds `launcher: torchrun`, `processes: <number>` and, where they are "
                f"several, `machines: <number>`, nothing else"
            )
        machines = file.get("machines", 1) if ours else file.get("num_machines", 1)
        processes = file["processes"] if ours else file.get("num_processes", 1)
        if not (isinstance(machines, int) and isinstance(processes, int) and machines > 0 and processes > 0):
            raise BadInput(f"{launch}: {processes} processes on {machines} machines; give two whole numbers")
        if processes % machines:
            raise BadInput(f"{launch}: {processes} processes cannot be shared out evenly over {machines} machines")
        return cls(launch, machines, processes, ours or bool(file.get("use_cpu")), ours)


def line(job: Job, launch: str | None, meeting: tuple[str, str] | None = None) -> list[str]:
    """The words of the command, for `subprocess`; `launch` is the path of a launch file or None for one process.

    `meeting` is host and port of the first of several machines, in place of what an accelerate config says.
    BadInput: several machines of a file of our own, and nowhere to meet.
    """
    machine = Machine.read(launch)
    if launch is None:
        return [sys.executable, *job.words]
    if not machine.ours:
        return [sys.executable, "-m", "accelerate.commands.launch", *_accelerate(machine, meeting), *job.words]
    return [sys.executable, "-m", "torch.distributed.run", *_torchrun(machine, meeting), *job.words]


def _accelerate(machine: Machine, meeting: tuple[str, str] | None) -> list[str]:
    words = ["--config_file", machine.launch]
    if machine.machines == 1 or meeting is None:
        return words
    return [*words, "--rdzv_backend", "c10d", "--main_process_ip", meeting[0], "--main_process_port", meeting[1]]


def _torchrun(machine: Machine, meeting: tuple[str, str] | None) -> list[str]:
    if machine.machines == 1:
        return ["--standalone", f"--nproc_per_node={machine.processes}"]
    if meeting is None:
        raise BadInput(f"{machine.launch}: {machine.machines} machines; print a job script: --dry-run --launcher slurm")
    each = f"--nproc_per_node={machine.processes // machine.machines}"
    # torchrun takes the endpoint as one word, which a shell puts together
    return [f"--nnodes={machine.machines}", each, "--rdzv_backend=c10d", "--rdzv_endpoint", ":".join(meeting)]


def spell(words: list[str]) -> str:
    """The same command as one would type it."""
    shown = list(words)
    if shown[1] == "-m" and shown[2] in SHOWN:
        shown = [*SHOWN[shown[2]].split(), *shown[3:]]
    elif shown[0] == sys.executable:
        shown[0] = "python"
    return shlex.join(shown)


def start(words: list[str]) -> int:
    """Run one line in the foreground; its exit status. An interrupt reaches it first and then us."""
    environment = KIND | PATIENT | os.environ | {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_DISABLE_TELEMETRY": "1"}
    with subprocess.Popen(words, env=environment) as running:
        try:
            return running.wait()
        except KeyboardInterrupt:
            running.wait()
            raise
