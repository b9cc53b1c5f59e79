"""The search of a contender's knobs: each combination trained on the first seed, the lowest dev loss wins.

    <contender>/search/00/{train.json, adapter/} or {diverged.json}     01/ ...     search.json

A trial is a training like any other, in a folder of its own: killed it goes on, done it is not run again. Of adapters
the best so far is kept, the others go. The trial that wins is the training of the first seed, which takes it over.
Judged on the rows that train.dev holds out; the exam is not looked at.
"""

from __future__ import annotations

import gc
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from finetune.files import folder_whole, write_whole
from finetune.methods import SearchFacts, adapter_digest
from finetune.mistakes import BadInput
from finetune.recipe import Recipe
from finetune.run import RunDir, SeedDir
from finetune.train.journal import Journal
from finetune.train.loop import Diverged
from finetune.train.misfits import configuration
from finetune.train.savepoint import Clock
from finetune.train.tuning import Tuning
from finetune.train.watch import Watch
from finetune.world import World

FROZEN = ConfigDict(frozen=True, extra="forbid")
NONE = -1


class Lost(BaseModel):
    """diverged.json: a trial without an end."""

    model_config = FROZEN
    fingerprint: str
    reason: str
    device_seconds: float


class Trial(BaseModel):
    """What became of one combination of knobs."""

    model_config = FROZEN
    knobs: dict[str, int | float]
    dev_loss: float | None  # the lowest it saw, nats per target token; None: it diverged
    steps: int | None
    device_seconds: float
    diverged: str | None = None  # why


class SearchRecord(BaseModel):
    """search.json, written last: every trial in the declared order, and the number of the one that won."""

    model_config = FROZEN
    contender: str
    seed: int
    fingerprint: str
    trials: tuple[Trial, ...]
    winner: int


@dataclass(frozen=True)
class Search:
    """The trials of a contender, and who takes part."""

    recipe: Recipe
    name: str
    folder: RunDir
    world: World
    watch: Watch

    @cached_property
    def tasks(self) -> tuple[Tuning, ...]:
        seed, found = self.recipe.train.seeds[0], []
        for number, knobs in enumerate(self.recipe.trials(self.name)):
            recipe = self.recipe.settled(self.name, knobs)
            fingerprint = recipe.train_fingerprint(self.name, seed)
            found.append(
                Tuning(recipe, self.name, seed, fingerprint, self.folder, self.world, self.watch, trial=number)
            )
        return tuple(found)

    @cached_property
    def fingerprint(self) -> str:
        return self.recipe.train_fingerprint(self.name, self.recipe.train.seeds[0])

    @property
    def path(self) -> Path:
        return self.folder.search(self.name) / "search.json"

    def run(self) -> Chosen:
        """Run the trials that are not done. BadInput: every one diverged, or a combination does not fit the model."""
        record = _read(self.path)
        if not agreed(self.world, record is not None and record.fingerprint == self.fingerprint):
            self._refuse_misfits()
            self._set_aside(record)
            record = self._record(self._tried())
        return Chosen(self.tasks[agreed(self.world, record.winner if record else NONE)], record)

    def _refuse_misfits(self) -> None:
        config = configuration(self.tasks[0].origin().folder)
        for task in self.tasks:
            if task.contender.method:
                task.contender.method.check(config)

    def _set_aside(self, record: SearchRecord | None) -> None:
        """The result of a recipe since changed is kept under another name; trials that are still wanted stay."""
        if record and self.world.main:
            SeedDir(self.path.parent).set_aside([self.path], record.fingerprint)

    def _tried(self) -> list[Trial]:
        """What every trial came to; on the main process."""
        told: list[Trial] = []
        for task in self.tasks:
            if not agreed(self.world, self._told(task) is not None):
                self._try(task)
            if self.world.main:
                trial = self._told(task)
                assert trial is not None, "it is done"
                told.append(trial)
                for loser in {*range(len(told))} - {_best(told)}:
                    shutil.rmtree(self.tasks[loser].place.adapter, ignore_errors=True)
        return told

    def _try(self, task: Tuning) -> None:
        clock, why = Clock(task.place.checkpoints / "clock.json", time.monotonic()), None
        try:
            task.run()
        except Diverged as fault:
            why = fault.what
        if why is not None:
            self._lose(task, why, clock.seconds * self.world.size)
        self.world.accelerator.wait_for_everyone()

    def _lose(self, task: Tuning, why: str, seconds: float) -> None:
        """A rate that is too high is an answer, not a fault; what the trial held is let go."""
        journal = Journal(task.title, self.world.accelerator)
        journal.close()
        gc.collect()
        if self.world.main:
            lost = Lost(fingerprint=task.fingerprint, reason=why, device_seconds=seconds)
            write_whole(_note(task), lost.model_dump_json(indent=1) + "\n")
            shutil.rmtree(task.place.checkpoints, ignore_errors=True)
        journal.say(f"diverged, so it does not win: {why}")

    def _told(self, task: Tuning) -> Trial | None:
        """What a trial came to; None where it is not done for this recipe."""
        assert task.trial is not None, "a trial has a number"
        knobs, done, note = self.recipe.trials(self.name)[task.trial], task.place.trained(), _note(task)
        if done and done.training and done.fingerprint == task.fingerprint:
            lowest = min(loss for _, loss in done.training.dev_losses)
            return Trial(knobs=knobs, dev_loss=lowest, steps=done.training.steps, device_seconds=done.device_seconds)
        try:
            lost = Lost.model_validate_json(note.read_text("utf-8"))
        except (FileNotFoundError, ValidationError, UnicodeDecodeError):  # a note that says nothing is made again
            return None
        if lost.fingerprint != task.fingerprint:
            return None
        return Trial(knobs=knobs, dev_loss=None, steps=None, device_seconds=lost.device_seconds, diverged=lost.reason)

    def _record(self, told: list[Trial]) -> SearchRecord | None:
        """Decide, and write it down; the record is on the main process."""
        winner = agreed(self.world, _best(told))
        if winner == NONE:
            why = f" (the first: {told[0].diverged})" if told else ""
            raise BadInput(f"contenders.{self.name}.method.search: every trial diverged{why}; search lower rates")
        if not self.world.main:
            return None
        record = SearchRecord(
            contender=self.name,
            seed=self.recipe.train.seeds[0],
            fingerprint=self.fingerprint,
            trials=tuple(told),
            winner=winner,
        )
        write_whole(self.path, record.model_dump_json(indent=1) + "\n")
        knobs = ", ".join(f"{knob} {value:g}" for knob, value in told[winner].knobs.items())
        said = f"{len(told)} trials; {knobs} wins with dev loss {told[winner].dev_loss:.4f}"
        Journal(f"train {self.name}", self.world.accelerator).say(said)
        return record


@dataclass(frozen=True)
class Chosen:
    """What a search found: the winning trial, and on the main process the whole of it."""

    task: Tuning
    record: SearchRecord | None

    def train(self, seed: int, fingerprint: str) -> None:
        """Train a seed with what was found. The first seed takes the winning trial over, where its adapter is whole."""
        world = self.task.world
        took = seed == self.task.seed and bool(agreed(world, self._whole()))
        facts = self._facts(spared=took or seed != self.task.seed)
        training = replace(self.task, seed=seed, fingerprint=fingerprint, trial=None, search=facts)
        if took:
            self._take_over(training)
        else:
            training.run()

    def _facts(self, *, spared: bool) -> SearchFacts | None:
        """`spared`: the winning trial is paid for as a seed's training."""
        if self.record is None:
            return None
        seconds = [each.device_seconds for each in self.record.trials]
        paid = sum(seconds) - (seconds[self.record.winner] if spared else 0)
        won = self.record.trials[self.record.winner]
        return SearchFacts(trials=len(seconds), knobs=won.knobs, device_seconds=paid)

    def _whole(self) -> bool:
        """Whether the trial's adapter is there, the one that its train.json speaks of; asked on the main process."""
        place, done = self.task.place, self.task.place.trained()
        if not self.task.world.main or done is None or done.training is None or not place.adapter.is_dir():
            return False
        try:
            return adapter_digest(place.adapter) == done.training.adapter_digest
        except BadInput:  # torn
            return False

    def _take_over(self, training: Tuning) -> None:
        journal, done = Journal(training.title, training.world.accelerator), self.task.place.trained()
        training.set_aside(journal)
        if training.world.main:
            assert done is not None, "its adapter is whole"
            assert done.training is not None, "its adapter is whole"
            facts = done.training.model_copy(update={"search": training.search})
            folder_whole(training.place.adapter, lambda scratch: _link(self.task.place.adapter, scratch))
            manifest = done.model_copy(update={"fingerprint": training.fingerprint, "training": facts})
            manifest.write(training.place.train_manifest)
        training.world.accelerator.wait_for_everyone()
        journal.say(f"taken over from trial {self.task.trial:02d}, which was this very training")


def agreed(world: World, number: int) -> int:
    """The main process's number, on all of them: it alone has surely seen what it wrote."""
    return world.everywhere(int(number))[0]


def _best(told: Sequence[Trial]) -> int:
    """Number of the trial with the lowest dev loss, of equal ones the first; NONE where all diverged."""
    ended = [(each.dev_loss, number) for number, each in enumerate(told) if each.dev_loss is not None]
    return min(ended)[1] if ended else NONE


def _note(task: Tuning) -> Path:
    return task.place.folder / "diverged.json"


def _read(path: Path) -> SearchRecord | None:
    try:
        return SearchRecord.model_validate_json(path.read_text("utf-8")) if path.is_file() else None
    except (ValidationError, UnicodeDecodeError):
        raise BadInput(f"{path}: no search that this version writes; move it away, and it is made again") from None


def _link(source: Path, target: Path) -> None:
    """The files of a folder in another one, without their bytes twice where the disk can."""
    for path in source.iterdir():
        try:
            os.link(path, target / path.name)
        except OSError:
            shutil.copyfile(path, target / path.name)
