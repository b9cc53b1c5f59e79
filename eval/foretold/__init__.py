"""What the exam is foretold to take of each contender, for the plan to keep: tokens written, seconds where priced."""

from contextlib import suppress
from pathlib import Path

from eval.benchmark import Benchmark
from eval.foretold.hours import seconds
from eval.foretold.lengths import written
from eval.foretold.load import read_load
from eval.pledge import Foretold
from finetune import plan
from finetune.mistakes import BadInput
from finetune.recipe import Recipe


def foretold(recipe: Recipe, benchmark: Benchmark, out: Path) -> dict[str, Foretold]:
    """By contender, all seeds together, as `tuneworth check` has it; of answers given elsewhere nothing."""
    here = {name: chosen for name, chosen in recipe.contenders.items() if chosen.items is None}
    return {name: _foretold(recipe, benchmark, name, out) for name in here}


def _foretold(recipe: Recipe, benchmark: Benchmark, name: str, out: Path) -> Foretold:
    contender, seeds = recipe.contenders[name], len(recipe.seeds(name))
    tasks = [task for task in benchmark.asked if task.protocol == "generated" and not contender.head]
    answers = seeds * recipe.exam.samples * sum(len(task.rows) for task in tasks)
    each = written(recipe, benchmark, name, out)
    took = _seconds(recipe, benchmark, name, out) if contender.here else None
    device = recipe.costs.device or "" if took is not None else ""
    told = each.told if answers else ""
    return Foretold(answers=answers, tokens_written=answers * each.tokens, told=told, seconds=took, device=device)


def _seconds(recipe: Recipe, benchmark: Benchmark, name: str, out: Path) -> float | None:
    """Of the device that the recipe prices; None where it names none of the shelf, or a contender has no plan."""
    device = plan.shelf().get(recipe.costs.device or "")
    with suppress(BadInput):
        return seconds(recipe, read_load(recipe, benchmark, name, out), device)[1] if device else None
    return None
