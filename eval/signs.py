"""How a number is signed where people read it: by the minus sign, which lines up with the plus, and not by a hyphen."""

from __future__ import annotations

MINUS = "−"


def points(value: float, *, signed: bool = True) -> str:
    """A share of a point as points of a hundred, `0.031 -> +3.1`; what rounds to nothing has no sign."""
    rounded = round(100 * value, 1) + 0.0
    sign = MINUS if rounded < 0 else "+" if signed and rounded > 0 else ""
    return f"{sign}{abs(rounded):.1f}"


def interval(low: float, high: float) -> str:
    return f"[{points(low)}, {points(high)}]"


def minus(number: str) -> str:
    """A number that was written by a hyphen."""
    return f"{MINUS}{number[1:]}" if number.startswith("-") else number


def percent(confidence: float) -> str:
    """Of an interval, as it was asked for: `95%`, `97.5%`."""
    return f"{100 * confidence:.6g}%"
