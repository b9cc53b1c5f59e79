"""Programs written as assignments, `x0 = 60.94 - 25.14; ans = x0 / 25.14` (ConvFinQA) or a function of Python
(FinanceMath), as steps of (operation, left, right). They are parsed and never run: what is no arithmetic is no program.
"""

import ast
from typing import Any

OPERATIONS: dict[type[ast.operator], str] = {
    ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply", ast.Div: "divide", ast.Pow: "exp",
}  # fmt: skip
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
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return "subtract", "const_0", _value(node.operand, known, text)
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        number = float(node.value)
        kept = number in UNITS or (number.is_integer() and number < SMALL)
        return f"const_{number:g}" if kept else (ast.get_source_segment(text, node) or "").replace("_", "")
    raise ValueError("no arithmetic")


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
