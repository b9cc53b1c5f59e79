"""One real step at the heaviest batch, measured: what the plan only assumes. Nothing is trained or kept."""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from finetune import plan
from finetune.files import write_whole
from finetune.recipe import Recipe
from finetune.run import Probed, RunDir
from finetune.train.journal import Journal
from finetune.train.lesson import lesson
from finetune.train.loop import Loop, engine
from finetune.train.misfits import refuse_misfits
from finetune.train.peak import heaviest, predicted, sheets_of
from finetune.train.savepoint import Clock, Savepoints
from finetune.train.tuning import Tuning
from finetune.train.watch import Watch
from finetune.world import World, quiet


def probe(recipe: Recipe, name: str, run: RunDir) -> None:
    """Two steps at the heaviest batch, the second one timed; prints what was measured, and keeps it for `check`."""
    quiet()
    recipe = _heaviest(recipe, name)
    world = World.open(recipe.train.launch, None, run.folder)
    seed = recipe.seeds(name)[0]
    with tempfile.TemporaryDirectory() as scratch, Watch(Path(scratch), 0, 1, recipe.train.hang_minutes) as watch:
        task = Tuning(recipe, name, seed, "probe", RunDir(Path(scratch)), world, watch)
        found = _measured(task)
    if world.main:
        write_whole(run.probe(name), found.model_dump_json(indent=1) + "\n")
        print(json.dumps(found.model_dump()), flush=True)


def _heaviest(recipe: Recipe, name: str) -> Recipe:
    """Of a search the trial that trains most; else the recipe as it is."""
    tried = [recipe.settled(name, knobs) for knobs in recipe.trials(name)]
    if not tried:
        return recipe
    most = plan.largest(recipe.contenders[name].model.sizes(), [each.methods[name] for each in tried])
    return next(each for each in tried if each.methods[name] is most)


def _measured(task: Tuning) -> Probed:
    world, origin, journal = task.world, task.origin(), Journal("probe", task.world.accelerator)
    examples = lesson(task.recipe, task.name, origin.chat, world, task.watch, journal)
    refuse_misfits(origin, examples, task.recipe.train, world)
    whole = task.work(examples, origin.chat)
    work = replace(whole, steps=(heaviest(whole),) * 2)
    model, _ = task.attached(origin, work)
    stepper = engine(model, work, world)
    standing = world.begin_peak()
    clock = Clock(task.place.checkpoints / "clock.json", time.monotonic())
    points = Savepoints(task.place.checkpoints, task.fingerprint, world.size)
    loop = Loop(model, work, world, points, journal, clock, task.watch, stepper)
    loop._step()
    first = loop.progress.seconds
    loop._step()
    progress = loop.progress
    return Probed(
        contender=task.name,
        fingerprint=task.recipe.train_fingerprint(task.name, task.seed),
        device=world.device_name(),
        devices=world.size,
        tokens=progress.raw_tokens // 2,
        seconds=progress.seconds - first,
        run_tokens=sum(sheet.raw for step in whole.steps for sheet in sheets_of(whole, step, world)),
        peak_memory_bytes=world.peak_memory(),
        predicted_peak_bytes=predicted(task.contender, origin.folder, work, world, standing),
    )
