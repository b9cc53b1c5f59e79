"""Number twins: the same question over other figures, its gold computed anew by the program that comes with it.

What is made is checked first: the program on the figures as they stand must give the gold as it stands, and each figure
that it takes must stand in the text, as it is or, everywhere, as percent (0.05 as 5%). Everywhere a figure stands it
becomes the same other one; totals and percentages that a table prints beside are left, so a twin's table need not add
up. After GSM-Symbolic (arXiv 2410.05229).
"""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from eval.extract import grade
from eval.twins.program import Program
from finetune.card import Row

FIGURE = re.compile(r"(?<![\w.,])(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?![\w]|[.,]\d)")
FACTORS = (0.6, 0.9, 1.1, 1.6)  # a figure is multiplied by one of either range, so that its answer moves
TRIES = 8  # other draws, where the first leaves a figure or the answer as it was
YEARS = (1900, 2100)
PERCENT = re.compile(r"\s?(?:%|percent(?![a-z])|per cent)")
SCALED = re.compile(r"(?P<number>-?[0-9][0-9,]*(?:\.[0-9]+)?)(?P<scale> (?:thousand|million|billion|percent))?")
ROUNDED = 2  # decimals of a scaled gold, as TAT-QA computes them


@dataclass(frozen=True)
class Figure:
    """Where a literal of a program stands in the text: its digits there, and whether these are in percent."""

    digits: str
    percent: bool = False


def rescaled(row: Row) -> Row | None:
    """The twin of a row whose gold is one number and its scale (`-22.22 percent`); None where it cannot be made.

    The program may leave percent as a fraction: whether it does is what the gold says."""
    gold = SCALED.fullmatch(row.answer or "")
    if gold is None:
        return None
    bare = row.model_copy(update={"answer": gold["number"]})
    scale = gold["scale"] or ""
    for points in (1, 100) if scale == " percent" else (1,):
        if made := perturbed(bare, points):
            value = Decimal(made.answer or "").quantize(Decimal(1).scaleb(-ROUNDED), ROUND_HALF_UP)
            return made.model_copy(update={"answer": f"{value:f}{scale}"})
    return None


def perturbed(row: Row, points: int = 1) -> Row | None:
    """The twin, fixed by the item's id; None where it cannot be made. The gold is `points` times what the program
    gives."""
    program = Program.read(row.program)
    if program is not None and points != 1:
        program = Program((*program.steps, ("multiply", f"#{len(program.steps) - 1}", f"const_{points}")))
    if program is None or not row.answer or not _is(program.run(), row.answer):
        return None
    figures = _figures(program, f"{row.context}\n{row.question}")
    if not figures:
        return None
    for attempt in range(TRIES):
        drawn = random.Random(f"{row.id} {attempt}")  # noqa: S311 (a seeded draw, no secret)
        others = {digits: _other(digits, drawn) for digits in sorted({one.digits for one in figures.values()})}
        made = _made(row, program, figures, others)
        if made and not _is(made.answer, row.answer):
            return made
    return None


def _figures(program: Program, text: str) -> dict[str, Figure] | None:
    """The figures that the program takes, by its literals; None where one stands nowhere."""
    standing: dict[str, bool] = {}  # digits -> whether they are in percent wherever they stand
    for found in FIGURE.finditer(text):
        digits = _plain(found[0])
        standing[digits] = standing.get(digits, True) and bool(PERCENT.match(text, found.end()))
    taken = {argument.removeprefix("const_") for step in program.steps for argument in step[1:]}
    known: dict[str, Figure] = {}
    for literal in program.literals:
        digits = _bare(literal)
        hundredfold = _plain(str(Decimal(digits) * 100))
        if _year(digits):
            continue
        if digits in standing:
            known[literal] = Figure(digits)
        elif standing.get(hundredfold) and hundredfold not in taken:
            known[literal] = Figure(hundredfold, percent=True)
        else:
            return None
    return known


def _made(row: Row, program: Program, figures: Mapping[str, Figure], others: Mapping[str, str]) -> Row | None:
    """`others`: digits -> the other digits."""
    kept = _put(row, others)
    if kept is None:
        return None
    result = program.run({literal: _with(literal, others[one.digits], one) for literal, one in figures.items()})
    if result is None:
        return None
    answer = result if isinstance(result, str) else f"{result:.5f}".rstrip("0")
    return row.model_copy(update={**kept, "answer": answer + "0" * answer.endswith("."), "program": ""})


def _with(literal: str, other: str, figure: Figure) -> str:
    value = format(Decimal(other) / 100, "f") if figure.percent else other
    return "-" * literal.startswith("-") + value + "%" * literal.endswith("%")


def _put(row: Row, others: Mapping[str, str]) -> dict[str, str] | None:
    """Question and context with the figures put in; None where an other one stands there already."""
    text = f"{row.context}\n{row.question}"
    if {_plain(found[0]) for found in FIGURE.finditer(text)} & set(others.values()):
        return None

    def put(found: re.Match[str]) -> str:
        other = others.get(_plain(found[0]))
        if other is None:
            return found[0]
        return f"{Decimal(other):,f}" if "," in found[0] else other

    return {"context": FIGURE.sub(put, row.context), "question": FIGURE.sub(put, row.question)}


def _other(figure: str, drawn: random.Random) -> str:
    """Another number with as many decimals."""
    low, high = drawn.choice((FACTORS[:2], FACTORS[2:]))
    value = Decimal(figure)
    places = Decimal(1).scaleb(int(value.as_tuple().exponent))
    found = (value * Decimal(str(drawn.uniform(low, high)))).quantize(places, ROUND_HALF_UP)
    return format(found if found and found != value else value + places, "f")


def _bare(literal: str) -> str:
    return _plain(literal.strip("-%"))


def _plain(figure: str) -> str:
    """A figure as its value alone decides: 5,829.50 and 5829.5 are one."""
    value = Decimal(figure.replace(",", ""))
    return format(value.normalize(), "f")


def _year(figure: str) -> bool:
    """Years are compared and counted, and stand for themselves."""
    return figure.isdecimal() and YEARS[0] <= int(figure) <= YEARS[1]


def _is(result: float | str | None, gold: str) -> bool:
    if result is None:
        return False
    said = result if isinstance(result, str) else f"{result:.12f}"
    return grade("number", said, gold, reading="strict").score == 1
