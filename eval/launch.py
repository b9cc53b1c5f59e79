"""Spells the lines that start the engine rooms; runs or prints them. A person can paste what stands here.

A launch file is an accelerate config (`accelerate launch --config_file ...`), or, since accelerate starts one CPU
process whatever it is asked, a two-key file of our own: `launcher: torchrun`, `processes: 2`.
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

Stage = Literal["train", "score"]
ROOMS: dict[Stage, str] = {"train": "finetune.train", "score": "eval.score"}
# Threads that spin while they wait make small products several times slower as soon as another program runs.
KIND = {"OMP_WAIT_POLICY": "PASSIVE"}
SHOWN = {"torch.distributed.run": "torchrun", "accelerate.commands.launch": "accelerate launch"}


@dataclass(frozen=True)
class Job:
    """One stage of one contender and seed, of a recipe as the user gave it."""

    stage: Stage
    recipe: Path
    contender: str
    seed: int
    out: Path
    changes: tuple[str, ...] = ()

    @property
    def words(self) -> list[str]:
        named = ["-m", ROOMS[self.stage], str(self.recipe), "--contender", self.contender, "--seed", str(self.seed)]
        return [*named, "--out", str(self.out), *(word for change in self.changes for word in ("--set", change))]


def line(job: Job, launch: str | None) -> list[str]:
    """The words of the command, for `subprocess`; `launch` is the path of a launch file or None for one process."""
    if launch is None:
        return [sys.executable, *job.words]
    machine = read_yaml(Path(launch))
    if "launcher" not in machine:
        return [sys.executable, "-m", "accelerate.commands.launch", "--config_file", launch, *job.words]
    if machine["launcher"] != "torchrun" or not isinstance(machine.get("processes"), int) or len(machine) != 2:
        raise BadInput(
            f"{launch}: a file of our own holds `launcher: torchrun` and `processes: <number>`, nothing else"
        )
    return [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        f"--nproc_per_node={machine['processes']}",
        *job.words,
    ]


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
    environment = KIND | os.environ | {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_DISABLE_TELEMETRY": "1"}
    with subprocess.Popen(words, env=environment) as running:
        try:
            return running.wait()
        except KeyboardInterrupt:
            running.wait()
            raise
