"""The training loop: planned steps in, a tuned adapter out.

The loss of a step is the sum over its target tokens divided by their number, over all rows and processes at once, so
that accumulation, packing and the number of processes change nothing but rounding.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch

from finetune.data import Example
from finetune.files import digest_of
from finetune.mistakes import BadInput
from finetune.recipe import Train
from finetune.train.beside import beside
from finetune.train.journal import Journal
from finetune.train.packing import Sheet, sheets
from finetune.train.pause import Stopped, by_signal, by_window, closed
from finetune.train.savepoint import Clock, Progress, Savepoint, Savepoints, Tensors
from finetune.train.stepper import Stepper
from finetune.train.watch import Watch
from finetune.train.zero import Zero
from finetune.world import World

ROOMY = 1024  # tokens of a sheet on a processor; accelerators take max_length, which fits there anyway
LATELY = 5  # steps


@dataclass(frozen=True)
class Work:
    """What is to be done: the plan over all devices and how each step is taken."""

    steps: Sequence[tuple[int, ...]]  # indices into train
    ends: str  # what the plan's end means: done or max_steps
    train: Sequence[Example]
    dev: Sequence[Example]
    knobs: Train
    learning_rate: float
    seed: int
    pad: int
    masters: bool = True  # trained weights in half precision are stepped as float32 copies
    labels: tuple[str, ...] = ()  # of the classification head that is trained, if any

    def sheets(self, examples: Sequence[Example], world: World) -> list[Sheet]:
        """The forward passes of one step: as large as a device takes well, and enough of them for every process."""
        roomy = ROOMY if world.device.type == "cpu" else max(ROOMY, self.knobs.max_length)
        share = -(-sum(map(len, examples)) // world.size)
        return sheets(examples, min(roomy, share), packing=self.knobs.packing, pad=self.pad)

    @property
    def dev_steps(self) -> set[int]:
        """After which steps the dev loss is taken; the last is among them."""
        count = self.knobs.evaluations if self.dev else 0
        return {math.ceil(len(self.steps) * part / count) for part in range(1, count + 1)}

    def rate(self, step: int) -> float:
        """Learning rate of step 0, 1, ...: a climb, then the schedule's fall to nearly nothing."""
        climb = round(self.knobs.warmup * len(self.steps))
        if step < climb:
            return self.learning_rate * (step + 1) / climb
        left = 1 - (step - climb) / (len(self.steps) - climb)
        fall = {"constant": 1.0, "linear": left, "cosine": (1 + math.cos(math.pi * (1 - left))) / 2}
        return self.learning_rate * fall[self.knobs.schedule]


class Diverged(BadInput):
    """The run is lost to what it is tuned with, `what`; in a search such a trial does not win."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}; {remedy}")
        self.what = what


class Loop:
    """One run over a plan. `model` has its adapter attached and stands on the world's device."""

    def __init__(
        self, model: Any, work: Work, world: World, savepoints: Savepoints, journal: Journal, clock: Clock,
        watch: Watch, stepper: Zero | None = None,
    ) -> None:  # fmt: skip
        self.model, self.work, self.world = model, work, world
        self.savepoints, self.journal, self.clock, self.watch = savepoints, journal, clock, watch
        self.stepper = stepper or Stepper(model, work.knobs, work.learning_rate, world, masters=work.masters)
        self.progress, self.best = Progress(), Tensors()
        self.signal, self.warm = 0, False  # warm: a step was taken since the start

    def run(self, point: Savepoint | None = None) -> Progress:
        """Take the steps that are left after `point`; the model ends with the best adapter.

        Diverged: the loss is not finite, or explodes. Stopped: a SIGTERM or SIGINT came, or the hours of train.window
        are over; the state after the current step is saved.
        """
        if point is not None:
            self._go_on(point)
        progress, total = self.progress, len(self.work.steps)
        handlers = {number: signal.signal(number, self._heed) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            with self.journal.bar(total, progress.step):
                while not progress.ended:
                    self._advance(total)
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        if self.best:
            self.stepper.put(self.best)
        return progress

    def _advance(self, total: int) -> None:
        """One step with all that may follow it: dev loss, end, checkpoint, signal."""
        progress, knobs = self.progress, self.work.knobs
        stop = self._step()
        if progress.step in self.work.dev_steps:
            self._evaluate()
        if progress.step == total:
            progress.ended = self.work.ends
        elif self._tired():
            progress.ended = "early"
        if progress.ended or stop or progress.step % knobs.save_every == 0:
            self._save()
        if stop and not progress.ended:
            raise stop

    def _step(self) -> Stopped | None:
        """One optimizer step over all processes; why to stop, where any of them was asked to."""
        began, progress, work = time.monotonic(), self.progress, self.work
        batch = work.sheets([work.train[index] for index in work.steps[progress.step]], self.world)
        targets = sum(sheet.targets for sheet in batch)
        losses, asked = self._gradient(batch, targets)
        loss = float(losses.double().sum()) / targets
        rate = work.rate(progress.step)
        norm = self.stepper.step(rate)
        if not (math.isfinite(loss) and math.isfinite(norm)):  # what was stepped with that is never saved
            self._refuse(batch, losses)
        progress.step += 1
        progress.losses.append((progress.step, loss))
        if exploded([value for _, value in progress.losses], work.knobs.explode):
            self._refuse_explosion(batch, losses)
        self._count(batch, time.monotonic() - began)
        self.journal.step(progress.step, len(work.steps), loss, rate, norm)
        if self.world.main:
            self.clock.tick()
        return self._asked(*asked.tolist())

    def _count(self, batch: Sequence[Sheet], seconds: float) -> None:
        """What a step took."""
        progress, useful = self.progress, sum(sheet.useful for sheet in batch)
        progress.target_tokens += sum(sheet.targets for sheet in batch)
        progress.useful_tokens += useful
        progress.raw_tokens += sum(sheet.raw for sheet in batch)
        progress.seconds += seconds
        if self.warm and progress.step == 2:
            progress.pace = seconds / useful
        self.warm = True

    def _asked(self, signalled: float, late: float) -> Stopped | None:
        """What the processes found together, so that all stop after the same step."""
        if signalled:
            return by_signal(self.signal or signal.SIGTERM, self.progress.step)
        window = self.work.knobs.window
        return by_window(window, self.progress.step) if late and window else None

    def _gradient(self, batch: Sequence[Sheet], targets: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Gradients of the step's mean loss into `.grad`; the loss of each sheet, and who asks to stop [2]."""
        self.model.train()
        losses = torch.zeros(len(batch) + 2, device=self.world.device)
        mine = self.world.share(batch)
        for place, (index, sheet, weight) in enumerate(mine, 1):
            self.watch.note(f"step {self.progress.step + 1}")
            # Dropout follows the sheet, not the process or the start that meets it.
            torch.manual_seed(int(digest_of([self.work.seed, self.progress.step, index])[:15], 16))
            with beside(self.model):  # around the backward pass too, where checkpointing runs layers again
                loss = weight * self.stepper.loss(sheet)
                self.stepper.backward(loss / targets, last=place == len(mine))
            losses[index] += loss.detach()
        losses[-2], losses[-1] = float(self.signal > 0), float(closed(self.work.knobs.window))
        self.watch.note(f"step {self.progress.step + 1}", waits=True)
        values = self.stepper.total(losses).cpu()
        return values[:-2], values[-2:]

    def _refuse(self, batch: Sequence[Sheet], losses: torch.Tensor) -> None:
        bad = [sheet for sheet, loss in zip(batch, losses.tolist(), strict=True) if not math.isfinite(loss)]
        names = [name for sheet in bad or batch for name in sheet.names]
        raise Diverged(
            f"step {self.progress.step + 1}: the {'loss' if bad else 'gradient'} is not finite in rows {_some(names)}",
            f"lower method.learning_rate ({self.work.learning_rate:g}) or look at these rows; {self._kept()}",
        )

    def _refuse_explosion(self, batch: Sequence[Sheet], losses: torch.Tensor) -> None:
        mean = [float(loss) / sheet.targets for sheet, loss in zip(batch, losses, strict=True)]
        worst, highest = max(zip(batch, mean, strict=True), key=lambda pair: pair[1])
        (_, first), (step, last) = self.progress.losses[0], self.progress.losses[-1]
        raise Diverged(
            f"step {step}: the loss has exploded, from {first:.4g} in the first step to {last:.4g}; it is highest "
            f"({highest:.4g}) in rows {_some(worst.names)}",
            f"lower method.learning_rate ({self.work.learning_rate:g}), look at these rows, or raise train.explode "
            f"({self.work.knobs.explode:g}); {self._kept()}",
        )

    def _kept(self) -> str:
        folder = self.savepoints.folder
        if not any(folder.glob("step-*")):
            return "nothing was saved before it"
        return f"the checkpoint before it is kept in {folder}; move it away to start anew with a changed recipe"

    def _evaluate(self) -> None:
        loss, progress = self.dev_loss(), self.progress
        if not math.isfinite(loss):
            raise Diverged(
                f"step {progress.step}: the dev loss is not finite", f"lower method.learning_rate, {self._kept()}"
            )
        best = loss < progress.best_loss
        progress.dev_losses.append((progress.step, loss))
        if best:
            progress.best_step = progress.step
            self.best = self.stepper.weights()
        self.journal.dev(progress.step, loss, best)

    def dev_loss(self) -> float:
        """Mean loss per target token over the dev rows, nats."""
        batch = self.work.sheets(self.work.dev, self.world)
        self.model.eval()
        losses = torch.zeros(1, dtype=torch.float32, device=self.world.device)
        with torch.no_grad():
            for _, sheet, weight in self.world.share(batch):
                self.watch.note(f"the dev loss after step {self.progress.step}")
                losses += weight * self.stepper.loss(sheet)
        self.watch.note(f"the dev loss after step {self.progress.step}", waits=True)
        return float(self.world.total(losses)) / sum(sheet.targets for sheet in batch)

    def _tired(self) -> bool:
        patience = self.work.knobs.patience
        since = [step for step, _ in self.progress.dev_losses if step > self.progress.best_step]
        return 0 < patience <= len(since)

    def _save(self) -> None:
        if not self.progress.dev_losses:
            self.progress.best_step = self.progress.step
        self.watch.note(f"saving step {self.progress.step}", waits=not self.world.main)
        weights, means = self.stepper.state()
        if self.world.main:
            self.savepoints.save(Savepoint(self.progress, weights, self.best, means))
            self.journal.say(f"step {self.progress.step} saved")

    def _go_on(self, point: Savepoint) -> None:
        self.stepper.take(point.adapter, point.optimizer)
        self.progress, self.best = point.progress, point.best
        self.journal.say(f"goes on after step {self.progress.step}")

    def _heed(self, number: int, frame: FrameType | None) -> None:
        """Remember the signal; the step at hand is finished and saved first."""
        self.signal = number


def engine(model: Any, work: Work, world: World) -> Zero | None:
    """DeepSpeed's around the model, where the launch file asks for it."""
    if not world.zero:
        return None
    idle = sheets([min(work.train, key=len)], 1, packing=work.knobs.packing, pad=work.pad)[0]
    return Zero(model, work.knobs, work.learning_rate, world, idle)


def exploded(losses: Sequence[float], factor: float) -> bool:
    """Whether a run's losses (nats per target token) are lost: the last five all over `factor` times where it began.

    Five, for one hard batch is no explosion. It began at the lowest of the first five, for it may explode in the second
    step; at least at one nat, for a loss near zero may treble and mean nothing.
    """
    if not factor or len(losses) < 2 * LATELY:
        return False
    return min(losses[-LATELY:]) > factor * max(1.0, min(losses[:LATELY]))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (" ..." if len(names) > 8 else "")
