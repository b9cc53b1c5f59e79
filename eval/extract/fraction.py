"""Numbers that are written as parts of others: 1/4, 2 1/2, 三分之一, 万分之三, 十万分之一.

A fraction has no precision of its own: its worth is held to more places than anybody writes, so whatever is rounded is
compared at the other's precision.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Context, Decimal
from typing import NamedTuple

from eval.extract.hanzi import from_hanzi

PLACES = Context(prec=40)
FRACTION = re.compile(
    r"(?P<minus>-)?\s*(?:(?P<whole>(?!(?:19|20)[0-9]{2} )[0-9]{1,6})(?: ?(?=\\frac)| (?=[0-9]{1,3}/[0-9])))?"
    r"(?:\\frac\s*\{\s*(?P<over>[0-9]{1,12})\s*\}\s*\{\s*(?P<under>[0-9]{1,12})\s*\}"
    r"|(?P<above>[0-9]{1,12})\s*/\s*(?P<below>[0-9]{1,12}))"
)
HAN = "零〇一二两三四五六七八九十百千万亿"
SHARE = re.compile(
    rf"(?<![{HAN}0-9.])(?P<minus>负的?|-)?(?P<below>[{HAN}]{{1,12}}|[0-9]{{1,12}})分之"
    rf"(?P<above>[{HAN}]{{1,12}}(?:点[零〇一二三四五六七八九]{{1,12}})?|[0-9]{{1,12}}(?:\.[0-9]{{1,12}})?)"
)
RATES = {"万": 4, "一万": 4, "十万": 5, "百万": 6, "千万": 7, "亿": 8}  # 百分之 and 千分之 are read as percent is
PLAIN = re.compile("[0-9]+|.|.*[十百千万亿].*")  # 三四分之一 names two
NO_SHARE = frozenset(("百", "千"))


class Share(NamedTuple):
    """A part told in words: `rate` is its power of ten; None where it is divided out."""

    start: int
    end: int
    written: Decimal
    rate: int | None


def divided(found: re.Match[str]) -> Decimal | None:
    """The worth of a fraction; None by 0, and where 2 5/3 is no mixed number."""
    above, below = int(found["over"] or found["above"]), int(found["under"] or found["below"])
    if not below or (found["whole"] and above >= below):
        return None
    worth = PLACES.divide(Decimal(int(found["whole"] or 0) * below + above), Decimal(below))
    return -worth if found["minus"] else worth


def shares(text: str) -> Iterator[Share]:
    """The parts that a text tells in words."""
    for found in SHARE.finditer(text):
        if found["below"] not in NO_SHARE and (share := _share(found)):
            yield share


def _share(found: re.Match[str]) -> Share | None:
    above = _digits(found["above"])
    if above is None:
        return None
    sign = -1 if found["minus"] else 1
    if rate := RATES.get(found["below"]):
        return Share(*found.span(), sign * Decimal(above), rate)
    below = _digits(found["below"]) if PLAIN.fullmatch(found["below"]) else None
    if below is None or not int(below) or "." in above:
        return None
    return Share(*found.span(), PLACES.divide(Decimal(sign * int(above)), Decimal(int(below))), None)


def _digits(written: str) -> str | None:
    return written if written[0].isascii() else from_hanzi(written)
