"""Commands over data cards: `tuneworth data check | new`. Rooms are imported when they are needed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eval.terminal import DataRoot, WithText, console, look_in

Card = Annotated[Path, typer.Argument(help="A data card, such as data_cards/fineval.md")]
Against = Annotated[
    list[str], typer.Option("--against", metavar="CARD[#SPLIT]", help="An exam's card: what do these rows teach of it?")
]
Json = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="All that was found, ids too")]
Mask = Annotated[
    Path | None, typer.Option("--mask", metavar="FOLDER", help="Copy the files with placeholders for personal data")
]


def check(
    card: Card,
    data_root: DataRoot = None,
    against: Against = [],  # noqa: B006 (typer reads the default)
    json_file: Json = None,
    mask_to: Mask = None,
    with_text: WithText = False,
) -> None:
    """Verify a card's files and schema; duplicates, overlap with exams, personal data, balance, lengths, faults.

    Example: tuneworth data check data_cards/demo_tuning.md --against data_cards/demo_label.md --json found.json
    """
    from eval.intake import check as check_card
    from eval.intake import mask, table
    from finetune.files import write_whole
    from finetune.recipe import data_root as root

    look_in(data_root)
    found = check_card(card, root(), against, with_text=with_text)
    if json_file:
        write_whole(json_file, found.model_dump_json(indent=1) + "\n")
    console().print(table(found))
    if mask_to:
        told = ", ".join(f"{kind} {count}" for kind, count in mask(card, root(), mask_to).items())
        typer.echo(f"masked: {told or 'nothing'}; {mask_to / card.name}")
    if found.faults:
        raise typer.Exit(2)


def new(
    file: Annotated[Path, typer.Argument(help="Questions of yours in CSV or JSONL")],
    folder: Annotated[Path, typer.Option("--folder", help="Where the exam folder is made")] = Path("."),
    name: Annotated[str | None, typer.Option("--name", help="Of the exam; the file's name without it")] = None,
) -> None:
    """Draft a data card and a task folder from a file of yours, to be read and corrected.

    Example: tuneworth data new our_questions.csv --folder exams --name our_exam
    """
    from eval.intake import draft

    for path in draft(file, folder, name or file.stem):
        typer.echo(path)
