"""The peak of memory that a run should have, beside the one it has: both stand in train.json.

On an accelerator all of it is planned (`finetune.plan`), the driver's own apart, which torch does not count either. On
a processor what stands before training, libraries and weights, is measured, and what training adds is planned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from finetune import plan
from finetune.mistakes import BadInput
from finetune.plan import GIB, Base, Share
from finetune.recipe import Contender
from finetune.shape import Shape
from finetune.train.loop import Work
from finetune.train.packing import Sheet
from finetune.world import World

PAGES = 0.2 * GIB  # of libraries first touched by a backward pass, and what the allocator does not hand back


def predicted(contender: Contender, folder: Path, work: Work, world: World, standing: int) -> int:
    """Bytes, in the terms of `World.peak_memory`; 0 for an architecture that has no plan."""
    terms = planned(contender, folder, work, world)
    if terms is None:
        return 0
    split = world.size if world.sharded else 1
    needed = plan.memory(*terms, largest(work, world), split=split, context=0)
    if world.device.type != "cpu":
        return int(needed.held)
    return int(standing + PAGES + replace(needed, weights=0).held)


def planned(contender: Contender, folder: Path, work: Work, world: World) -> tuple[Shape, Share, Base] | None:
    """A tuning in the plan's terms; `folder` is the checkpoint's. None for an architecture that has no plan."""
    try:
        shape = Shape.read(folder)
    except BadInput:
        return None
    base: Base = "nf4_double" if contender.four_bit else "float32"
    if not contender.four_bit and str(world.dtype(contender.model.dtype)).endswith("bfloat16"):
        base = "bfloat16"
    mixed, optimizer = base != "float32", work.knobs.optimizer
    return shape, plan.share(shape, contender.method, optimizer, mixed=mixed, labels=len(work.labels)), base


def largest(work: Work, world: World) -> plan.Sheet:
    """What the largest forward passes of the heaviest step come to."""
    sheets = sheets_of(work, heaviest(work), world)
    most = max(sheets, key=lambda sheet: sheet.raw)
    width = max(max(sheet.lengths, default=sheet.ids.shape[1]) for sheet in sheets)
    packed = any(sheet.lengths for sheet in sheets)
    targets = max(sheet.targets for sheet in sheets)
    return plan.Sheet(most.raw, width, work.knobs.checkpointing, packed, targets, len(work.labels))


def heaviest(work: Work) -> tuple[int, ...]:
    """The step with the longest row; of several the one with most tokens."""

    def weight(step: tuple[int, ...]) -> tuple[int, int]:
        lengths = [len(work.train[index]) for index in step]
        return max(lengths), sum(lengths)

    return max(work.steps, key=weight)


def sheets_of(work: Work, step: Sequence[int], world: World) -> list[Sheet]:
    """The forward passes of a step, by the indices of its examples."""
    return work.sheets([work.train[index] for index in step], world)
