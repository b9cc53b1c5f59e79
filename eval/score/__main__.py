"""ENGINE ROOM: one contender in, item scores and manifest out.

    python -m eval.score RECIPE --contender NAME [--seed N] [--out DIR] [--set key=value ...] [--data-root DIR]
    python -m eval.score RECIPE --contender NAME --probe | --timing [--items N] ...
    python -m eval.score RECIPE --contender NAME --membership ...

Works under `accelerate launch` and `torchrun` too; a second start scores only what is missing, with any number of
processes. Exit status: 0 done, 1 a fault of ours, 2 bad input (one line, and what was scored is kept).
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from eval import engines, pledge
from eval.answerable import refuse_unthought
from eval.benchmark import Benchmark
from eval.blind import refuse_blind
from eval.grading import finished, outdated
from eval.repeatability import told
from eval.score.ledger import note, promise
from finetune.collector import paused
from finetune.files import write_whole
from finetune.mistakes import BadInput, ended
from finetune.recipe import Recipe
from finetune.recipe.engine_choice import undecided
from finetune.recipe.engine_fit import Words
from finetune.run import RunDir

ITEMS = 128  # questions of a probe
TIMED = 32  # of a timing: seconds of a query vary less than what is answered


def main(argv: Sequence[str] | None = None) -> int:
    asked = _parser().parse_args(argv)
    if asked.data_root:
        os.environ["TUNEWORTH_DATA"] = str(asked.data_root)
    try:
        recipe = Recipe.read(asked.recipe, tuple(asked.set))
        if asked.probe:
            return probe(recipe, asked.contender, ITEMS if asked.items is None else asked.items, asked.out)
        if asked.membership:
            return membership(recipe, asked.contender, asked.out)
        if asked.timing:
            return timing(recipe, asked.contender, TIMED if asked.items is None else asked.items, asked.out)
        return score(recipe, asked.contender, asked.seed, asked.out)
    except Exception as fault:
        return ended(fault, option="--out", kept="what was scored is kept")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m eval.score", description="Score one contender of a recipe.")
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--contender", required=True, help="name in the recipe")
    parser.add_argument("--seed", type=int, help="of its training; all of train.seeds, one after another, without it")
    parser.add_argument("--probe", action="store_true", help="ask a sample again and again: repeatability.json")
    parser.add_argument(
        "--timing", action="store_true", help="time development questions, before the plan: timing.json"
    )
    parser.add_argument("--membership", action="store_true", help="Min-K%%++ of every question: membership.json")
    parser.add_argument(
        "--items", type=int, help=f"questions of the probe ({ITEMS}) or timing ({TIMED}): more see finer"
    )
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of the runs")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a key of the recipe")
    parser.add_argument("--data-root", type=Path, help="where cards look for their files (or TUNEWORTH_DATA)")
    return parser


def score(recipe: Recipe, name: str, seed: int | None, out: Path) -> int:
    """Score a contender for one training seed or all; what is done and unchanged is left alone. Gives the status."""
    recipe.refuse_unknown(name)
    if seed is not None and seed not in recipe.seeds(name):
        raise BadInput(f"--seed {seed}: {name} has {', '.join(map(str, recipe.seeds(name)))}")
    recipe, benchmark, run, why = _begun(recipe, name, out)
    pending = list(_pending(recipe, name, recipe.seeds(name) if seed is None else (seed,), benchmark, run))
    if not pending:
        return 0
    _hush()
    chosen = recipe.contenders[name]
    if why and engines.vllm_installed() and _is_main():
        print(f"score {name}: engine {chosen.engine.kind} ({why[0]})", flush=True)
    if chosen.here or _is_main():  # one process asks a server, or reads a log
        with run.hold(name, [each for each, _ in pending]):
            _sit(recipe, name, pending, benchmark, run, why)
    return 0


def _is_main() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _pending(
    recipe: Recipe, name: str, seeds: Sequence[int], benchmark: Benchmark, run: RunDir
) -> Iterator[tuple[int, str]]:
    """(seed, score fingerprint) of what is not done; of what is, a line."""
    for each in seeds:
        fingerprint = recipe.score_fingerprint(name, each, benchmark.digests)
        done = finished(run.seed(name, each), fingerprint)
        if done is None:
            yield each, fingerprint
        elif _is_main():
            note = outdated(done.scoring.extractor, benchmark.carded) if done.scoring else ""
            print(f"score {name} seed {each}: done, unchanged{note}", flush=True)


def _sit(
    recipe: Recipe, name: str, pending: Sequence[tuple[int, str]], benchmark: Benchmark, run: RunDir, why: Words | None
) -> None:
    """By whatever answers for the contender: its model here, its log, or its server."""
    chosen = recipe.contenders[name]
    if chosen.here:
        with paused():
            from eval.score.sitting import sit as sit_here  # torch and transformers take seconds to load

        sit_here(recipe, name, pending, benchmark, run, why)
        return
    if chosen.items:
        from eval.score.logged import sit
    else:
        from eval.score.served import sit
    sit(recipe, name, pending, benchmark, run)


def _begun(recipe: Recipe, name: str, out: Path) -> tuple[Recipe, Benchmark, RunDir, Words | None]:
    """The recipe with the engine that runs `name` here, and why it is this one; None where the recipe names it.

    BadInput: what the run was begun with is not here, a thinking contender would choose without its thought, or a task
    is passed blind.
    """
    benchmark, run = Benchmark.read(recipe), RunDir(out / recipe.name)
    refuse_unthought(recipe, benchmark)
    refuse_blind(recipe, benchmark)
    if not undecided(recipe.contenders[name]):
        return recipe, benchmark, run, None
    found = engines.decide(recipe, benchmark, run)
    return engines.with_engine(recipe, benchmark, found.engine), benchmark, run, found.words


def probe(recipe: Recipe, name: str, count: int, out: Path) -> int:
    """Measure what a contender differs by from itself, on about `count` questions. Gives the status."""
    recipe.refuse_unknown(name)
    if count < 2:
        raise BadInput(f"--items {count}: an interval needs two questions at least")
    if recipe.contenders[name].items:
        raise BadInput(f"--probe: the answers of {name} were given elsewhere, and nobody can be asked again")
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise BadInput("--probe: runs in one process; start it without a launcher")
    _hush()
    recipe, benchmark, run, why = _begun(recipe, name, out)
    seed = recipe.seeds(name)[0]
    scorer = recipe.score_fingerprint(name, seed, benchmark.digests)
    if recipe.contenders[name].served:
        from eval.score.repeat_served import repeat
    else:
        from eval.score.repeat import repeat
    with run.hold(name, [seed]):
        promise(recipe, run, benchmark)
        note(run, "probe", name, seed, scorer, recipe.contenders[name].engine.kind, why)
        found = repeat(recipe, name, scorer, benchmark, run, count)
        found.write(run.repeatability(name))
    print(f"probe {name}: {told(found)}", flush=True)
    return 0


def membership(recipe: Recipe, name: str, out: Path) -> int:
    """Measure how likely a contender finds the words of the exam's questions. Gives the status."""
    recipe.refuse_unknown(name)
    chosen = recipe.contenders[name]
    if chosen.items or chosen.served:
        raise BadInput(f"--membership: {name} is asked elsewhere, where nobody tells how likely a question's words are")
    if chosen.head:
        raise BadInput(f"--membership: {name} answers by a classification head, and says of no word how likely it is")
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise BadInput("--membership: runs in one process; start it without a launcher")
    _hush()
    recipe, benchmark, run, why = _begun(recipe, name, out)
    seed, chosen = recipe.seeds(name)[0], recipe.contenders[name]  # with the engine that its score is made by
    scorer = recipe.score_fingerprint(name, seed, benchmark.digests)
    from eval.score.familiar import familiar

    with run.hold(name, [seed]):
        promise(recipe, run, benchmark)
        note(run, "membership", name, seed, scorer, chosen.engine.kind, why)
        found = familiar(recipe, name, scorer, benchmark, run)
        found.write(run.membership(name))
    asked = sum(map(len, found.scores.values()))
    print(f"membership {name}: {len(found.flagged)} of {asked} questions flagged", flush=True)
    return 0


def timing(recipe: Recipe, name: str, count: int, out: Path) -> int:
    """Time a contender on about `count` development questions, of which no score is kept. Gives the status."""
    recipe.refuse_unknown(name)
    recipe, benchmark, run, why = _begun(recipe, name, out)
    seed = recipe.seeds(name)[0]
    if count < 1:
        raise BadInput(f"--items {count}: one question is needed at least")
    if recipe.contenders[name].items:
        raise BadInput(f"--timing: the answers of {name} were given elsewhere, and nobody can be timed")
    if not any(task.dev for task in benchmark.tasks):
        raise BadInput("--timing: needs development questions, which are never judged on; set exam.dev, such as 0.2")
    if pledge.read(run):
        raise BadInput(f"--timing: the plan stands ({run.plan}), and what is timed after it cannot make its margin")
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise BadInput("--timing: runs in one process; start it without a launcher")
    _hush()
    scorer = recipe.score_fingerprint(name, seed, benchmark.digests)
    from eval.score.timing import clocked

    with run.hold(name, [seed]):
        note(run, "timing", name, seed, scorer, recipe.contenders[name].engine.kind, why)
        found = clocked(recipe, name, scorer, benchmark, run, count)
        write_whole(run.timing(name), found.model_dump_json(indent=1) + "\n")
    print(f"timing {name}: {found.seconds:.4g} s a query over {found.answers} answers", flush=True)
    return 0


def _hush() -> None:
    os.environ.setdefault("TQDM_DISABLE", "1")  # lm-eval's and transformers' bars would tear ours
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # warns of a kernel that nothing here uses


if __name__ == "__main__":
    sys.exit(main())
