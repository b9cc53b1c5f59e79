"""Numbers: digits of any width, signs, thousands, currency, percent, basis points, magnitudes, powers of ten, Chinese.

A number is held with what it was written as: 12.5% is neither 12.5 nor 0.125 until a gold answer says which it is (see
`same`). Which of a text's numbers is its answer is read by `claim`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation

from eval.extract.compound import coins, joined
from eval.extract.fraction import Share, shares
from eval.extract.hanzi import from_hanzi, simple
from eval.extract.notation import (
    AFTER,
    BEFORE,
    CLOCK,
    DASHED,
    DAY,
    FORM,
    LABEL,
    NOTED,
    NUMBER,
    REFERENCE,
    TENTHS,
    UNITS,
    WEIGHED,
    YEAR,
    YEARS,
)

MOST_DIGITS = 50  # before or after the point: what is longer is a loop and no number
EXACT = Context(prec=4 * MOST_DIGITS)
COUNTED = re.compile(  # a number, before a blank and a dash: 5 million -3 million
    r"(?:(?<![A-Za-z0-9])[0-9][0-9,.]{0,20}(?: ?(?:trillion|billion|million|thousand|percent|bn|mn|[kmbx]))?"
    r"|[0-9%]\)|[%‰十百千万亿元点])$",
    re.I,
)


@dataclass(frozen=True)
class Number:
    """One number as written. `value` has magnitudes multiplied out; `percent`: it is in points of a hundred."""

    value: Decimal
    percent: bool = False
    written: Decimal = Decimal(0)  # the digits alone, without magnitude
    scale: int = 0  # power of ten of the magnitude
    start: int = 0
    end: int = 0
    date: bool = False  # a year, a day, a page or an ordinal: no answer where there is another
    part: bool = False  # a fraction, 1/3 or 三分之一: worth more places than it was rounded to

    @property
    def quantum(self) -> Decimal:
        """The worth of the last digit that is written."""
        exponent = self.written.as_tuple().exponent
        return Decimal(1).scaleb(int(exponent) + self.scale)

    @property
    def figures(self) -> int:
        """Digits from the first that is not 0."""
        return len(self.written.as_tuple().digits) if self.written else 1

    def __str__(self) -> str:
        return format(self.value, "f") + ("%" if self.percent else "")


def numbers(text: str) -> list[Number]:
    """Every number of a text, in its order; what is too long to be one is left out."""
    text, found = simple(text), list[Number]()
    for number in _numbers(text):
        if found and number.start < found[-1].end:
            continue  # 5角 of 3元5角, which is read already
        whole = joined(found[-1], number, text, EXACT) if found else None
        if whole:
            found.pop()
        found.append(coins(whole or number, text))
    return found


def _numbers(text: str) -> Iterator[Number]:
    """Each number by itself; of a part that is told in words neither of its two."""
    ahead = list(shares(text))[::-1]
    for match in NUMBER.finditer(text):
        while ahead and ahead[-1].end <= match.start():
            yield _of(ahead.pop())
        if ahead and ahead[-1].start < match.end() and match.end() > ahead[-1].start:
            continue
        if (number := _number(match, text)) is not None:
            yield number
    yield from map(_of, reversed(ahead))


def _of(share: Share) -> Number:
    """A part that is told in words: of ten thousand in percent, any other divided out."""
    start, end, written, rate = share
    if rate is None:
        return Number(written, False, written, 0, start, end, part=True)
    return Number(written.scaleb(2 - rate, EXACT), True, written, 2 - rate, start, end)


def _number(match: re.Match[str], text: str) -> Number | None:
    size = None if match["dotted"] else _size(match)
    unit = match["unit"] or (match["beyond"] if _bracketed(match, text) else None)
    scale = UNITS[re.sub("[多余个]", "", unit.casefold())] if unit else 0
    scale += int(match["e"] or match["ten"] or 0)
    if size is None or abs(scale) > MOST_DIGITS:
        return None
    written, end = -size if _minus(match, text) else size, _end(match)
    percent, scale = bool(match["per"] or match["rate"] or match["outer"]), scale + _points(match)
    dated = _dated(match, text, end)
    if not (unit or percent or dated or YEAR.fullmatch(match["digits"] or "")) and (noted := NOTED.match(text, end)):
        scale, percent, end = UNITS.get((noted["unit"] or "").casefold(), 0) + scale, bool(noted["rate"]), noted.end()
    value = written.scaleb(scale, EXACT)
    return Number(value, percent, written, scale, match.start(), end, dated)


def _size(match: re.Match[str]) -> Decimal | None:
    """The digits alone; None where a Chinese numeral counts nothing, or they are too many."""
    if match["power"]:
        raised = int(match["raised"])
        return Decimal(1).scaleb(raised) if abs(raised) <= MOST_DIGITS else None
    han = match["han"]
    weighed = bool(han) and re.match(f"千{WEIGHED}|元[一二三四五六七八九]角", match.string[match.end("han") :][:3])
    if han and not (
        match["per"] or match["unit"] or match["rate"] or weighed or len(han) > 1 and re.search("[十百千万亿]", han)
    ):
        return None  # 一 in 一般 and 三 in 三峡 count nothing
    digits = from_hanzi(han) if han else match["digits"].replace(",", "")
    tenth = (match["rate"] or "")[1:2] if (match["rate"] or "").startswith("成") else ""
    if tenth and digits and "." not in digits:
        digits += f".{TENTHS.get(tenth, tenth)}"  # 3成5 is 35 %
    if digits is None or max(map(len, digits.split("."))) > MOST_DIGITS:
        return None
    try:
        return Decimal(digits)
    except InvalidOperation:
        return None


def _minus(match: re.Match[str], text: str) -> bool:
    """By a sign that joins no two numbers, or by an accountant's brackets."""
    sign = (match["sign"] or "").strip()
    if sign in ("-", "–") and _joins(text, match.start("sign"), match.end("sign")):
        sign = ""
    if sign == "—" and not DASHED.search(text, max(0, match.start() - 8), match.start("sign")):
        return _bracketed(match, text)
    return (sign or (match["sign2"] or "").strip()) not in ("", "+") or _bracketed(match, text)


def _bracketed(match: re.Match[str], text: str) -> bool:
    """Whether an accountant's brackets stand around it."""
    return bool(match["open"] and match["close"]) and _accounting(match, text)


def _points(match: re.Match[str]) -> int:
    """The power of ten that makes points of a hundred of points of a thousand, of tenths (成), or of basis points."""
    rate = (match["rate"] or match["outer"] or "").casefold()
    if match["per"] == "千分之" or rate == "‰":
        return -3 + 2
    if rate.startswith("成"):
        return 1  # 8成 are 80 %
    if rate == "‱":
        return -4 + 2
    return -2 if "基点" in rate or rate.startswith(("bp", "basis")) else 0


def _end(match: re.Match[str]) -> int:
    """Where the number with its unit and rate ends."""
    last = next(part for part in ("rate", "unit", "power", "digits", "han") if match[part])
    return max(match.end(part) for part in (last, "e", "ten", "close", "beyond", "outer"))


def _accounting(match: re.Match[str], text: str) -> bool:
    """Whether brackets around a number are a minus: not where they repeat it after words, as in 第二季度(2)."""
    before = text[max(0, match.start("open") - 1) : match.start("open")]
    if match["beyond"] and re.search("[.,]", match["digits"] or ""):
        return True  # no mark of a note
    coded = before.isascii() and before.isalpha()  # RMB(3.2); other letters stand before no number
    return coded or before in "是为达" or not (before.isalnum() or before == ")")


def _joins(text: str, begin: int, end: int) -> bool:
    """Whether a dash is no minus: a list's mark, or between two numbers or words; `was -5` has one, `Total - 5` not."""
    line = text[max(0, begin - 24) : begin].rpartition("\n")[2]
    before, apart = line.rstrip(), text[begin:end].endswith(" ")
    if not before:
        return apart and (begin < 24 or "\n" in text[begin - 24 : begin])
    if len(before) < len(line) and not apart:
        return bool(COUNTED.search(before))
    return (before[-1].isascii() and before[-1].isalnum()) or before[-1] in "%)‰十百千万亿元年月日点"


def _dated(match: re.Match[str], text: str, end: int) -> bool:
    """Whether it says when or where, and not how much: a year, a day, a page, a form, the mark of a list."""
    digits = match["digits"]
    if match["unit"] or match["rate"] or match["per"] or not digits:
        return False
    begin = match.start("digits")
    if AFTER.match(text, end) or FORM.match(text, end) or CLOCK.search(text[max(0, begin - 6) : begin]):
        return True
    before, year = text[max(0, begin - 16) : begin], bool(YEAR.fullmatch(digits))
    if re.search("第$", before) or (year and _called(before, text, end)):
        return True
    if (year or len(digits) < 3) and DAY.search(before):
        return True
    return (len(digits) <= 3 and bool(REFERENCE.search(before))) or _heads(match, text, end)


def _called(before: str, text: str, end: int) -> bool:
    """Whether what may be a year is told as one: `in 2014`, `2013 to 2014`, `2014: ...`."""
    return bool(BEFORE.search(before[-8:]) or YEARS.search(before) or LABEL.match(text, end))


def _heads(match: re.Match[str], text: str, end: int) -> bool:
    """Whether it is the mark of a list, at the head of a line."""
    before = text[max(0, match.start() - 6) : match.start()]
    begins = (len(before) < 6 or "\n" in before) and not before.rpartition("\n")[2].strip()
    return begins and bool(re.match(r"[.、)]\s", text[end : end + 2]))


def same(read: Number, gold: Number, *, lenient: bool = True) -> bool:
    """Equal at the gold's own precision: 12.34 against a gold of 12.3 is right, 12.36 and 12 are not.

    Percent against a bare gold means its hundredth; against a gold in percent a bare fraction means its hundredfold.
    Leniently it may also be the points themselves (sets write both), a number whose magnitude the gold leaves to the
    question ("1,577 million" for 1577), or the gold rounded where the answer writes three figures and a point.
    """
    shifts = [0] if read.percent == gold.percent else [-2 if read.percent else 2] + ([0] if lenient else [])
    forms = [(read.value.scaleb(s, EXACT), read.quantum.scaleb(s, EXACT)) for s in shifts]
    if lenient and read.scale and not gold.scale:
        forms.append((read.written, Decimal(1).scaleb(int(read.written.as_tuple().exponent))))
    return any(_equal(value, gold.value, gold.quantum) or (
        lenient and read.figures >= 3 and quantum > gold.quantum and read.written.as_tuple().exponent < 0  # type: ignore[operator]
        and _equal(gold.value, value, quantum)
    ) for value, quantum in forms)  # fmt: skip


def _equal(value: Decimal, wanted: Decimal, quantum: Decimal) -> bool:
    """Whether a value, rounded to a quantum that is a power of ten, is what is wanted; whole numbers are exact."""
    if quantum >= 1 and wanted == wanted.to_integral_value() and quantum == 1:
        return value == wanted
    if value and abs(value.adjusted() - quantum.adjusted()) > 2 * MOST_DIGITS:
        return False
    return value.quantize(quantum, ROUND_HALF_UP, EXACT) == wanted.quantize(quantum, ROUND_HALF_UP, EXACT)
