"""The front door: `tuneworth check | train | score | judge | report | run | export | leaderboard | verify | data ...`.

It spells lines for the engine rooms and imports other rooms only when a command needs them. Exit status: 0 done, 1 a
fault of ours (with a trace), 2 bad input (one clear message, nothing written), 75 paused outside of train.window."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from eval import cards, review
from eval.terminal import DataRoot, NoText, WithText, console, look_in
from finetune.mistakes import BadInput, told

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Is tuning an older, distilled checkpoint worth it, against a newer base untuned?\n\n"
    "Example: tuneworth check recipes/demo.yaml && tuneworth run recipes/demo.yaml",
)
data_app = typer.Typer(no_args_is_help=True, help="Check data cards, or draft a card and an exam from a file of yours.")
app.add_typer(data_app, name="data")

RecipeFile = Annotated[Path, typer.Argument(help="A recipe in YAML, such as recipes/demo.yaml", show_default=False)]
Out = Annotated[Path, typer.Option("--out", help="Folder of the runs")]
Changes = Annotated[
    list[str], typer.Option("--set", metavar="KEY.PATH=VALUE", help="Change a key, recorded in the plan")
]
Only = Annotated[str | None, typer.Option("--contender", help="Only this contender (all of them without it)")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the lines that would be run, and run nothing")]
Launcher = Annotated[
    str | None, typer.Option("--launcher", help="With --dry-run: `slurm` prints a job script for sbatch")
]
Probe = Annotated[bool, typer.Option("--probe", help="Measure noise floor, batch invariance and engine parity")]
Timing = Annotated[
    bool, typer.Option("--timing", help="Time development questions before the plan: costs.planned.timing")
]
Member = Annotated[bool, typer.Option("--membership", help="Flag questions a contender may know (Min-K%++)")]
Count = Annotated[
    int | None, typer.Option("--items", help="Questions of probe (128) or timing (32): four times halve errors")
]
Gate = Annotated[bool, typer.Option("--gate", help="Exit status tells the outcome: 0, 3, 4, 5, 8; smoke: 0 or 7")]
Junit = Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="JUnit XML: the verdict and each gate")]
Baseline = Annotated[
    Path | None, typer.Option("--baseline", metavar="FILE", help="An earlier verdict.json of this study: shows drift")
]
Schema = Annotated[bool, typer.Option("--schema", help="Print the JSON schema of a recipe, for editors")]
Device = Annotated[str | None, typer.Option("--device", help="Plan hours and money on it: h100, rtx4090, ...")]
Devices = Annotated[int, typer.Option("--devices", min=1, help="How many of them")]
RUNS = Path("runs")


def careful(command: Callable[..., Any]) -> Callable[..., Any]:
    """Bad input becomes one line and status 2; anything else is a fault of ours and keeps its trace."""

    @wraps(command)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except (BadInput, OSError) as fault:
            typer.echo(f"tuneworth: {told(fault)}", err=True)
            raise typer.Exit(2) from None

    return guarded


@app.command()
@careful
def check(
    recipe: Annotated[Path | None, typer.Argument(help="A recipe in YAML", show_default=False)] = None,
    schema: Schema = False,
    changes: Changes = [],  # noqa: B006 (typer reads the default)
    data_root: DataRoot = None,
    device: Device = None,
    devices: Devices = 1,
    out: Annotated[Path, typer.Option("--out", help="Folder of runs that show how well memory was planned")] = RUNS,
    with_text: WithText = False,
) -> None:
    """Resolve a recipe, refuse nonsense, show one example with its trained tokens, power, cost and the plan.

    Example: tuneworth check recipes/demo.yaml --set train.epochs=3 --device h100 --devices 8
    """
    if schema:
        import json

        from finetune.recipe import Recipe

        typer.echo(json.dumps(Recipe.model_json_schema(), ensure_ascii=False, indent=1))
        return
    if recipe is None:
        raise BadInput("check needs a recipe (or --schema): tuneworth check recipes/demo.yaml")
    from eval.check import show
    from eval.forecast import Wish
    from finetune.plan import find

    wish = Wish(find(device), devices) if device else None
    show(_read(recipe, changes, data_root), console(), wish, out, with_text=with_text)


@app.command()
@careful
def train(
    recipe: RecipeFile, contender: Only = None, out: Out = RUNS, changes: Changes = [],  # noqa: B006
    data_root: DataRoot = None, dry_run: DryRun = False, launcher: Launcher = None,
) -> None:  # fmt: skip
    """Tune the contenders that have a method. Example: tuneworth train recipes/demo.yaml --contender lora

    On a cluster: tuneworth train recipes/x.yaml --dry-run --launcher slurm > job.sh && sbatch job.sh
    """
    from eval.course import Course

    course = Course(_read(recipe, changes, data_root), recipe, out, tuple(changes), dry_run)
    if launcher:
        if launcher != "slurm" or not dry_run:
            raise BadInput(f"--launcher {launcher}: only --dry-run --launcher slurm is known; it prints a job script")
        typer.echo(course.script(contender), nl=False)
        return
    course.build()
    course.train(contender)


@app.command()
@careful
def score(
    recipe: RecipeFile, contender: Only = None, out: Out = RUNS, changes: Changes = [],  # noqa: B006
    data_root: DataRoot = None, dry_run: DryRun = False, probe: Probe = False, timing: Timing = False,
    count: Count = None, membership: Member = False,
) -> None:  # fmt: skip
    """Let contenders sit the exam. Example: tuneworth score recipes/demo.yaml --contender newer

    With --probe none sits it: a sample is asked again, alone, and on the other engine, for the gates of the judge.
    With --timing none does either: challengers and incumbent are timed on development questions, for the margin.
    With --membership the questions themselves are read: flags of what may have been learned, which decide nothing.
    """
    from eval.course import Course

    if count is not None and not (probe or timing):
        raise BadInput(f"--items {count}: is of --probe and --timing; the exam asks all its questions")
    if probe + timing + membership > 1:
        raise BadInput("--probe, --timing and --membership: one after the other")
    course = Course(_read(recipe, changes, data_root), recipe, out, tuple(changes), dry_run)
    course.build()
    if timing:
        course.time(contender, count)
    elif membership:
        course.membership(contender)
    else:
        course.repeat(contender, count) if probe else course.score(contender)


@app.command()
@careful
def opinions(
    recipe: RecipeFile, contender: Only = None, out: Out = RUNS, changes: Changes = [], data_root: DataRoot = None,  # noqa: B006
) -> None:  # fmt: skip
    """Ask the recipe's judge (exam.judge) which free answers are better, and lay the same pairs out for people.

    Example: tuneworth opinions recipe.yaml --contender lora
    """
    from eval.opinion.asking import give
    from finetune.run import RunDir

    read = _read(recipe, changes, data_root)
    give(read, RunDir(out / read.name), typer.echo, contender)


@app.command()
@careful
def judge(
    recipe: RecipeFile, out: Out = RUNS, changes: Changes = [], data_root: DataRoot = None, gate: Gate = False,  # noqa: B006
    junit: Junit = None, baseline: Baseline = None, with_text: WithText = False, no_text: NoText = False,
) -> None:  # fmt: skip
    """Weigh the scores: verdict.json, flips.json.gz, verdict.md, a table. Example: tuneworth judge recipes/demo.yaml

    In CI: tuneworth judge recipes/demo.yaml --gate --junit junit.xml --baseline kept/verdict.json
    """
    from eval import closing
    from eval.flips.texts import Texts

    read, texts = _read(recipe, changes, data_root), Texts(with_text, no_text)
    closing.judge(read, out, texts, junit, closing.expected(read, junit, baseline))
    closing.leave(read, out, gate)


@app.command()
@careful
def report(
    recipe: RecipeFile, out: Out = RUNS, changes: Changes = [], data_root: DataRoot = None,  # noqa: B006
    no_text: NoText = False,
) -> None:  # fmt: skip
    """Write the page from verdict.json: one offline file. Example: tuneworth report recipes/demo.yaml

    With --no-text the page alone is without words; flips.json.gz keeps them, and nothing is judged anew.
    """
    from eval.closing import report as write

    write(_read(recipe, changes, data_root), out, told=not no_text)


@app.command()
@careful
def regrade(
    recipe: RecipeFile, contender: Only = None, out: Out = RUNS, changes: Changes = [], data_root: DataRoot = None,  # noqa: B006
) -> None:  # fmt: skip
    """Read the logged answers by today's extractor, without a model: how many turned, and whether the verdict moved.

    Example: tuneworth regrade recipes/demo.yaml
    """
    from eval.closing import regraded

    regraded(_read(recipe, changes, data_root), out, contender)


@app.command()
@careful
def run(
    recipe: RecipeFile, out: Out = RUNS, changes: Changes = [], data_root: DataRoot = None,  # noqa: B006
    gate: Gate = False, dry_run: DryRun = False, junit: Junit = None, baseline: Baseline = None,
    with_text: WithText = False, no_text: NoText = False,
) -> None:  # fmt: skip
    """All of it, skipping what is done and unchanged; goes on after a kill. Example: tuneworth run recipes/demo.yaml"""
    from eval import closing
    from eval.course import Course
    from eval.flips.texts import Texts

    read, texts = _read(recipe, changes, data_root), Texts(with_text, no_text)
    before = closing.expected(read, junit, baseline)
    course = Course(read, recipe, out, tuple(changes), dry_run)
    course.build()
    course.pledge()
    course.train(None)
    course.score(None)
    if not dry_run:
        if read.exam.judge:
            from eval.opinion.asking import give

            give(read, course.folder, typer.echo)
        closing.judge(read, out, texts, junit, before)
        closing.report(read, out)
        closing.leave(read, out, gate)


@app.command()
@careful
def export(
    recipe: RecipeFile,
    contender: Annotated[str, typer.Option("--contender", help="Which one", show_default=False)],
    seed: Annotated[int | None, typer.Option("--seed", help="Which training; needed where there are several")] = None,
    merge: Annotated[bool, typer.Option("--merge", help="Whole weights: the adapter added into a fresh base")] = False,
    to: Annotated[Path | None, typer.Option("--to", help="Folder to be made (beside the adapter without it)")] = None,
    out: Out = RUNS, changes: Changes = [],  # noqa: B006
    data_root: DataRoot = None, dry_run: DryRun = False,
) -> None:  # fmt: skip
    """Hand on what was tuned: adapter or merged weights, tokenizer, generation config, model card with licences.

    Example: tuneworth export recipes/demo.yaml --contender lora --merge --to lora-merged
    """
    from eval.course import Course

    course = Course(_read(recipe, changes, data_root), recipe, out, tuple(changes), dry_run)
    course.export(contender, seed, to, merge=merge)


app.command()(careful(review.leaderboard))
app.command()(careful(review.verify))


data_app.command("check")(careful(cards.check))
data_app.command("new")(careful(cards.new))


def _read(recipe: Path, changes: list[str], root: Path | None) -> Any:
    from finetune.recipe import Recipe

    look_in(root)
    return Recipe.read(recipe, tuple(changes))


def main() -> None:
    app()


if __name__ == "__main__":
    main()
