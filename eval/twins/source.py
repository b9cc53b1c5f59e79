"""Programs written as assignments, `x0 = 60.94 - 25.14; ans = x0 / 25.14` (ConvFinQA), a function of Python
(FinanceMath) or one expression, `(44.1 - 56.7) / 56.7` (TAT-QA), as steps of (operation, left, right). They are parsed
and never run: what is no arithmetic is no program.
"""

import ast
import math
import re
from typing import Any

OPERATIONS: dict[type[ast.operator], str] = {
    ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply", ast.Div: "divide", ast.Pow: "exp",
}  # fmt: skip
CALLS = {  # of one value, with the other that makes it a step; and of two
    "abs": ("abs", "const_0"), "int": ("int", "const_0"), "log": ("log", "const_0"), "sqrt": ("exp", "const_0.5"),
    "max": ("max",), "min": ("min",), "pow": ("exp",),
}  # fmt: skip
SIGNS = str.maketrans({"$": " ", "%": " ", "[": "(", "]": ")", "×": "*", "÷": "/", "–": "-", "−": "-"})
THOUSANDS = re.compile(r"(?<=[0-9]),(?=[0-9]{3}(?![0-9]))")
# Whole numbers below SMALL are mostly spelled out in a text, and a figure there that looks like them is another.
SMALL = 10
UNITS = frozenset((12, 52, 100, 252, 360, 365, 1000, 10000, 1_000_000, 0.5))  # months, percent, days: of no text
DEEPEST = 200  # operations within each other
Steps = tuple[tuple[str, str, str], ...]
Value = Any  # a literal as text, or (operation, left, right) of such


def assigned(text: str) -> Steps | None:
    """Steps to the returned, else the last assigned value; None where a statement is no arithmetic of numbers."""
    try:
        body = ast.parse(text).body
        if len(body) == 1 and isinstance(body[0], ast.FunctionDef) and not ast.unparse(body[0].args):
            body = body[0].body
        value = _last(body, text)
        steps: list[tuple[str, str, str]] = []
        _put(value, steps, 0)
    except (SyntaxError, ValueError, KeyError, RecursionError):
        return None
    return tuple(steps) if steps else None


def expressed(text: str) -> Steps | None:
    """Steps of one expression, `$ (3,410 - 166) / 166`; None where it is none. Signs of money and percent say nothing
    of the value: whoever knows the answer sees whether it is in points of a hundred."""
    bare = THOUSANDS.sub("", text.translate(SIGNS)).strip()
    return assigned(f"ans = {bare}") if bare and not re.search(r"[#=\n;]", bare) else None


def _last(body: list[ast.stmt], text: str) -> Value:
    """What the statements come to. KeyError, ValueError: one of them is not known here."""
    known: dict[str, Value] = {}
    found: Value = None
    for statement in body:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target = statement.targets[0]
            if not isinstance(target, ast.Name):
                raise ValueError("not a name")
            found = known[target.id] = _value(statement.value, known, text)
        elif isinstance(statement, ast.Import | ast.ImportFrom) and _of_math(statement):
            continue
        elif isinstance(statement, ast.Return) and statement.value is not None:
            return _value(statement.value, known, text)
        else:
            raise ValueError("not an assignment")
    return found


def _value(node: ast.expr, known: dict[str, Value], text: str) -> Value:
    if isinstance(node, ast.Name):
        return known[node.id]
    if isinstance(node, ast.BinOp):
        return OPERATIONS[type(node.op)], _value(node.left, known, text), _value(node.right, known, text)
    if isinstance(node, ast.Call) and not node.keywords:
        return _called(node, [_value(each, known, text) for each in node.args])
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return "subtract", "const_0", _value(node.operand, known, text)
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        number = float(node.value)
        kept = number in UNITS or (number.is_integer() and number < SMALL)
        return f"const_{number:g}" if kept else (ast.get_source_segment(text, node) or "").replace("_", "")
    raise ValueError("no arithmetic")


def _of_math(statement: ast.Import | ast.ImportFrom) -> bool:
    named = [statement.module] if isinstance(statement, ast.ImportFrom) else [each.name for each in statement.names]
    return named == ["math"]


def _called(node: ast.Call, given: list[Value]) -> Value:
    """A call of abs, int, max, min, pow, or math's exp, log, sqrt. KeyError, ValueError: it is of another."""
    place = node.func
    if isinstance(place, ast.Attribute) and isinstance(place.value, ast.Name) and place.value.id == "math":
        name = place.attr
    elif isinstance(place, ast.Name):
        name = place.id
    else:
        raise ValueError("no function that is known here")
    if name == "exp" and len(given) == 1:
        return "exp", f"const_{math.e!r}", given[0]
    operation, *rest = CALLS[name]
    if len(given) + len(rest) != 2:
        raise ValueError(f"{name} of another number of values")
    return operation, *given, *rest


def _put(value: Value, steps: list[tuple[str, str, str]], depth: int) -> str:
    """The value as an argument of later steps; its own are added."""
    if depth > DEEPEST:
        raise ValueError("too deep")
    if isinstance(value, str):
        return value
    operation, *sides = value
    left, right = (_put(side, steps, depth + 1) for side in sides)
    steps.append((operation, left, right))
    return f"#{len(steps) - 1}"
