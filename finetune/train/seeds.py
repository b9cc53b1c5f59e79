"""One contender, all its pending seeds: its knobs searched where the recipe says so, then each seed trained."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch

from finetune.methods import shared_rates
from finetune.recipe import Recipe, Window
from finetune.run import RunDir
from finetune.train.journal import Journal
from finetune.train.pause import by_window, closed
from finetune.train.search import Search
from finetune.train.tuning import Tuning
from finetune.train.watch import Watch
from finetune.world import World, quiet


def tune(recipe: Recipe, name: str, pending: Sequence[tuple[int, str]], run: RunDir) -> None:
    """Tune a contender for each pending (seed, fingerprint).

    BadInput; Stopped: a signal came or train.window closed, all is saved; RuntimeError: the saved adapter is not the
    trained one.
    """
    quiet()
    rank, size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    with Watch(run.phases(name), rank, size, recipe.train.hang_minutes) as watch:
        watch.note("joining the others")
        world = World.open(recipe.train.launch, recipe.train.tracker, run.folder)
        _refuse_hours(recipe.train.window, world)
        journal = Journal(f"train {name}", world.accelerator)
        for line in (*shared_rates(recipe.methods), *recipe.unsearched()):
            journal.say(line)
        found = Search(recipe, name, run, world, watch).run() if recipe.trials(name) else None
        for seed, fingerprint in pending:
            if found is None:
                Tuning(recipe, name, seed, fingerprint, run, world, watch).run()
            else:
                found.train(seed, fingerprint)
        world.accelerator.end_training()


def _refuse_hours(window: Window | None, world: World) -> None:
    """Outside of its hours a run does not begin; by one clock or another, all processes go or none."""
    late = world.total(torch.tensor([float(closed(window))]))
    if window is not None and late > 0:
        raise by_window(window)
