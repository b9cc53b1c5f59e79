"""The number that a text commits to: boxed, announced, alone on its first line, concluded, said last.

What a text adds to its answer is none: notes and sources behind it, what it is compared with, what it is said not to
be, and the same once more in another form, as in 0.125 (12.5%). Several numbers of which the text does not say which is
the answer are none.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from eval.extract.fraction import FRACTION, divided
from eval.extract.notation import COPULA, DENIED, PARTED, RANGE, YEAR
from eval.extract.numerals import EXACT, Number, numbers
from eval.extract.passages import ANNOUNCED, REACH, announcements, boxes, conclusions, sentence, sentences
from eval.extract.spelled import in_digits

NOTE = re.compile(  # to the end of its line, with the list that follows
    r"(?:^|(?<=[\n.。;!?(]))[ (\[*_-]{0,6}"
    r"(?:(?:(?:data )?(?:notes?|sources?|references?|citations?|disclaimer)(?: ?\([^()\n]{0,40}\))?"
    r"|注释?|备注|(?:数据|资料)?(?:来源|出处)|参考(?:资料|文献)?) ?:"
    r"|let me know|see (?:page|pp?\.|note|table|the))"
    r"[^\n]*(?:\n[ \t]{0,8}(?:[-*•] |[0-9]{1,2}[.)、])[^\n]*)*",
    re.I,
)
RESULT = re.compile(
    r"(?:最终|最后)的?(?:计算)?(?:结果|数值)(?:应?[为是]|等于|[:=])+|(?:^|[\n。;])\W{0,4}(?:计算)?结果 ?[:=]"
    r"|(?<![a-z])final (?:result|value|figure|number) ?(?:is|was|equals|[:=])|(?:^|\n)\W{0,4}results? ?[:=]",
    re.I,
)
ASIDE = re.compile(r"[(\[](?:[^()\[\]\n]|\([^()\n]{0,40}\)){0,120}+[)\]]")
TOLD = re.compile(r"[^\W\d_]|[=/×÷*]")  # a note in brackets: words, or arithmetic
COMPARED = re.compile(  # a clause that only says beside what the answer stands
    r"^ {0,3}(?:(?:略|远|明显|显著|大幅)?(?:高于|低于|多于|少于|大于|小于|超过|不及)|相[比较]于?|对比"
    r"|而(?:不是|非)|并非|不是"
    r"|(?:which|that) (?:is|was) (?:\w+ )?(?:higher|lower|more|less|greater|smaller|above|below)"
    r"|compared (?:with|to)|versus|vs\.?|(?:up|down) from|(?:higher|lower|more|less|greater|smaller) than|above|below"
    r"|rather than|instead of|not)(?![a-z])",
    re.I,
)
CLAUSES = re.compile(r"[,;] | \((?=[a-z])")
UNIT = re.compile(  # all that may stand around a number that is alone on its line
    r"(?:约为?|大约|about|approximately|roughly|人民币)?[\s$*:=≈~()\"]*#?[\s$*:=≈~()\"]*"
    r"(?:[百千万亿美港欧日]{0,2}[元股人户吨倍年天家个点]|[a-z]{1,8}(?: per [a-z]{1,8})?)?[\s$*().。\"]*",
    re.I,
)
GOES_ON = re.compile(r"\s*(?:[+*/×÷=≈<>]|-\s?[0-9(])")


def read(text: str, bold: Sequence[str] = ()) -> tuple[Number | None, str]:
    """The number that the text commits to, and the rule. `bold`: what the text sets in bold."""
    if found := boxes(text):
        return _last_side(found[-1][2]), "boxed"
    text = _body(text)
    whole = _single(text) if len(text) < 200 else None
    if whole and not re.search(r"[^\W\d_]{3}\s+[^\W\d_]{2}|=", text):
        return whole, "alone"
    if number := _announced(text):
        return number, "announced"
    if number := _leading(text) or _set_apart(text, bold):
        return number, "leading"
    for region in conclusions(text):
        if number := _told(region):
            return number, "concluded"
    if not numbers(text) and (spelled := in_digits(text)) != text:
        number, rule = read(spelled)
        return (number, rule) if rule in ("alone", "announced") else (None, "none")
    return _said(text, bold)


def read_strictly(text: str) -> tuple[Number | None, str]:
    """The form that is asked for: one number, at most boxed or after "答案：", and with its unit."""
    boxed = boxes(text)
    if len(boxed) == 1 and not text[: boxed[0][0]].strip("$ ") and not text[boxed[0][1] :].strip("$ .。"):
        text = boxed[0][2]
    announced = ANNOUNCED.match(re.sub(r"^(?:the\s+)?(?:final\s+|correct\s+)?", "", text, flags=re.I))
    bare = announced.string[announced.end() :] if announced else text
    if fraction := _fraction(bare):
        return fraction, "form"
    found = numbers(bare)
    if len(found) != 1:
        return None, "none"
    left = bare[: found[0].start] + bare[found[0].end :]
    plain = len(re.sub(r"[\s.。*$:=≈~约%]", "", left)) <= 12 and not re.search(
        r"[,;!?、]|[^\W\d_]\s+[^\W\d_]", left.strip()
    )
    return (found[0], "form") if plain else (None, "none")


def gold(text: str) -> Number | None:
    """The number of a gold answer, "12.3%", "1.0126万元" or "1/3"; None where it holds none."""
    return _only(text) or next(iter(numbers(text)), None)


def _body(text: str) -> str:
    """The text without notes and sources; all of it where no number is left."""
    body = NOTE.sub("", text).strip() if NOTE.search(text) else text
    return body if body != text and numbers(body) else text


def _announced(text: str) -> Number | None:
    """The number that is announced last."""
    results = [text[one.end() : one.end() + REACH] for one in RESULT.finditer(text)][-1:]
    for region in (*announcements(text), *results):
        said = sentence(region)
        if number := (_last_side(said) if "=" in said else _first(said)):
            return number
        if len(said) < 40 and (number := _first(sentence(region[len(said) + 1 :]))) and not said.strip(" :*$"):
            return number
    return None


def _leading(text: str) -> Number | None:
    """The number that is alone on the first line or in the first sentence, unless arithmetic goes on from there."""
    if any(one.date for one in _numbers(text[:REACH])[:1]):
        return None  # the mark of a list, or a year
    for first in (text.partition("\n")[0], sentence(text)):
        rest = text[len(first) + (text[len(first) : len(first) + 1] in (".", "。")) :]
        number = _alone(first)
        if number and rest.strip() and not GOES_ON.match(rest) and not _alone(rest.strip().partition("\n")[0]):
            return number
    return None


def _set_apart(text: str, bold: Sequence[str]) -> Number | None:
    """The number that stands in bold on the only line of its own."""
    lines = [line.strip() for line in text.split("\n")]
    apart = [one for line in lines if line in bold and (one := _alone(line))]
    return apart[0] if len(apart) == 1 else None


def _alone(text: str) -> Number | None:
    """The number of a text that holds nothing else, but for its unit and what is said of it in brackets."""
    bare = ASIDE.sub(_kept, text) if len(text) < 200 else ""
    found = numbers(bare)
    if len(found) != 1 or found[0].date or YEAR.fullmatch(bare[found[0].start : found[0].end].strip()):
        return None
    return found[0] if UNIT.fullmatch(f"{bare[: found[0].start]}#{bare[found[0].end :]}") else None


def _said(text: str, bold: Sequence[str]) -> tuple[Number | None, str]:
    """What the last sentence tells that does more than name a year; else the only number, or the only one in bold."""
    parts = sentences(text)
    for part in reversed(parts):
        number = _told(part)
        if number is None:
            break
        if len(parts) == 1 or not _names_a_year(number, part):
            whole = len(parts) == 1 and number.end - number.start >= len(text) - 2
            return number, "alone" if whole else "last sentence"
    else:
        if parts:
            return _told(parts[-1]), "last sentence"
    if number := _only(text):
        return number, "only"
    told = {(one.value, one.percent): one for each in bold if (one := _only(each)) and not one.date}
    if len(told) == 1:
        return next(iter(told.values())), "bold"
    return None, "several" if numbers(text) else "none"


def _names_a_year(number: Number, text: str) -> bool:
    """Whether it may be a year, and is not told as what something is."""
    year = number.date or YEAR.fullmatch(text[number.start : number.end].strip())
    return bool(year) and not COPULA.search(text[max(0, number.start - 24) : number.start])


@lru_cache(maxsize=64)
def _numbers(text: str) -> tuple[Number, ...]:
    """The numbers of a text, which is asked for them several times."""
    return tuple(numbers(text))


@lru_cache(maxsize=64)
def _figures(text: str) -> list[Number]:
    """The numbers of a text that may be its answer: those that it denies are not, nor dates beside another number."""
    found = [one for one in _numbers(text) if not DENIED.search(text[max(0, one.start - 64) : one.start])]
    return [one for one in found if not one.date] or found


def _fraction(text: str) -> Number | None:
    """The number of a text that is a fraction and nothing else."""
    found = FRACTION.fullmatch(text.strip(" $.。"))
    return _divided(found, len(text)) if found else None


def _single(text: str) -> Number | None:
    """The one number of a text: dates beside another number do not count, and a fraction is one number."""
    bare = [one for one in _numbers(text) if not one.date] or _numbers(text)
    if number := _fraction(text):
        return number
    return bare[-1] if _values(bare) == 1 and _figures(text) else None


def _only(text: str) -> Number | None:
    """The same, where what is denied, what is noted in brackets and what says it once more do not count."""
    if number := _single(text):
        return number
    bare = _figures(text)
    if _values(bare) > 1 and len(text) < REACH:
        bare = _figures(ASIDE.sub(_kept, text))
    again = [*bare[:1], *(_noted(one, bare[0], text) for one in bare[1:])]
    if bare and all(_restates(bare[0], one) for one in again[1:]):
        return max(again, key=_precision)
    return None


def _noted(one: Number, first: Number, text: str) -> Number:
    """The number without the minus of its brackets, where these only hold the first once more: 0.0538 (5.38%)."""
    above = replace(one, value=-one.value, written=-one.written)
    return above if text[one.start : one.start + 1] == "(" and _restates(first, above) else one


def _values(found: Sequence[Number]) -> int:
    return len({(one.value, one.percent) for one in found})


def _kept(aside: re.Match[str]) -> str:
    """Brackets as they are, unless they hold a note on the number before them: blanks instead, of equal length."""
    follows = re.search(r"[\w%*$] ?$", aside.string[max(0, aside.start() - 2) : aside.start()])
    counted = follows and numbers(aside.string[max(0, aside.start() - 40) : aside.start()])
    return " " * len(aside[0]) if counted and TOLD.search(aside[0]) else aside[0]


def _precision(number: Number) -> int:
    return -1 if number.part else number.figures


def _restates(one: Number, other: Number) -> bool:
    """Whether two numbers are the same, one of them in percent or with a magnitude and rounded: 0.1253 (12.5%)."""
    if (one.percent, one.scale, one.part) == (other.percent, other.scale, other.part):
        return one.value == other.value
    shifts = [-2 if each.percent else 0 for each in (one, other)]
    quantum = max(each.quantum.scaleb(by, EXACT) for each, by in zip((one, other), shifts, strict=True))
    first, second = (each.value.scaleb(by, EXACT) for each, by in zip((one, other), shifts, strict=True))
    return abs(first - second) <= quantum / 2 and bool(first) and bool(second)


def _divided(fraction: re.Match[str], end: int) -> Number | None:
    worth = divided(fraction)
    return None if worth is None else Number(worth, written=worth, end=end, part=True)


def _last_side(text: str) -> Number | None:
    """The number after the last equals sign, or the only one of the text."""
    return _only(re.split("[=≈]", text)[-1]) or (_first(text) if "=" not in text else None)


def _first(text: str) -> Number | None:
    """The first number that is no date, unless it begins a range or names two."""
    bare = _figures(text)
    if not bare:
        return None
    first, rest = bare[0], bare[1:]
    fraction = FRACTION.search(text, max(0, first.start - 8), first.end + 32)  # rows of blanks stay cheap
    if fraction and fraction.start() <= first.start and fraction.end() > first.end:
        return None if PARTED.match(text, fraction.end()) else _divided(fraction, fraction.end())
    between = RANGE.match(text, first.end)
    return None if rest and between and between.end() >= rest[0].start else first


def _told(text: str) -> Number | None:
    """The number a sentence states: its only one, also without what it is compared with, or that after its last
    copula."""
    kept = ", ".join(part for part in CLAUSES.split(text) if not COMPARED.search(part))
    for said in dict.fromkeys((text, kept)):
        if only := _only(said):
            return only
    told = [one for one in _figures(kept) if not one.date and COPULA.search(kept[max(0, one.start - 24) : one.start])]
    return _first(kept[told[-1].start :]) if told else None
