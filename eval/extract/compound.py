"""Quantities written in parts, each with a lower magnitude: 3亿5000万, 3.5亿2000万, 1万2千5百, 3亿零5000.

The last magnitude may be left out, as in speech, where the digits say which it is: 3万5 and 3万5000 are 35,000, 3亿5000
and 3亿5千 are 350 million (300,005,000 is 3亿零5000). Where they do not (3亿500) the parts stay two numbers.
The last magnitude may be of both: 2千3百亿 is 230 billion. Money may be told to its hundredths: 123元4角5分.
"""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from eval.extract.hanzi import FIGURES

if TYPE_CHECKING:
    from decimal import Context

    from eval.extract.numerals import Number

MAGNITUDES = {"亿": 8, "万": 4, "千": 3, "百": 2}
BARE = {  # last magnitude -> how many digits without one follow -> the power of ten they have
    "亿": {4: 4, 8: 0}, "万": {2: 0, 3: 0, 4: 0}, "千": {2: 0, 3: 0}, "百": {2: 0},
}  # fmt: skip
COINS = re.compile(  # 123元4角5分, 三元零五分; 5 dollars and 25 cents
    " ?(?:元|圆)(?:(?P<tenths>[0-9一二三四五六七八九])角)?"
    "(?:[零又]?(?P<cents>[0-9]{1,2}|[一二三四五六七八九])分(?!之|钟|析))?"
    r"| dollars?,?(?: and)? (?P<small>[0-9]{1,2}) cents(?![a-z])",
    re.I,
)
EACH = re.compile(r"每 ?约?$")  # 每10万3人: a share, and not 103,000
SHARED = re.compile("(?P<hundreds>百?)(?:万亿|亿|万)$")  # 2千3百亿
GOES_ON = re.compile(r" ?[-–—~至到/:]")  # after a single digit: a range, a ratio, and no magnitude left out


def joined(number: Number, lower: Number, text: str, exact: Context) -> Number | None:
    """Both as one, written to the last digit of the lower; None where they are two numbers of the text."""
    if section := _section(number, lower, text):
        value = number.value + lower.value.scaleb(-section, exact).copy_sign(number.value)
        whole = value.scaleb(section, exact)
        written = whole.scaleb(-lower.scale, exact)
        return replace(number, value=whole, percent=lower.percent, written=written, scale=lower.scale, end=lower.end)
    scale = _scale(number, lower, text)
    if scale is None or scale >= number.scale:
        return None
    part = lower.written.scaleb(scale, exact)
    if not 0 < part < Decimal(10) ** number.scale:
        return None
    value = number.value + part.copy_sign(number.value)
    return replace(
        number, value=value, percent=lower.percent, written=value.scaleb(-scale, exact), scale=scale, end=lower.end
    )


def coins(number: Number, text: str) -> Number:
    """With the tenths and hundredths of money that are told behind it: 123元4角5分 is 123.45."""
    found = COINS.match(text, number.end)
    if found is None or not any(found.groups()) or number.percent or number.date or number.part:
        return number
    tenths, cents, small = (Decimal(FIGURES.get(part, part)) for part in found.groups("0"))
    value = number.value + (tenths / 10 + (cents + small) / 100).copy_sign(number.value)
    return replace(number, value=value, written=value, scale=0, end=found.end())


def _scale(number: Number, lower: Number, text: str) -> int | None:
    """The power of ten of what follows a magnitude at once, or after 零; None where nothing does."""
    last, between, digits = text[number.end - 1], text[number.end : lower.start], text[lower.start : lower.end]
    if last not in MAGNITUDES or between not in ("", "零") or number.percent or not digits[:1].isdigit():
        return None
    spoken = last == "千" and number.scale == MAGNITUDES["万"] + MAGNITUDES["千"]  # 3亿5千, read so already
    if lower.scale > 0:
        if last == "亿" and not between and digits.endswith(("千", "百")):
            return MAGNITUDES["万"] + MAGNITUDES["千"] if lower.scale == MAGNITUDES["千"] else None
        return None if spoken and lower.scale < MAGNITUDES["万"] else lower.scale
    if lower.percent or lower.date or not digits.isdigit() or number.written != number.written.to_integral_value():
        return None
    if between:
        return 0
    if spoken or EACH.search(text, max(0, number.start - 4), number.start):
        return None
    if len(digits) == 1 and number.scale == MAGNITUDES[last] and not GOES_ON.match(text, lower.end):
        return number.scale - 1
    return BARE[last].get(len(digits))


def _section(number: Number, lower: Number, text: str) -> int:
    """The power of ten of a magnitude that ends both parts, as 亿 in 2千3百亿 and 2千300亿; 0 where none does."""
    last, digits = text[number.end - 1], text[lower.start : lower.end]
    if last not in "千百" or number.end != lower.start or number.scale != MAGNITUDES[last] or number.percent:
        return 0
    ends = SHARED.search(digits) if digits[:1].isdigit() else None
    if ends is None:
        return 0
    hundreds = MAGNITUDES["百"] if ends["hundreds"] else 0
    below = lower.written.copy_abs().scaleb(hundreds)
    fits = below < 10**number.scale and (hundreds or below >= 10 ** (number.scale - 1))  # 2千3亿 may be either
    return lower.scale - hundreds if fits else 0
