"""The entry point of training: what is asked, what is done already, and how it ends.

    python -m finetune.train RECIPE --contender NAME [--seed N] [--out DIR] [--set key=value ...] [--data-root DIR]

With `--probe` one step at the heaviest batch is measured, printed as JSON, and nothing is trained.
Works under `accelerate launch` and `torchrun` too; a second start goes on where a killed one was. Exit status: 0 done,
1 a fault of ours, 2 bad input (one line, and what was done is kept), 75 paused and saved outside of train.window,
128 + n stopped and saved at signal n. Launchers of several processes give 1 for each of the last two.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from finetune.collector import paused
from finetune.files import write_whole
from finetune.mistakes import BadInput, complain, ended
from finetune.recipe import Recipe
from finetune.run import RunDir

RANK = os.environ.get("RANK", "0")  # as torchrun and accelerate launch set it


def main(argv: Sequence[str] | None = None) -> int:
    asked = _parser().parse_args(argv)
    if asked.data_root:
        os.environ["TUNEWORTH_DATA"] = str(asked.data_root)
    try:
        recipe = Recipe.read(asked.recipe, tuple(asked.set))
        if asked.probe:
            return measure(recipe, asked.contender, asked.out)
        return train(recipe, asked.contender, asked.seed, asked.out)
    except Exception as fault:
        return ended(fault, option="--out", kept="what was saved is kept")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m finetune.train", description="Tune one contender of a recipe.")
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--contender", required=True, help="name in the recipe")
    parser.add_argument("--seed", type=int, help="one of train.seeds; all of them, one after another, without it")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of the runs")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a key of the recipe")
    parser.add_argument("--data-root", type=Path, help="where cards look for their files (or TUNEWORTH_DATA)")
    parser.add_argument("--probe", action="store_true", help="measure one step at the heaviest batch, train nothing")
    return parser


def measure(recipe: Recipe, name: str, out: Path) -> int:
    """Take one step at the heaviest batch, print its memory and time as JSON, and train nothing."""
    _refuse_untuned(recipe, name, None)
    from finetune.train.probe import probe

    probe(recipe, name, RunDir(out / recipe.name))
    return 0


def train(recipe: Recipe, name: str, seed: int | None, out: Path) -> int:
    """Tune a contender for one seed or all; what is done and unchanged is left alone. Gives the exit status."""
    _refuse_untuned(recipe, name, seed)
    run, pending = RunDir(out / recipe.name), []
    for each in recipe.seeds(name) if seed is None else (seed,):
        fingerprint, done = recipe.train_fingerprint(name, each), run.seed(name, each).trained()
        if done is None or done.fingerprint != fingerprint:
            pending.append((each, fingerprint))
        elif RANK == "0":
            print(f"train {name} seed {each}: done, unchanged", flush=True)
    if not pending:
        return 0
    with run.hold(name, [each for each, _ in pending], search=_searching(recipe, name, run)):
        return _tune(recipe, name, pending, run)


def _searching(recipe: Recipe, name: str, run: RunDir) -> bool:
    """Whether trials are still to be run; once search.json is there, seeds may be trained side by side."""
    path, wanted = run.search(name) / "search.json", bool(recipe.trials(name))
    try:
        found = json.loads(path.read_text("utf-8"))["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError):
        return wanted
    return wanted and bool(found != recipe.train_fingerprint(name, recipe.train.seeds[0]))


def _tune(recipe: Recipe, name: str, pending: list[tuple[int, str]], run: RunDir) -> int:
    with paused():
        from finetune.train.pause import Stopped  # torch takes its time: what is bad or done was said before
        from finetune.train.seeds import tune

    _forget_pause(run.paused(name))
    try:
        tune(recipe, name, pending, run)
    except Stopped as stop:
        if stop.opens and RANK == "0":
            write_whole(run.paused(name), f"{stop}\n{stop.opens.timestamp():.0f}\n")
        return complain(str(stop), stop.status)
    return 0


def _forget_pause(note: Path) -> None:
    if RANK == "0":
        note.unlink(missing_ok=True)


def _refuse_untuned(recipe: Recipe, name: str, seed: int | None) -> None:
    recipe.refuse_unknown(name)
    if recipe.contenders[name].method is None:
        raise BadInput(f"--contender {name}: has no method, so there is nothing to train")
    if seed is not None and seed not in recipe.seeds(name):
        raise BadInput(f"--seed {seed}: not among train.seeds ({', '.join(map(str, recipe.seeds(name)))})")


if __name__ == "__main__":
    sys.exit(main())
