"""The entry point of exporting: one contender and seed as a folder for others.

    python -m finetune.export RECIPE --contender NAME [--seed N] [--merge] [--to DIR] [--out DIR] [--set key=value ...]

Exit status: 0 done, 1 a fault of ours, 2 bad input (one line, nothing written).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from finetune.collector import paused
from finetune.mistakes import BadInput, ended
from finetune.recipe import Recipe
from finetune.run import RunDir


def main(argv: Sequence[str] | None = None) -> int:
    asked = _parser().parse_args(argv)
    if asked.data_root:
        os.environ["TUNEWORTH_DATA"] = str(asked.data_root)
    try:
        recipe = Recipe.read(asked.recipe, tuple(asked.set))
        return export(recipe, asked.contender, asked.seed, asked.out, asked.to, merge=asked.merge)
    except Exception as fault:
        return ended(fault, option="--to", kept="nothing is kept")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m finetune.export", description="Hand on one tuned contender.")
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--contender", required=True, help="name in the recipe")
    parser.add_argument("--seed", type=int, help="one of train.seeds; not needed where there is but one")
    parser.add_argument("--merge", action="store_true", help="whole weights, the adapter added into a fresh base")
    parser.add_argument("--to", type=Path, help="folder to be made; without it export or merged beside the adapter")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of the runs")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a key of the recipe")
    parser.add_argument("--data-root", type=Path, help="where cards look for their files (or TUNEWORTH_DATA)")
    return parser


def export(recipe: Recipe, name: str, seed: int | None, out: Path, to: Path | None, *, merge: bool) -> int:
    """Write the folder. BadInput: not tuned here, not trained yet, cannot be merged, or the folder is there."""
    _refuse_untuned(recipe, name)
    chosen, run = _seed(recipe, name, seed), RunDir(out / recipe.name)
    with paused():
        from finetune.export.parcel import Parcel  # torch takes its time: a wrong name was said before
        from finetune.world import quiet

    quiet()
    parcel = Parcel.find(recipe, name, chosen, run, merge=merge)
    for torn in parcel.torn(to):
        print(f"unfinished: {torn}; remove it, unless another export is at work there", flush=True)
    print(f"exported to {parcel.write(to)}", flush=True)
    return 0


def _refuse_untuned(recipe: Recipe, name: str) -> None:
    recipe.refuse_unknown(name)
    chosen = recipe.contenders[name]
    if chosen.method is None:
        why = f"was tuned elsewhere and lies in {chosen.adapter}" if chosen.adapter else "has no method"
        raise BadInput(
            f"--contender {name}: {why}, so there is nothing to export; tuned are {', '.join(recipe.methods)}"
        )


def _seed(recipe: Recipe, name: str, asked: int | None) -> int:
    seeds = recipe.seeds(name)
    listed = ", ".join(map(str, seeds))
    if asked is None and len(seeds) > 1:
        raise BadInput(f"{name} has several seeds ({listed}), each with an adapter of its own; choose one with --seed")
    if asked is not None and asked not in seeds:
        raise BadInput(f"--seed {asked}: not among train.seeds ({listed})")
    return seeds[0] if asked is None else asked


if __name__ == "__main__":
    sys.exit(main())
