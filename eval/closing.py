"""The close of a run: scores judged, the page written, answers read anew, the outcome as an exit status."""

from pathlib import Path
from typing import Any

import typer

from finetune.files import write_whole
from finetune.recipe import Recipe
from finetune.run import RunDir

GATE = {"worth_it": 0, "not_worth_it": 3, "inconclusive": 4, "invalid": 5, "exploratory": 8}


def judge(recipe: Recipe, out: Path, console: Any) -> None:
    """Weigh the scores: verdict.json, and a table on a rich console."""
    from eval.report import table
    from eval.verdict import judge as weigh

    folder = RunDir(out / recipe.name)
    verdict = weigh(recipe, folder)
    write_whole(folder.verdict, verdict.model_dump_json(indent=1) + "\n")
    console.print(table(verdict))


def report(recipe: Recipe, out: Path) -> None:
    """The page, from verdict.json."""
    from eval.report import render
    from eval.verdict import Verdict

    folder = RunDir(out / recipe.name)
    write_whole(folder.report, render(Verdict.read(folder.verdict)))
    typer.echo(f"report: {folder.report}")


def regraded(recipe: Recipe, out: Path, only: str | None) -> None:
    """Answers read by today's extractor, what changed by contender and task, and whether the verdict moved."""
    from eval.regrade import regrade

    found = regrade(recipe, RunDir(out / recipe.name), only)
    for each in found.moved:
        more = f", {each.readings} more were read otherwise" if each.readings else ""
        place = f"{each.contender} seed {each.seed}, {each.task}"
        typer.echo(f"regrade {place}: {each.outcomes} of {each.answers} outcomes changed{more}")
        for example in each.examples:
            typer.echo(f"  {example}")
    typer.echo(f"{found.said}; `tuneworth judge` writes it")


def leave(recipe: Recipe, out: Path, gate: bool) -> None:
    """With --gate the exit status tells the outcome."""
    if not gate:
        return
    from eval.verdict import Verdict

    verdict = Verdict.read(RunDir(out / recipe.name).verdict)
    if verdict.plumbing is not None:
        raise typer.Exit(0 if verdict.plumbing.passed else 7)
    raise typer.Exit(GATE[verdict.outcome])
