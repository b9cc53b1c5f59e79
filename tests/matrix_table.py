"""The matrix as Markdown: a row for a method where its architectures agree, else one for each; refusals below."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

BEGIN, END = "<!-- matrix: .venv/bin/python tests/matrix.py -->", "<!-- end of matrix -->"
Cell = tuple[str, str, str]  # method, architecture, quality


def put(path: Path, found: Mapping[Cell, str], *axes: list[str]) -> None:
    """Write the table between the two marks of a file."""
    before, _, rest = path.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n{table(found, *axes)}{END}{after}", "utf-8")


def taken(path: Path) -> str:
    """What stands between the marks."""
    return path.read_text("utf-8").partition(BEGIN + "\n")[2].partition(END)[0]


def table(found: Mapping[Cell, str], methods: list[str], arches: list[str], qualities: list[str]) -> str:
    notes: list[str] = []
    lines = [_line(["method", "architecture", *qualities]), _line(["---"] * (len(qualities) + 2))]
    for method in methods:
        rows = {arch: [_short(found[method, arch, quality], notes) for quality in qualities] for arch in arches}
        same = all(row == rows[arches[0]] for row in rows.values())
        shown = {", ".join(arches): rows[arches[0]]} if same else rows
        lines += [_line([method, arch, *row]) for arch, row in shown.items()]
    return "\n".join([*lines, "", *(f"{number}. {why}" for number, why in enumerate(notes, 1))]) + "\n"


def read(text: str) -> dict[Cell, str]:
    """What `table` wrote, cell by cell."""
    notes = dict(re.findall(r"^(\d+)\. (.*)$", text, re.M))
    head, _, *rows = [
        [part.strip() for part in line.strip("|").split("|")] for line in text.splitlines() if "|" in line
    ]
    return {
        (method, arch, quality): re.sub(r"refused \((\d+)\)", lambda hit: f"refused: {notes[hit[1]]}", cell)
        for method, arches, *cells in rows
        for arch in arches.split(", ")
        for quality, cell in zip(head[2:], cells, strict=True)
    }


def _short(cell: str, notes: list[str]) -> str:
    if not cell.startswith("refused: "):
        return cell
    why = cell.removeprefix("refused: ")
    if why not in notes:
        notes.append(why)
    return f"refused ({notes.index(why) + 1})"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
