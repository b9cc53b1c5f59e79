"""What all commands share: the terminal they print to, and where data cards look for their files."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

WIDE = 140  # columns
DataRoot = Annotated[
    Path | None, typer.Option("--data-root", envvar="TUNEWORTH_DATA", help="Where cards look for their files")
]
WithText = Annotated[bool, typer.Option("--with-text", help="Show texts of private cards too; never where CI is set")]
NoText = Annotated[bool, typer.Option("--no-text", help="No question or answer on the page: ids and outcomes only")]


def console() -> Any:
    """The terminal as it is; a pipe or a log has no width of its own and takes tables as wide as they are read."""
    from rich.console import Console

    known = sys.stdout.isatty() or os.environ.get("COLUMNS")
    return Console() if known else Console(width=WIDE)


def table(title: str, *heads: str, numbers: Collection[str] = ()) -> Table:
    """Without lines, so that nine columns stand within 80; what is too long for its column goes on below, uncut.

    The columns headed by one of `numbers` stand flush right, whole.
    """
    from rich.table import Table

    made = Table(title=title or None, title_justify="left", header_style="dim", box=None, padding=(0, 2, 0, 0))
    made.pad_edge = False
    for head in heads:
        if head in numbers:  # never folded; a head of two words takes two lines
            made.add_column(head.replace(" ", "\n") if head.count(" ") == 1 else head, justify="right", no_wrap=True)
        else:
            made.add_column(head, overflow="fold")
    return made


def look_in(root: Path | None) -> None:
    """From here on cards look for their files in this folder; None leaves it as it is."""
    if root is not None:
        os.environ["TUNEWORTH_DATA"] = str(root)
