"""ENGINE ROOM: one contender in, item scores and manifest out.

    python -m eval.score RECIPE --contender NAME [--seed N] [--out DIR] [--set key=value ...] [--data-root DIR]

Works under `accelerate launch` and `torchrun` too; a second start scores only what is missing, with any number of
processes. Exit status: 0 done, 1 a fault of ours, 2 bad input (one line, and what was scored is kept).
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from eval.benchmark import Benchmark
from eval.grading import outdated
from finetune.mistakes import BadInput, of_the_disk
from finetune.recipe import Recipe
from finetune.run import RunDir


def main(argv: Sequence[str] | None = None) -> int:
    asked = _parser().parse_args(argv)
    if asked.data_root:
        os.environ["TUNEWORTH_DATA"] = str(asked.data_root)
    try:
        recipe = Recipe.read(asked.recipe, tuple(asked.set))
        return score(recipe, asked.contender, asked.seed, asked.out)
    except BadInput as fault:
        return _say_bad(str(fault))
    except Exception as fault:
        said = of_the_disk(fault, option="--out", kept="what was scored is kept")
        if said is None:
            raise
        return _say_bad(said)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m eval.score", description="Score one contender of a recipe.")
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--contender", required=True, help="name in the recipe")
    parser.add_argument("--seed", type=int, help="of its training; all of train.seeds, one after another, without it")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of the runs")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a key of the recipe")
    parser.add_argument("--data-root", type=Path, help="where cards look for their files (or TUNEWORTH_DATA)")
    return parser


def _say_bad(text: str) -> int:
    rank = os.environ.get("RANK", "0")
    print(f"tuneworth: {text}" if rank == "0" else f"tuneworth (process {rank}): {text}", file=sys.stderr, flush=True)
    return 2


def score(recipe: Recipe, name: str, seed: int | None, out: Path) -> int:
    """Score a contender for one training seed or all; what is done and unchanged is left alone. Gives the status."""
    if name not in recipe.contenders:
        raise BadInput(f"--contender {name}: unknown; the recipe has {', '.join(recipe.contenders)}")
    if seed is not None and seed not in recipe.seeds(name):
        raise BadInput(f"--seed {seed}: {name} has {', '.join(map(str, recipe.seeds(name)))}")
    run = RunDir(out / recipe.name)
    pending: list[tuple[int, str]] = []
    benchmark = Benchmark.read(recipe)
    for each in recipe.seeds(name) if seed is None else (seed,):
        fingerprint = recipe.score_fingerprint(name, each, benchmark.digests)
        done = run.seed(name, each).scored()
        if done and done.fingerprint == fingerprint:
            if os.environ.get("RANK", "0") == "0":
                note = outdated(done.scoring.extractor, benchmark.tasks) if done.scoring else ""
                print(f"score {name} seed {each}: done, unchanged{note}", flush=True)
        else:
            pending.append((each, fingerprint))
    if not pending:
        return 0
    os.environ.setdefault("TQDM_DISABLE", "1")  # lm-eval's and transformers' bars would tear ours
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # warns of a kernel that nothing here uses
    served = recipe.contenders[name].served is not None
    if served and os.environ.get("RANK", "0") != "0":
        return 0  # one process asks a server
    with run.hold(name, [each for each, _ in pending]):
        if served:
            from eval.score.served import sit
        else:
            from eval.score.sitting import sit  # torch and transformers take seconds to load
        sit(recipe, name, pending, benchmark, run)
    return 0


if __name__ == "__main__":
    sys.exit(main())
