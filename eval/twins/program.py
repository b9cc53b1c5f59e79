"""Programs that compute an answer, as FinQA writes them: `subtract(5829, 5735), divide(#0, 5735)`.

Chen et al. 2021 (arXiv 2109.00122), table 1. Steps that read a table row by its name are not run here. Programs that
other sets write as assignments become the same steps (`eval.twins.source`).
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from eval.twins.source import assigned, expressed

STEP = re.compile(r"\s*(add|subtract|multiply|divide|exp|greater)\(\s*([^(),]+?)\s*,\s*([^(),]+?)\s*\)\s*(?:,|$)")
LITERAL = re.compile(r"-?(?:\d+\.?\d*|\.\d+)%?")
LARGEST = 1e15  # beyond it a result is no figure of a report


@dataclass(frozen=True)
class Program:
    """Steps of (operation, left, right); an argument is a literal, `const_N` or `#k`, the result of step k."""

    steps: tuple[tuple[str, str, str], ...]

    @classmethod
    def read(cls, text: str) -> "Program | None":
        """None where a step is not of the six that compute with two numbers. Assignments, functions and expressions
        are read too."""
        if "=" in text or "return" in text or not re.search("[a-z_]", text):
            found = assigned(text) if "=" in text or "return" in text else expressed(text)
            return cls(found) if found else None
        steps: list[tuple[str, str, str]] = []
        place = 0
        while place < len(text):
            step = STEP.match(text, place)
            if step is None or not all(_known(argument, len(steps)) for argument in step.groups()[1:]):
                return None
            steps.append((step[1], step[2], step[3]))
            place = step.end()
        return cls(tuple(steps)) if steps else None

    @property
    def literals(self) -> tuple[str, ...]:
        """Numbers that the program takes from the text, each once, as it writes them."""
        found = (argument for step in self.steps for argument in step[1:] if LITERAL.fullmatch(argument))
        return tuple(dict.fromkeys(found))

    def run(self, given: Mapping[str, str] | None = None) -> float | str | None:
        """The result, `yes` or `no` of a comparison; `given` puts other numbers in place of literals.

        None: a division by 0, or a number that is none.
        """
        results: list[float | str] = []
        for operation, *arguments in self.steps:
            values = [_value(argument, results, given or {}) for argument in arguments]
            if any(isinstance(value, str) for value in values):
                return None
            found = _apply(operation, float(values[0]), float(values[1]))
            if found is None:
                return None
            results.append(found)
        return results[-1]


def _known(argument: str, before: int) -> bool:
    if argument.startswith("#"):
        return argument[1:].isdecimal() and int(argument[1:]) < before
    return bool(LITERAL.fullmatch(argument) or re.fullmatch(r"const_m?\d+", argument))


def _value(argument: str, results: list[float | str], given: Mapping[str, str]) -> float | str:
    if argument.startswith("#"):
        return results[int(argument[1:])]
    if argument.startswith("const_"):
        return float(argument.removeprefix("const_").replace("m", "-"))
    text = given.get(argument, argument)
    return float(text[:-1]) / 100 if text.endswith("%") else float(text)


def _apply(operation: str, left: float, right: float) -> float | str | None:
    if operation == "greater":
        return "yes" if left > right else "no"
    try:
        found = {
            "add": lambda: left + right, "subtract": lambda: left - right, "multiply": lambda: left * right,
            "divide": lambda: left / right, "exp": lambda: left**right, "log": lambda: math.log(left),
            "abs": lambda: abs(left), "int": lambda: float(int(left)), "max": lambda: max(left, right),
            "min": lambda: min(left, right),
        }[operation]()  # fmt: skip
    except (ZeroDivisionError, OverflowError, ValueError):
        return None
    return found if isinstance(found, float) and abs(found) < LARGEST else None
