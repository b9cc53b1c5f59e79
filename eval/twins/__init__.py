"""Twins: items derived from those of the exam, whose answers show what a score rests on. They never count in it.

An option twin shuffles the options, a number twin changes the figures and computes the gold anew: who knows an item by
heart does worse on its twin. A group twin changes the client's sex, age or region: who is fair answers the same. An
evidence twin takes away what the question is about: who invents nothing refuses.
"""

from decimal import Decimal
from typing import Literal

from eval.extract.support import sizes
from eval.twins.figures import perturbed, rescaled
from eval.twins.groups import GROUPS, Group, swapped
from eval.twins.options import permuted
from eval.twins.program import Program
from finetune.card import Row

Kind = Literal["options", "numbers", "sex", "age", "region", "evidence"]
MARK = "~"  # between a task's name and the kind of its twins
NAMED: dict[str, tuple[Kind, ...]] = {
    "options": ("options",), "numbers": ("numbers",), "groups": GROUPS, "evidence": ("evidence",)
}  # fmt: skip
SAYS = ("number", "yes_no", "numeracy", "letter", "span", "keypoints")  # in whose place one can refuse

__all__ = ["GROUPS", "MARK", "NAMED", "Group", "Kind", "twin"]


def twin(kind: Kind, row: Row, answer: str, *, written: bool = True) -> Row | None:
    """The twin of an item, the same whenever it is made; None where there is none.

    `answer`: the task's kind; `written`: whether its answers are, so that one can refuse.
    """
    if kind == "evidence":
        return bared(row) if written and answer in SAYS else None
    if kind == "options":
        return permuted(row) if answer == "letter" else None  # elsewhere options are not shown in an order
    if kind == "numbers":
        return perturbed(row) if answer == "number" else rescaled(row) if answer == "numeracy" else None
    return swapped(row, kind, numeric=answer == "number")


def bared(row: Row) -> Row | None:
    """The question without its context; None where there is none, or the question has all figures to reckon with."""
    program = Program.read(row.program)
    if not row.context or (program and _stated(program, row.question)):
        return None
    return row.model_copy(update={"context": ""})


def _stated(program: Program, question: str) -> bool:
    """Whether a question has every figure that its program takes, with thousands commas, in percent or as fractions.

    A program that takes none reckons with what stands elsewhere.
    """
    said = sizes(question)
    return bool(program.literals) and all(
        Decimal(literal.strip("-%")) in said or (literal.endswith("%") and Decimal(literal.strip("-%")) / 100 in said)
        for literal in program.literals
    )
