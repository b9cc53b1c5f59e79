"""Numbers: digits of any width, signs, thousands, currency, percent, basis points, magnitudes, powers of ten, Chinese.

A number is held with what it was written as: 12.5% is neither 12.5 nor 0.125 until a gold answer says which it is (see
`same`). Two numbers of which the text does not say which is the answer are none.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation

from eval.extract.compound import joined
from eval.extract.hanzi import from_hanzi, simple
from eval.extract.notation import (
    AFTER,
    BEFORE,
    COPULA,
    DASHED,
    FRACTION,
    NUMBER,
    PARTED,
    RANGE,
    TENTHS,
    UNITS,
    WEIGHED,
)
from eval.extract.passages import ANNOUNCED, announcements, boxes, conclusions, sentence, sentences

MOST_DIGITS = 50  # before or after the point: what is longer is a loop and no number
EXACT = Context(prec=4 * MOST_DIGITS)


@dataclass(frozen=True)
class Number:
    """One number as written. `value` has magnitudes multiplied out; `percent`: it is in points of a hundred."""

    value: Decimal
    percent: bool = False
    written: Decimal = Decimal(0)  # the digits alone, without magnitude
    scale: int = 0  # power of ten of the magnitude
    start: int = 0
    end: int = 0
    date: bool = False  # a year, a day or an ordinal: no answer where there is another

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


def read(text: str) -> tuple[Number | None, str]:
    """The number that the text commits to, and the rule."""
    if found := boxes(text):
        return _last_side(found[-1][2]), "boxed"
    whole = _only(text) if len(text) < 200 else None
    if whole and not re.search(r"[^\W\d_]{3}\s+[^\W\d_]{2}|=", text):
        return whole, "alone"
    for region in announcements(text):
        said = sentence(region)
        if number := (_last_side(said) if "=" in said else _first(said)):
            return number, "announced"
        if len(said) < 40 and (number := _first(sentence(region[len(said) + 1 :]))) and not said.strip(" :*$"):
            return number, "announced"
    for region in conclusions(text):
        if number := _told(region):
            return number, "concluded"
    parts = sentences(text)
    for part in parts[-1:]:
        if number := _told(part):
            return number, "alone" if len(parts) == 1 and number.end - number.start >= len(
                text
            ) - 2 else "last sentence"
    number = _only(text)
    return number, "only" if number else ("several" if numbers(text) else "none")


def read_strictly(text: str) -> tuple[Number | None, str]:
    """The form that is asked for: one number, at most boxed or after "答案：", and with its unit."""
    boxed = boxes(text)
    if len(boxed) == 1 and not text[: boxed[0][0]].strip("$ ") and not text[boxed[0][1] :].strip("$ .。"):
        text = boxed[0][2]
    announced = ANNOUNCED.match(re.sub(r"^(?:the\s+)?(?:final\s+|correct\s+)?", "", text, flags=re.I))
    bare = announced.string[announced.end() :] if announced else text
    found = numbers(bare)
    if len(found) != 1:
        return None, "none"
    left = bare[: found[0].start] + bare[found[0].end :]
    plain = len(re.sub(r"[\s.。*$:=≈~约]", "", left)) <= 12 and not re.search(
        r"[,;!?、]|[^\W\d_]\s+[^\W\d_]", left.strip()
    )
    return (found[0], "form") if plain else (None, "none")


def gold(text: str) -> Number | None:
    """The number of a gold answer, "12.3%", "1.0126万元" or "1/3"; None where it holds none."""
    return _only(text) or next(iter(numbers(text)), None)


def numbers(text: str) -> list[Number]:
    """Every number of a text, in its order; what is too long to be one is left out."""
    text, found = simple(text), list[Number]()
    for number in _numbers(text):
        whole = joined(found[-1], number, text, EXACT) if found else None
        if whole:
            found[-1] = whole
        else:
            found.append(number)
    return found


def _numbers(text: str) -> Iterator[Number]:
    for match in NUMBER.finditer(text):
        if (number := _number(match, text)) is not None:
            yield number


def _number(match: re.Match[str], text: str) -> Number | None:
    size = None if match["dotted"] else _size(match)
    unit = match["unit"] or (match["beyond"] if _bracketed(match, text) else None)
    scale = UNITS[re.sub("[多余]", "", unit.casefold())] if unit else 0
    scale += int(match["e"] or match["ten"] or 0)
    if size is None or abs(scale) > MOST_DIGITS:
        return None
    written, end = -size if _minus(match, text) else size, _end(match)
    percent, scale = bool(match["per"] or match["rate"] or match["outer"]), scale + _points(match)
    value = written.scaleb(scale, EXACT)
    return Number(value, percent, written, scale, match.start(), end, _dated(match, text, end))


def _size(match: re.Match[str]) -> Decimal | None:
    """The digits alone; None where a Chinese numeral counts nothing, or they are too many."""
    han = match["han"]
    weighed = bool(han) and re.match(f"千{WEIGHED}", match.string[match.end("han") :][:3])
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
    minus = (sign or (match["sign2"] or "").strip()) not in ("", "+")
    if sign in ("-", "–") and _joins(text, match.start("sign")):
        minus = False
    if sign == "—" and not DASHED.search(text, max(0, match.start() - 8), match.start("sign")):
        minus = False
    return minus or _bracketed(match, text)


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
    return -2 if "基点" in rate or rate.startswith(("bp", "basis")) else 0


def _end(match: re.Match[str]) -> int:
    """Where the number with its unit and rate ends."""
    last = next(part for part in ("rate", "unit", "digits", "han") if match[part])
    return max(match.end(part) for part in (last, "e", "ten", "close", "beyond", "outer"))


def _accounting(match: re.Match[str], text: str) -> bool:
    """Whether brackets around a number are a minus: not where they repeat it after words, as in 第二季度(2)."""
    before = text[max(0, match.start("open") - 1) : match.start("open")]
    if match["beyond"] and re.search("[.,]", match["digits"] or ""):
        return True  # no mark of a note
    return before in "是为达" or not (before.isalnum() or before == ")")


def _joins(text: str, place: int) -> bool:
    """Whether a dash stands between two numbers, and so is no minus."""
    before = text[max(0, place - 2) : place].rstrip()
    return bool(before) and ((before[-1].isascii() and before[-1].isalnum()) or before[-1] in "%)‰十百千万亿元年月日点")


def _dated(match: re.Match[str], text: str, end: int) -> bool:
    if match["unit"] or match["rate"] or match["per"] or match["han"]:
        return False
    if AFTER.match(text, end) or re.search("[0-9]:$", text[max(0, match.start() - 2) : match.start()]):
        return True
    before = text[max(0, match.start("digits") - 6) : match.start("digits")]
    year = len(match["digits"]) == 4 and match["digits"][:2] in ("19", "20")
    before_it = text[max(0, match.start() - 6) : match.start()]
    head = (
        (len(before_it) < 6 or "\n" in before_it)
        and not before_it.rpartition("\n")[2].strip()
        and bool(re.match(r"[.、)]\s", text[end : end + 2]))
    )
    return bool(re.search("第$", before)) or (year and bool(BEFORE.search(before))) or head


def _only(text: str) -> Number | None:
    """The one number of a text: dates beside another number do not count, and a fraction is one number."""
    fraction = FRACTION.fullmatch(text.strip(" $.。"))
    if fraction and (number := _divided(fraction, len(text))):
        return number
    found = numbers(text)
    bare = [one for one in found if not one.date] or found
    values = {(one.value, one.percent) for one in bare}
    return bare[-1] if len(values) == 1 else None


def _divided(fraction: re.Match[str], end: int) -> Number | None:
    """The worth of a fraction; None by 0."""
    above, below = (int(part) for part in fraction.groups()[1:] if part is not None)
    if not below:
        return None
    value = EXACT.divide(Decimal(-above if fraction["minus"] else above), Decimal(below))
    return Number(value, written=value, end=end)


def _last_side(text: str) -> Number | None:
    """The number after the last equals sign, or the only one of the text."""
    return _only(re.split("[=≈]", text)[-1]) or (_first(text) if "=" not in text else None)


def _first(text: str) -> Number | None:
    """The first number that is no date, unless it begins a range or names two."""
    found = numbers(text)
    bare = [one for one in found if not one.date] or found
    if not bare:
        return None
    first, rest = bare[0], bare[1:]
    fraction = FRACTION.search(text, max(0, first.start - 8), first.end + 32)  # rows of blanks stay cheap
    if fraction and fraction.start() <= first.start and fraction.end() > first.end:
        return None if PARTED.match(text, fraction.end()) else _divided(fraction, fraction.end())
    between = RANGE.match(text, first.end)
    return None if rest and between and between.end() >= rest[0].start else first


def _told(text: str) -> Number | None:
    """The number a sentence states: its only one, or the one after its last copula."""
    if only := _only(text):
        return only
    found = [one for one in numbers(text) if not one.date]
    said = [one for one in found if COPULA.search(text[max(0, one.start - 24) : one.start])]
    if not said:
        return None
    return _first(text[said[-1].start :])


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
