"""Seconds that the steps of a run should take, beside those that they took: both stand in train.json.

Told in every way that is at hand, each by its name:

    shelf         from the device's peaks (`finetune.plan.effort`), where its driver's name is on the shelf
    probe         from the step that `--probe` measured of this very training, on as many of the same device
    second step   from the run's own second step (the first one warms up): how even the rest is; none where
                  a start fell between the two

A run that ends early is held against what its own steps should have taken.
"""

from __future__ import annotations

from pathlib import Path

from finetune import plan
from finetune.recipe import Contender, Recipe
from finetune.run import Basis, Probed, RunDir
from finetune.train.loop import Work
from finetune.train.peak import planned
from finetune.train.savepoint import Progress
from finetune.world import World


def foreseen(
    contender: Contender, folder: Path, work: Work, world: World, progress: Progress, probe: Probed | None
) -> dict[Basis, float]:
    """Wall seconds of the steps that were taken. `folder` is the checkpoint's; `probe` is of this training."""
    found: dict[Basis, float | None] = {
        "shelf": _by_shelf(contender, folder, work, world, progress),
        "probe": progress.raw_tokens * probe.seconds / probe.tokens if probe else None,
        "second step": progress.useful_tokens * progress.pace if progress.step > 2 else None,
    }
    return {basis: seconds for basis, seconds in found.items() if seconds}


def fitting(run: RunDir, recipe: Recipe, name: str, world: World) -> Probed | None:
    """What a probe measured of this training (of another seed, maybe), on as many of the same device; else None."""
    found = Probed.read(run.probe(name))
    if found is None or (found.device, found.devices) != (world.device_name(), world.size):
        return None
    return found if found.fingerprint == recipe.train_fingerprint(name, recipe.seeds(name)[0]) else None


def _by_shelf(contender: Contender, folder: Path, work: Work, world: World, progress: Progress) -> float | None:
    device, terms = plan.known(world.device_name()), planned(contender, folder, work, world)
    if device is None or terms is None:
        return None
    taken = plan.Tuning(progress.useful_tokens, progress.target_tokens, 0)
    seconds = plan.tuning_seconds(*terms, taken, device, checkpointing=work.knobs.checkpointing)
    return seconds / world.size if seconds is not None else None
