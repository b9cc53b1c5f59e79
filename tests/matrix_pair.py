"""One of two processes: trains what the JSON file names, one run after another, and notes what was refused.

    python -m torch.distributed.run --standalone --nproc_per_node=2 tests/matrix_pair.py JOBS.json

`split` stands for FSDP2: torch's own `fully_shard` on a mesh of processors, as `World.place` calls it, without
accelerate's launch, which knows FSDP on accelerators only. Starting two processes takes far longer than a run.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from torch.distributed.tensor import DTensor

from finetune.mistakes import BadInput
from finetune.recipe import Recipe
from finetune.train.__main__ import RANK, train
from finetune.world import World

OPEN, PLACE = World.open.__func__, World.place


def _open_split(cls: type[World], *asked: Any) -> World:
    return World(OPEN(cls, *asked).accelerator, sharded=True)


def _place_split(world: World, model: Any, adapter: Any) -> None:
    """As ever; then each layer's frozen weights must be halves, and what is trained whole."""
    PLACE(world, model, adapter)
    split = {name for name, parameter in model.named_parameters() if isinstance(parameter, DTensor)}
    frozen = {name for name, p in model.named_parameters() if ".layers." in name and not p.requires_grad}
    assert split, "nothing was split"
    assert split == {name for name in frozen if "prompt_encoder" not in name}, split ^ frozen


def main() -> None:
    path = Path(sys.argv[1])
    Accelerator.end_training = lambda self: None  # it would leave the group, and the next run needs it
    said = {}
    for job in json.loads(path.read_text("utf-8")):
        World.open = classmethod(_open_split if job["split"] else OPEN)
        World.place = _place_split if job["split"] else PLACE
        recipe, said[job["recipe"]] = Path(job["recipe"]), ""
        try:
            train(Recipe.read(recipe, tuple(job["changes"])), job["contender"], None, recipe.parent / "runs")
        except BadInput as fault:
            said[job["recipe"]] = str(fault)
    if RANK == "0":
        path.with_suffix(".said").write_text(json.dumps(said), "utf-8")


if __name__ == "__main__":
    main()
