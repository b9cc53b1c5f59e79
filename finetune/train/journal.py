"""What a run says while it runs: one line per event on the main process, a bar on a terminal, and a tracker by name."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from accelerate import Accelerator

from finetune.run.tracking import wandb_mode, wandb_settings
from finetune.train.savepoint import Progress

T = TypeVar("T")
STEP_LINES = 20  # of one run: every step of a short one, every twentieth part of a long one


class Journal:
    """Speaks on the main process only; the other processes pass through in silence."""

    def __init__(self, title: str, accelerator: Accelerator) -> None:
        self.title, self.accelerator = title, accelerator
        self._print: Callable[[str], None] = lambda text: print(text, flush=True)
        self._advance: Callable[[int], None] = lambda step: None

    def say(self, text: str) -> None:
        """One event, one line."""
        if self.accelerator.is_main_process:
            self._print(f"{self.title}: {text}")

    def track(self, project: str, facts: dict[str, Any], folder: str) -> None:
        """Open the tracker, if one is named. W&B and SwanLab stay offline where there is no key for them."""
        names = [str(tracker) for tracker in self.accelerator.log_with]
        if "wandb" in names:
            os.environ.setdefault("WANDB_MODE", wandb_mode())
        if "swanlab" in names and not os.environ.get("SWANLAB_API_KEY"):
            os.environ.setdefault("SWANLAB_MODE", "offline")
        wandb = {"dir": folder, "name": self.title, "job_type": "train", "settings": wandb_settings()}
        options = {"wandb": wandb, "swanlab": {"logdir": folder}}
        if names:
            os.makedirs(folder, exist_ok=True)
            self.accelerator.project_configuration.logging_dir = folder
            self.accelerator.init_trackers(project, facts, {name: options.get(name, {}) for name in names})

    def hand_over(self, artifact: Callable[[], Any], digest: str) -> None:
        """The adapter, to the one tracker that keeps artifacts; it is found again by its digest."""
        for tracker in self.accelerator.trackers:
            if tracker.name == "wandb" and self.accelerator.is_main_process:
                tracker.tracker.log_artifact(artifact(), aliases=["latest", digest[:12]])

    def end(self, progress: Progress) -> None:
        """The last line of a run."""
        (_, first), (_, last) = progress.losses[0], progress.losses[-1]
        self.say(f"{progress.ended} after {progress.step} steps, loss {first:.4f} -> {last:.4f}")
        self.close()

    def close(self) -> None:
        """The trackers write what they hold."""
        for tracker in self.accelerator.trackers:
            tracker.finish()
        self.accelerator.trackers = []

    def step(self, step: int, steps: int, loss: float, rate: float, norm: float) -> None:
        """A finished optimizer step."""
        self._advance(step)
        self.accelerator.log({"loss": loss, "learning_rate": rate, "gradient_norm": norm}, step=step)
        if step % max(1, steps // STEP_LINES) == 0 or step in (1, steps):
            self.say(f"step {step}/{steps} loss {loss:.4f} rate {rate:.2e} norm {norm:.3f}")

    def dev(self, step: int, loss: float, best: bool) -> None:
        self.accelerator.log({"dev_loss": loss}, step=step)
        self.say(f"step {step} dev loss {loss:.4f}{' (best)' if best else ''}")

    def through(self, work: Sequence[T], what: str) -> Iterator[T]:
        """The items of a piece of work one by one, each taken when the one before is done; with a bar."""
        with self.bar(len(work), 0, f"{self.title}: {what}"):
            for done, item in enumerate(work, 1):
                yield item
                self._advance(done)

    @contextmanager
    def bar(self, steps: int, done: int, title: str = "") -> Iterator[None]:
        """A progress bar around the steps, where someone is looking."""
        if not (self.accelerator.is_main_process and sys.stdout.isatty()):
            yield
            return
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Bar(*columns, transient=True) as bar:
            task = bar.add_task(title or self.title, total=steps, completed=done)
            plain = self._print
            self._print = lambda text: bar.console.print(text, highlight=False, markup=False, soft_wrap=True)
            self._advance = lambda step: bar.update(task, completed=step)
            try:
                yield
            finally:
                self._print, self._advance = plain, lambda step: None
