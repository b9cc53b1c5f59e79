"""Values of slots in one writing: rates, fees, dates; what an answer writes for "the text does not say" is None.

Text that is no value of its slot stays as it is, behind a question mark: it was said, and it is wrong.
"""

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from eval.extract.numerals import EXACT, Number, numbers
from eval.extract.passages import clean

ABSENT = frozenset((
    "", "无", "没有", "未提及", "未说明", "未规定", "未给出", "未公布", "未明确", "未调整", "不调整", "不作调整",
    "不变", "缺失", "空", "不适用", "待定", "另行通知", "null", "none", "nil", "n/a", "na", "not given", "not stated",
    "not specified", "not mentioned", "not applicable", "unchanged", "absent", "missing", "unknown", "tbd", "-", "--",
    "—", "–", "/",
))  # fmt: skip
TO = re.compile(
    r"(?:调整为|调整至|提高至|提高到|降低至|降低到|上调至|下调至|改为|变为|至|到|→|->|(?<![a-z])to(?![a-z]))", re.I
)
OLD = re.compile(r"\((?:原|此前|formerly|previously|was|from)[^()]*\)", re.I)
SHARE = re.compile(r"万分之|‱|per ten thousand|per 10,?000", re.I)
LOT = re.compile(r"/ ?手|每手|一手|元|yuan|cny|rmb|[¥￥]|(?:per|a|/) ?lots?(?![a-z])|/ ?contract", re.I)
MONTHS = {
    name: number
    for number, names in enumerate((
        "jan january", "feb february", "mar march", "apr april", "may", "jun june", "jul july", "aug august",
        "sep sept september", "oct october", "nov november", "dec december",
    ), 1)
    for name in names.split()
}  # fmt: skip
FIGURES = str.maketrans("〇零一二三四五六七八九", "00123456789")
HAN_DATE = re.compile("([〇零一二三四五六七八九]{4})年([一二三四五六七八九十]{1,3})月([一二三四五六七八九十]{1,3})日")
DATES = (
    re.compile(r"(?P<y>[0-9]{4}) ?[-/.年] ?(?P<m>[0-9]{1,2}) ?[-/.月] ?(?P<d>[0-9]{1,2})(?![0-9])"),
    re.compile(r"(?<![0-9])(?P<y>20[0-9]{2})(?P<m>[01][0-9])(?P<d>[0-3][0-9])(?![0-9])"),
    re.compile(r"(?P<d>[0-9]{1,2})(?:st|nd|rd|th)?(?: of)? (?P<name>[a-z]{3,9})\.?,? (?P<y>[0-9]{4})", re.I),
    re.compile(r"(?P<name>[a-z]{3,9})\.? (?P<d>[0-9]{1,2})(?:st|nd|rd|th)?,? (?P<y>[0-9]{4})", re.I),
)


def rate(value: Any) -> str | None:
    """A rate in percent: 8%, ８％, 百分之八, ±8%, 0.08 and 8 are "8%"."""
    text = _text(value)
    if text is None:
        return None
    number = _one(text)
    if number is None:
        return f"?{text}"
    points = number.value if number.percent or abs(number.value) >= 1 else number.value.scaleb(2, EXACT)
    return f"{_plain(abs(points))}%"


def fee(value: Any) -> str | None:
    """A fee as yuan a lot ("3/lot") or as a share of turnover in percent ("0.005%"); a bare number is yuan."""
    text = _text(value)
    if text is None:
        return None
    share = SHARE.search(text)
    number = _one(SHARE.sub(lambda mark: "百分之" if mark[0] == "万分之" else "%", text) if share else text)
    if number is None:
        return f"?{text}"
    if share:
        return f"{_plain(number.value.scaleb(-2, EXACT))}%"
    if number.percent:
        return f"{_plain(number.value)}%"
    return f"{_plain(number.value)}/lot" if LOT.search(text) or re.fullmatch(r"[\d.]+", text) else f"?{text}"


def day(value: Any) -> str | None:
    """A date as 2026-03-05; several different ones are none."""
    text = _text(value)
    if text is None:
        return None
    plain = HAN_DATE.sub(lambda m: f"{m[1].translate(FIGURES)}年{_small(m[2])}月{_small(m[3])}日", text)
    found = {one for pattern in DATES for match in pattern.finditer(plain) if (one := _date(match.groupdict()))}
    return found.pop() if len(found) == 1 else f"?{text}"


def amount(value: Any) -> str | None:
    """A number, magnitudes multiplied out: 1,200,000, 120万元, 1.2 million and CNY 1.2m are "1200000"; a currency is
    not compared, since questions tell it."""
    text = _text(value)
    if text is None:
        return None
    number = _one(text)
    return f"?{text}" if number is None else _plain(number.value)


def words(value: Any) -> str | None:
    """A text without case and dress, its blanks as one each."""
    text = _text(value)
    return None if text is None else " ".join(text.casefold().split())


READERS: dict[str, Callable[[Any], str | None]] = {
    "number": amount, "money": amount, "percent": rate, "fee": fee, "date": day, "text": words,
}  # fmt: skip


def _text(value: Any) -> str | None:
    """What was written, without dress; None where it says that there is nothing."""
    if value is None or value == [] or value == {}:
        return None
    text = clean(str(value)).strip(" \"'.。,;*")
    return None if text.casefold().strip("()[]<> ") in ABSENT else text


def _one(text: str) -> Number | None:
    """The one number of a value; of "from 8% to 10%" and "10% (formerly 8%)" the new one."""
    text = OLD.sub("", text)
    found = numbers(text)
    if len({(one.value, one.percent) for one in found}) > 1 and (marks := list(TO.finditer(text))):
        found = [one for one in found if one.start >= marks[-1].end()]
    return found[0] if len({(one.value, one.percent) for one in found}) == 1 else None


def _plain(value: Decimal) -> str:
    return f"{value.normalize(EXACT):f}"


def _small(han: str) -> int:
    """A Chinese number below 100."""
    tens, ten, ones = han.rpartition("十")
    head = int(tens.translate(FIGURES)) if tens.translate(FIGURES).isdecimal() else 1
    tail = int(ones.translate(FIGURES)) if ones else 0
    return 10 * head + tail if ten else tail


def _date(parts: dict[str, str]) -> str | None:
    month = int(parts["m"]) if parts.get("m") else MONTHS.get(parts.get("name", "").casefold(), 0)
    try:
        return date(int(parts["y"]), month, int(parts["d"])).isoformat()
    except ValueError:
        return None
