"""Figures of an answer that stand nowhere in the evidence it was given: invented, or misread.

A figure stands in the evidence where a number of it, rounded as the answer rounds, is the same; percent against
fractions and units against the table's own (in millions, 万元) are allowed for. Results of written arithmetic are
reckoned and not quoted, and stand from then on; operands are quoted. Small counts, powers of ten, dates are left out.

Here thousands may be parted by anything that parts them on paper (5，829, 5 829, 5'829), and 三成 is thirty percent. A
comma may part two numbers too, so what is parted is one number only where that stands, and in evidence it is both.
"""

import re
from bisect import bisect_left
from decimal import Decimal
from functools import lru_cache

from eval.extract.numerals import Number, numbers
from eval.extract.passages import clean
from eval.extract.spelled import in_digits

YEARS = (1900, 2100)
SMALL = 10  # whole numbers up to it count, and quote nothing
SCALES = (3, 4, 6, 8, 9)  # powers of ten that a table may leave to its head: thousands, 万, millions, 亿, billions
DIGIT = re.compile("[0-9]")
RESULT = re.compile(r"(?:=|≈|等于|equals)[^0-9\n]{0,12}$", re.I)  # before a figure
ARITHMETIC = re.compile(  # an operator between two numbers
    r"[0-9%)][^=\n0-9]{0,12}(?:[-+*/×÷^]|除以|减|加|乘|minus|plus|times|divided by)[^=\n0-9]{0,12}[0-9]", re.I
)
REACH = 160  # characters before a figure in which arithmetic is looked for
PARTED = re.compile(r"(?<![0-9,.])[0-9]{1,3}(?P<by> ?, |'| )[0-9]{3}(?:(?P=by)[0-9]{3})*(?![0-9])")
TENTHS = re.compile(  # 三成, 七成五, 3成半; not 三成本, 一成不变, 这一成就
    "(?<![0-9.零一二两三四五六七八九十百])([0-9一二两三四五六七八九])成([0-9一二三四五六七八九半])?"
    "(?![本立交功员为果长分都品效熟绩型份就因套全见色像语才名]|不变|年[人男女])"
)
NINE = {c: str(i) for i, c in enumerate("一二三四五六七八九", 1)} | {"两": "2", "半": "5"}
MONEY = re.compile(r"[,$¥€£]")  # in what is written of a figure: no year has them
PRICED = re.compile(r" ?(?:元(?![旦月年])|美元|港元|人民币|yuan|dollars|RMB|CNY|USD)")  # after a figure


def unsupported(answer: str, evidence: str, gold: str = "") -> tuple[int, int]:
    """(figures that quote, those of them that stand nowhere), each figure once. `gold` counts as evidence."""
    bare, percent = (list(found) for found in _known(f"{evidence}\n{gold}"))
    text = PARTED.sub(lambda found: _whole(found, bare, percent), _plain(answer))
    quoted: dict[tuple[float, bool], bool] = {}
    for figure in numbers(text):
        if _trivial(figure, text):
            continue
        key = value, _ = abs(float(figure.value)), figure.percent
        if key in quoted:
            continue
        stands = _stands(figure, bare, percent)
        if not stands and _reckoned(text, figure):
            side = percent if figure.percent else bare
            side.insert(bisect_left(side, value), value)
            continue
        quoted[key] = stands
    return len(quoted), sum(not stands for stands in quoted.values())


@lru_cache(maxsize=256)
def _known(evidence: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Sizes of the numbers of a text, sorted: plain ones, and those in percent. A text is asked about many times."""
    found = _both(evidence)
    bare = {abs(float(each)) for one in found if not one.percent for each in (one.value, one.written)}
    return tuple(sorted(bare)), tuple(sorted({abs(float(one.value)) for one in found if one.percent}))


def sizes(text: str) -> frozenset[Decimal]:
    """Every size that a text states, exactly: its numbers, with their units and without, percent as fractions too."""
    found = _both(text)
    stated = {abs(size) for one in found for size in (one.value, one.written)}
    return frozenset(stated | {abs(one.value) / 100 for one in found if one.percent})


def _both(text: str) -> list[Number]:
    """The numbers of a text, and those that it has where what parts digits parts thousands."""
    plain = _plain(text)
    return [*numbers(plain), *(one for found in PARTED.finditer(plain) for one in numbers(_joined(found)))]


def _plain(text: str) -> str:
    """Without typography; ninety million as 90 million; 三成 as 3e1%, so that it is known to be rounded to tenths."""
    return TENTHS.sub(
        lambda found: f" {NINE.get(found[1], found[1])}{'.' + NINE.get(found[2], found[2]) if found[2] else ''}e1%",
        in_digits(clean(text)),
    )


def _joined(found: re.Match[str]) -> str:
    """What is parted, as one number, with the unit that follows."""
    return found[0].replace(found["by"], ",") + found.string[found.end() : found.end() + 16]


def _whole(found: re.Match[str], bare: list[float], percent: list[float]) -> str:
    """One number where that stands in the evidence, else what was written."""
    joined = numbers(_joined(found))
    return found[0].replace(found["by"], ",") if joined and _stands(joined[0], bare, percent) else found[0]


def _trivial(figure: Number, text: str) -> bool:
    if figure.date or figure.part:  # 三分之一 may be any third
        return True
    if figure.percent or figure.scale:
        return False
    size = abs(figure.value)
    if figure.written != figure.written.to_integral_value():
        return False
    if size <= SMALL or str(int(size)).rstrip("0") == "1":
        return True
    money = MONEY.search(text, figure.start, figure.end) or PRICED.match(text, figure.end)
    return YEARS[0] <= size <= YEARS[1] and not money


def _reckoned(text: str, figure: Number) -> bool:
    """Whether the figure is what arithmetic before it comes to."""
    digit = DIGIT.search(text, figure.start, figure.end)
    before = text[max(0, figure.start - REACH) : digit.start() if digit else figure.start].rpartition("\n")[2]
    return bool(RESULT.search(before) and ARITHMETIC.search(before))


def _stands(figure: Number, bare: list[float], percent: list[float]) -> bool:
    value, half = abs(float(figure.value)), float(figure.quantum) / 2
    if figure.percent:
        return _near(percent, value, half) or _near(bare, value, half) or _near(bare, value / 100, half / 100)
    shifts = (0, *SCALES) if figure.scale else (0,)
    if any(_near(bare, value / 10**shift, half / 10**shift) for shift in shifts):
        return True
    return _near(percent, value, half) or _near(percent, value * 100, half * 100)


def _near(known: list[float], value: float, half: float) -> bool:
    """Whether a number of the sorted list rounds to the value."""
    reach = half + 1e-9 * max(value, half)
    place = bisect_left(known, value - reach)
    return place < len(known) and known[place] <= value + reach
