"""Numbers as people read them: points of a hundred with one decimal, money with few digits, times and tokens."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from eval.signs import MINUS, interval, minus, points

__all__ = ["count", "interval", "less", "moment", "number", "points", "probability", "share", "tiny"]


def less(value: float) -> str:
    """What is taken away, as it follows a number: `− 2.0`, or `+ 2.0` where it is negative."""
    return f"{MINUS if value >= 0 else '+'} {points(abs(value), signed=False)}"


def share(value: float) -> str:
    """A share as per cent; what is there but rounds to nothing says so."""
    return "<0.1%" if 0 < value < 0.0005 else f"{100 * value:.1f}%"


def number(value: float | int | None) -> str:
    """Grouped whole numbers; three significant digits below a thousand; a dash for what is not known."""
    if value is None or not math.isfinite(value):
        return "–" if value is None or math.isnan(value) else "∞" if value > 0 else f"{MINUS}∞"
    if value < 0:
        return MINUS + number(-value)
    if isinstance(value, int) or value >= 999.5 or value == round(value):
        return f"{value:,.0f}"
    digits = max(0, 2 - math.floor(math.log10(value))) if value else 0
    text = f"{value:.{min(digits, 9)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def count(value: int) -> str:
    """A difference of counts, with its sign."""
    return f"+{number(value)}" if value > 0 else number(value)


def moment(at: float | None) -> str:
    """Seconds since the epoch as a date and time, UTC."""
    return "–" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def probability(p: float | None) -> str:
    return "–" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def tiny(value: float | str | None) -> str:
    """Figures whose size is the message, such as a divergence: two digits, with an exponent where it is small."""
    if value is None or isinstance(value, str):
        return value or "–"
    return minus(f"{value:.2g}") if abs(value) < 99.5 else number(value)
