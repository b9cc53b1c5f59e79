"""Checkpoints of a run that may be killed at any moment: written under a temporary name, renamed when whole.

    checkpoints/step-000100/{state.json, adapter, best, optimizer .safetensors}     checkpoints/clock.json

There are no random states in them: every draw is seeded by (seed, step, row), so going on needs only the step's number.
The last two are kept: should the newest be torn (a lost disk cache, say), its digests tell and the one before is taken.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from finetune.files import folder_whole, write_whole
from finetune.mistakes import BadInput

Tensors = dict[str, torch.Tensor]
KEPT = 2
TICK = 5.0  # seconds of work that a kill may leave unbilled


@dataclass
class Progress:
    """How far a run is and what it saw on the way."""

    step: int = 0
    losses: list[tuple[int, float]] = field(default_factory=list)  # (step, nats per target token)
    dev_losses: list[tuple[int, float]] = field(default_factory=list)
    best_step: int = 0
    ended: str = ""  # done, early, max_steps; empty while it runs
    target_tokens: int = 0
    useful_tokens: int = 0
    raw_tokens: int = 0
    seconds: float = 0.0  # in the steps themselves, without loading, dev losses and saving
    pace: float = 0.0  # seconds that a token of the second step took, padding apart; 0 before

    @property
    def best_loss(self) -> float:
        return dict(self.dev_losses).get(self.best_step, float("inf"))


@dataclass(frozen=True)
class Savepoint:
    """Everything that the next step depends on."""

    progress: Progress
    adapter: Tensors
    best: Tensors  # of the step with the lowest dev loss; empty before the first
    optimizer: Tensors


@dataclass(frozen=True)
class Savepoints:
    """The checkpoints of one contender and seed, and what they must have in common with the run that goes on."""

    folder: Path
    fingerprint: str
    processes: int
    engine: str = "torch"  # that takes the steps

    def save(self, point: Savepoint) -> None:
        """Write one and drop the oldest. OSError: disk full; what was there before stays."""

        def build(scratch: Path) -> None:
            digests = {}
            for part in ("adapter", "best", "optimizer"):
                digests[part] = _put_tensors(scratch / f"{part}.safetensors", getattr(point, part))
            state = {"fingerprint": self.fingerprint, "processes": self.processes, "sha256": digests}
            state |= {"engine": self.engine}
            _put(scratch / "state.json", json.dumps(state | {"progress": asdict(point.progress)}).encode())

        folder_whole(self.folder / f"step-{point.progress.step:06d}", build)
        for old in (*self._found()[KEPT:], *self.folder.glob(".step-*")):
            shutil.rmtree(old, ignore_errors=True)

    def latest(self, say: Callable[[str], None]) -> Savepoint | None:
        """The newest whole one. BadInput when it belongs to another recipe, data, model or number of processes."""
        for folder in self._found():
            try:
                state = json.loads((folder / "state.json").read_text("utf-8"))
                self._refuse_others(state)
                point = _read(folder, state)
            except (OSError, KeyError, TypeError, json.JSONDecodeError, SafetensorError, _Torn) as fault:
                say(f"checkpoint {folder.name} is damaged ({type(fault).__name__}), looking for the one before")
                continue
            return point
        return None

    def drop(self) -> None:
        """Remove all of them: the run is done."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _found(self) -> list[Path]:
        return sorted(self.folder.glob("step-*"), reverse=True)

    def _refuse_others(self, state: dict[str, Any]) -> None:
        away = f"put it back, or move {self.folder} away to start anew"
        if state["fingerprint"] != self.fingerprint:
            raise BadInput(f"an unfinished run was started from another recipe, data or checkpoint; {away}")
        if state["processes"] != self.processes:
            raise BadInput(
                f"an unfinished run had {state['processes']} processes, now there are {self.processes}, "
                f"which would not go on bit for bit; {away}"
            )
        if state.get("engine", "torch") != self.engine:
            raise BadInput(
                f"an unfinished run took its steps by {state.get('engine', 'torch')}, this one would by {self.engine}; "
                f"give its launch file again, or move {self.folder} away to start anew"
            )


class Clock:
    """Seconds of work over every start of a stage, kept on disk so that a killed start is paid for too."""

    def __init__(self, path: Path, began: float) -> None:
        self.path, self.began, self.written = path, began, 0.0
        self.before, self.started_at = _worked(path)

    @property
    def seconds(self) -> float:
        return float(self.before + time.monotonic() - self.began)

    def tick(self) -> None:
        """Note the time, now and then."""
        if self.seconds - self.written >= TICK:
            write_whole(self.path, json.dumps({"started_at": self.started_at, "seconds": self.seconds}))
            self.written = self.seconds


def _worked(path: Path) -> tuple[float, float]:
    """Seconds of earlier starts, and when the first was; nothing and now where no note of it is whole."""
    try:
        kept = json.loads(path.read_text("utf-8"))
        return float(kept["seconds"]), float(kept["started_at"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0, time.time()


class _Torn(Exception):  # noqa: N818 (a state of a file, not a fault of ours)
    """A file differs from what its state.json says."""


def _read(folder: Path, state: dict[str, Any]) -> Savepoint:
    tensors = {}
    for name, digest in state["sha256"].items():
        path = folder / f"{name}.safetensors"
        with path.open("rb") as source:
            if hashlib.file_digest(source, "sha256").hexdigest() != digest:
                raise _Torn(path)
        tensors[name] = load_file(path)
    progress = Progress(**state["progress"])
    progress.losses = [(step, loss) for step, loss in progress.losses]
    progress.dev_losses = [(step, loss) for step, loss in progress.dev_losses]
    return Savepoint(progress, **tensors)


def _put_tensors(path: Path, tensors: Tensors) -> str:
    """Straight to the file, for a whole model's state has no room in memory twice; sha256 of what stands there."""
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, path)
    with path.open("rb") as written:
        os.fsync(written.fileno())
        return hashlib.file_digest(written, "sha256").hexdigest()


def _put(path: Path, content: bytes) -> str:
    """Write through to the disk; sha256 of what was meant to be written."""
    with path.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    return hashlib.sha256(content).hexdigest()
