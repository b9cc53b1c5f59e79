"""The close of a run: scores judged, the page written, answers read anew, the outcome as an exit status."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from eval.terminal import console
from finetune.files import file_digest, write_whole
from finetune.mistakes import BadInput
from finetune.recipe import Recipe
from finetune.run import RunDir

SUMMARY = "GITHUB_STEP_SUMMARY"  # names the file that GitHub's actions show under a job

if TYPE_CHECKING:
    from eval.flips.texts import Texts
    from eval.outlets import Baseline
    from eval.verdict import Verdict


def judge(
    recipe: Recipe, out: Path, texts: "Texts", junit: Path | None = None, before: "Baseline | None" = None
) -> None:  # fmt: skip
    """Weigh the scores: verdict.json, flips.json.gz, verdict.md, JUnit XML where asked for, a table, and drift against
    a baseline."""
    from eval import flips
    from eval.flips.gather import gather
    from eval.report import table
    from eval.verdict import weigh
    from eval.verdict.evidence import Evidence

    folder = RunDir(out / recipe.name)
    evidence = Evidence.read(recipe, folder)
    verdict = weigh(evidence)
    write_whole(folder.verdict, verdict.model_dump_json(indent=1) + "\n")
    found = gather(evidence, verdict, folder, file_digest(folder.verdict), texts)
    flips.write(folder.flips, found.packed(), private=found.private)
    console().print(table(verdict))
    _hand_out(verdict, folder, junit, before)
    if recipe.train.tracker:
        from eval.outlets.tracked import track  # accelerate and W&B take their time

        typer.echo(track(recipe.train.tracker, recipe, folder, verdict, texts), err=True)


def expected(recipe: Recipe, junit: Path | None, baseline: Path | None) -> "Baseline | None":
    """The verdict that drift is measured from, before the work. BadInput: it is none, another study's, or of other
    questions; or what CI is to read cannot be written."""
    _refuse_closed(junit)
    if baseline is None:
        return None
    from eval.benchmark import Benchmark
    from eval.guards import guards
    from eval.outlets import Baseline

    before = Baseline.read(baseline)
    benchmark = Benchmark.read(recipe)
    before.refuse_other(
        recipe, benchmark.tasks, [task.name for each in guards(recipe, benchmark) for task in each.tasks]
    )
    return before


def _refuse_closed(junit: Path | None) -> None:
    if junit and not _open(junit):
        raise BadInput(f"--junit {junit}: cannot be written; name a file in a folder that is yours")
    named = os.environ.get(SUMMARY)
    if named and not (_open(Path(named)) and Path(named).parent.is_dir()):
        raise BadInput(f"{SUMMARY}: {named} cannot be added to; unset it, or name a file")


def _open(path: Path) -> bool:
    """Whether a file may be written there, its folders made."""
    if path.exists():
        return not path.is_dir() and os.access(path, os.W_OK)
    folder = next(each for each in path.absolute().parents if each.exists())
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _hand_out(verdict: "Verdict", folder: RunDir, junit: Path | None, before: "Baseline | None") -> None:
    """What CI reads; the file names of the verdict's twins are the run's own."""
    from eval import outlets

    changes = outlets.drift(before, verdict) if before else []
    for each in changes:
        typer.echo(f"drift 变动: {each.told}")
    told = outlets.brief(verdict, changes)
    write_whole(folder.summary, told)
    if junit:
        write_whole(junit, outlets.junit(verdict))
    _append(told)


def _append(told: str) -> None:
    """To the job's summary, where there is one; it may hold what other steps said. A full disk loses it alone."""
    named = os.environ.get(SUMMARY)
    if not named:
        return
    try:
        with open(named, "a", encoding="utf-8") as summary:
            summary.write(told + "\n")
    except OSError as fault:
        typer.echo(f"{SUMMARY}: {named} cannot be added to ({fault.strerror}); verdict.md holds the same", err=True)


def report(recipe: Recipe, out: Path, *, told: bool = True) -> None:
    """The page, from verdict.json and flips.json.gz; as private as these, unless it tells no text."""
    from eval import flips
    from eval.flips.texts import untold
    from eval.report import render
    from eval.verdict import Verdict

    folder = RunDir(out / recipe.name)
    verdict, found = Verdict.read(folder.verdict), flips.beside(folder.verdict, folder.flips)
    found = found if told or found is None else untold(found)
    flips.write(folder.report, render(verdict, found).encode(), private=found is not None and found.private)
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
    from eval.report.view import exit_status
    from eval.verdict import Verdict

    raise typer.Exit(exit_status(Verdict.read(RunDir(out / recipe.name).verdict)))
