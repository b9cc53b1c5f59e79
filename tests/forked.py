"""Engine rooms in processes that begin with the libraries at hand: a start costs a second of work instead of five.

They are forked from one that does nothing else, have a standard output of their own, and SIGKILL ends one like any
other. For tests that start the same room again and again; that its own line works is shown where it is started once.
Each has the environment of its own start, not the server's, and one thread, as a line started here has.

What is to be killed is given a `Hold`, at which it stands until it is: on a fast machine, or where the test itself is
kept waiting, it would else have ended first.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.process import BaseProcess
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import torch

LIBRARIES = [
    "eval.score.sitting", "finetune.train.seeds", "lm_eval.tasks", "transformers.models.qwen2.modeling_qwen2", "peft",
    "datasets",
]  # fmt: skip
STEPS, ROWS = ("finetune.train.loop:Loop", "_step"), ("eval.items", "append")  # what a Hold may stand before


@dataclass(frozen=True)
class Hold:
    """A process stands still before it calls `call` (whose, its name) once `count(path)` has come to `most`."""

    call: tuple[str, str]
    count: Callable[[Path], int]
    path: Path
    most: int

    def take(self) -> None:
        """In the process that is to be held."""
        whose, name = resolve_name(self.call[0]), self.call[1]
        go_on = getattr(whose, name)

        def held(*given: Any, **more: Any) -> Any:
            if self.count(self.path) >= self.most:
                threading.Event().wait()
            return go_on(*given, **more)

        setattr(whose, name, held)


def stepped(log: Path) -> int:
    """The last step that a training has told of."""
    return max(map(int, re.findall(r"step (\d+)/", log.read_text("utf-8"))), default=0)


def answered(folder: Path) -> int:
    """The rows that scoring has left in a contender's folder."""
    return sum(path.read_bytes().count(b"\n") for path in folder.glob("items*.jsonl"))


@contextmanager
def started(room: str, argv: list[str], log: Path, hold: Hold | None = None) -> Iterator[BaseProcess]:
    """`python -m room.__main__` with these words, its output in `log`; it does not outlive the block."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LIBRARIES)
    log.write_text("")
    begun = context.Process(target=_sit, args=(room, argv, log, dict(os.environ), hold))
    begun.start()
    try:
        yield begun
    finally:
        begun.kill()
        begun.join()


def _sit(room: str, argv: list[str], log: Path, given: dict[str, str], hold: Hold | None) -> None:
    os.environ.clear()
    os.environ.update(given)
    torch.set_num_threads(1)
    with log.open("w", encoding="utf-8") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
        if hold:
            hold.take()
        sys.exit(import_module(f"{room}.__main__").main(argv))
