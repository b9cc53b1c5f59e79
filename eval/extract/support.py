"""Figures of an answer that stand nowhere in the evidence it was given: invented, or misread.

A figure stands in the evidence where a number of it, rounded as the answer rounds, is the same; percent against
fractions and units against the table's own (in millions, 万元) are allowed for. Results of written arithmetic are
reckoned and not quoted, and stand from then on; operands are quoted. Small counts, powers of ten, dates are left out.
"""

import re
from bisect import bisect_left
from functools import lru_cache

from eval.extract.numerals import Number, numbers
from eval.extract.passages import clean

YEARS = (1900, 2100)
SMALL = 10  # whole numbers up to it count, and quote nothing
SCALES = (3, 4, 6, 8, 9)  # powers of ten that a table may leave to its head: thousands, 万, millions, 亿, billions
DIGIT = re.compile("[0-9]")
RESULT = re.compile(r"(?:=|≈|等于|equals)[^0-9\n]{0,12}$", re.I)  # before a figure
ARITHMETIC = re.compile(  # an operator between two numbers
    r"[0-9%)][^=\n0-9]{0,12}(?:[-+*/×÷^]|除以|减|加|乘|minus|plus|times|divided by)[^=\n0-9]{0,12}[0-9]", re.I
)
REACH = 160  # characters before a figure in which arithmetic is looked for


def unsupported(answer: str, evidence: str, gold: str = "") -> tuple[int, int]:
    """(figures that quote, those of them that stand nowhere), each figure once. `gold` counts as evidence."""
    text = clean(answer)
    bare, percent = (list(found) for found in _known(f"{evidence}\n{gold}"))
    quoted: dict[tuple[float, bool], bool] = {}
    for figure in numbers(text):
        if _trivial(figure):
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
    found = numbers(clean(evidence))
    bare = {abs(float(each)) for one in found if not one.percent for each in (one.value, one.written)}
    return tuple(sorted(bare)), tuple(sorted({abs(float(one.value)) for one in found if one.percent}))


def _trivial(figure: Number) -> bool:
    if figure.date:
        return True
    if figure.percent or figure.scale:
        return False
    size = abs(figure.value)
    if figure.written != figure.written.to_integral_value():
        return False
    return size <= SMALL or YEARS[0] <= size <= YEARS[1] or str(int(size)).rstrip("0") == "1"


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
