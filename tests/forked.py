"""Engine rooms in processes that begin with the libraries at hand: a start costs a second of work instead of five.

They are forked from one that does nothing else, have a standard output of their own, and SIGKILL ends one like any
other. For tests that start the same room again and again; that its own line works is shown where it is started once.
Each has the environment of its own start, not the server's, and one thread, as a line started here has.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from importlib import import_module
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

LIBRARIES = [
    "eval.score.sitting", "finetune.train.seeds", "lm_eval.tasks", "transformers.models.qwen2.modeling_qwen2", "peft",
    "datasets",
]  # fmt: skip


def start(room: str, argv: list[str], log: Path) -> BaseProcess:
    """`python -m room.__main__` with these words, its output in `log`; to be waited for or killed by the caller."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LIBRARIES)
    log.touch()
    begun = context.Process(target=_sit, args=(room, argv, log, dict(os.environ)))
    begun.start()
    return begun


def _sit(room: str, argv: list[str], log: Path, given: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(given)
    torch.set_num_threads(1)
    with log.open("w", encoding="utf-8") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
        sys.exit(import_module(f"{room}.__main__").main(argv))
