"""A job script for SLURM: one launcher on each node, meeting at the first.

At the time limit it is saved and queued again; so it is where train.window closes, for the next opening.
"""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from eval.launch import KIND, Job, Machine, line, spell

MEETING = ("$MASTER_ADDR", "$MASTER_PORT")
NOTICE = 120  # seconds before the time limit: to finish the step at hand and save it
GRACE = NOTICE - 10  # of them, what a launcher gives its processes between SIGTERM and SIGKILL (torchrun: 30)

SCRIPT = """\
#!/bin/bash
# Hand it to sbatch in the folder where it was printed; recipe, models and runs must lie on a disk that all nodes share.
# Partition, account and time limit are yours to set. Where the limit comes before the end, the step at hand is saved
# and the job queued again; it goes on where it was. So it is where train.window closes, to start when that opens.
#SBATCH --job-name={name}
#SBATCH --nodes={nodes}
#SBATCH --ntasks-per-node=1
{devices}
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:TERM@{notice}

MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
MASTER_PORT=$((20000 + SLURM_JOB_ID % 20000))
export MASTER_ADDR MASTER_PORT {environment}

stopping= running= paused=
# SIGTERM comes to this shell alone (B:); srun hands on to all nodes what it is sent.
stop() {{
  stopping=yes
  if [ -n "$running" ]; then kill -TERM "$running"; fi
}}
trap stop TERM

# A training that train.window pauses says so in the file that `paused` names, with the second of its opening below.
run() {{
  if [ -n "$paused" ]; then rm -f "$paused"; fi
  srun --ntasks-per-node=1 --kill-on-bad-exit=1 "$@" &
  running=$!
  if [ -n "$stopping" ]; then kill -TERM "$running"; fi
  wait "$running"
  status=$?
  while kill -0 "$running" 2>/dev/null; do # the signal ended the wait, not what was waited for
    wait "$running"
    status=$?
  done
  running=
  if [ -n "$stopping" ]; then
    scontrol requeue "$SLURM_JOB_ID"
    exit "$status"
  fi
  if [ "$status" -ne 0 ] && [[ -f "$paused" && $(tail -n 1 "$paused") =~ ^[0-9]+$ ]]; then
    left=$(($(tail -n 1 "$paused") - $(date +%s)))
    trap '' TERM # SLURM ends a job that is queued again, and when it starts is still to be said
    scontrol requeue "$SLURM_JOB_ID"
    scontrol update "JobId=$SLURM_JOB_ID" "StartTime=now+$((left > 0 ? left : 0))"
  fi
  if [ "$status" -ne 0 ]; then exit "$status"; fi
}}

{lines}
"""


def script(
    name: str, jobs: Sequence[Job], launch: str | None, notes: Sequence[str] = (),
    paused: Mapping[str, Path] | None = None,
) -> str:  # fmt: skip
    """What `sbatch` takes for these jobs, one after another, on the machines of a launch file (None: one process).

    `notes` are comments above them; `paused` names the file in which a contender of limited hours says that it waits.
    """
    machine = Machine.read(launch)
    per_node = machine.processes // machine.machines
    kind = KIND | {"TOKENIZERS_PARALLELISM": "false", "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(GRACE)}
    return SCRIPT.format(
        name=shlex.quote(f"tuneworth-{name}"),
        nodes=machine.machines,
        devices=f"#SBATCH --cpus-per-task={per_node}" if machine.cpu else f"#SBATCH --gpus-per-node={per_node}",
        notice=NOTICE,
        environment=" ".join(f"{key}={value}" for key, value in kind.items()),
        lines="\n".join([*notes, *_lines(jobs, launch, paused or {})]),
    )


def _lines(jobs: Sequence[Job], launch: str | None, paused: Mapping[str, Path]) -> Iterator[str]:
    for job in jobs:
        if job.contender in paused:
            yield f"paused={shlex.quote(str(paused[job.contender]))}"
        yield f"run {_typed(job, launch)}"


def _typed(job: Job, launch: str | None) -> str:
    """The line of a job; where the nodes meet is known to the running script alone, so its variables go unquoted."""
    host, port = MEETING
    typed = spell(line(job, launch, MEETING))
    for quoted, shown in ((f"{host}:{port}", f"{host}:{port}"), (host, host), (port, port)):
        typed = typed.replace(shlex.quote(quoted), f'"{shown}"')
    return typed
