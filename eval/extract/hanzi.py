"""Chinese numerals: 一百二十 is 120, 一亿二千五百万 is 125,000,000, 一万二 is 12,000; 三四亿, 万一 are none."""

import re

FIGURES = {**{c: i for i, c in enumerate("零一二三四五六七八九")}, "〇": 0, "两": 2}
POWERS = {"十": 10, "百": 100, "千": 1000}
SECTIONS = {"万": 10**4, "亿": 10**8}  # each multiplies what stands before it, up to a greater one
NONE = re.compile(  # 万一, 亿万; and 三四亿, 七八百, 十五六, which name two numbers (二〇二五 has no power)
    "[万亿]|(?=.*[十百千万亿]).*[一二两三四五六七八九]{2}"
)
LONGEST = 24  # characters; beyond it is no number that anybody writes out


def from_hanzi(text: str) -> str | None:
    """Digits of a numeral of these characters and 点: 十二点五 -> 12.5; None: too long, or not one number."""
    whole, _, after = text.partition("点")
    if len(whole) > LONGEST or NONE.match(whole):
        return None
    value = str(_whole(whole))
    return f"{value}.{''.join(str(FIGURES[c]) for c in after)}" if after else value


def _whole(text: str) -> int:
    total, part, digit = 0, 0, None
    for c in text:
        if c in FIGURES:
            digit = FIGURES[c] if digit in (None, 0) else digit * 10 + FIGURES[c]
        elif c in POWERS:
            part, digit = part + (1 if digit is None else digit) * POWERS[c], None
        else:
            total, part, digit = _section(total, part + (digit or 0), SECTIONS[c]), 0, None
    return total + part + (digit or 0) * _left_out(text)


def _section(total: int, section: int, power: int) -> int:
    """一万二千亿 multiplies all before it; in 一亿二千五百万 the hundred millions are done."""
    return total + section * power if section and total >= power else (total + section) * power


def _left_out(text: str) -> int:
    """The power that a last figure goes without: 三千五 is 3,500 (3,005 is 三千零五)."""
    last = {**POWERS, **SECTIONS}.get(text[-2], 10) if len(text) > 1 else 10
    return last // 10
