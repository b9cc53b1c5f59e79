"""What all commands share: the terminal they print to, and where data cards look for their files."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

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


def look_in(root: Path | None) -> None:
    """From here on cards look for their files in this folder; None leaves it as it is."""
    if root is not None:
        os.environ["TUNEWORTH_DATA"] = str(root)
