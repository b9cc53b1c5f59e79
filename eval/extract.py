"""Answers out of text, Chinese and English: which rule fired, what it read, whether it is right.

Rules are tried in order of certainty: what is boxed, what is announced ("答案是B", "the answer is B"), what stands
alone, and at last the last candidate in the text. The rule that fired stands in the item log.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any

EXTRACTOR = "2026.11.2"  # part of the plan and of every score's fingerprint; raised when a reading changes
ANNOUNCED = r"(?:答案|正确答案|选择|选项|应选|故选|选|answer|option|choice)(?:是|为|应为|is|:|：|\s)*"
BOXED = re.compile(r"\\boxed\{\s*(?:\\text\{)?([^{}]*)\}?\s*\}")
NUMBER = re.compile(r"(?:(?<![\d.])[-+(]\s*)?(?:[$¥€£￥]\s*[-+]?)?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?\)?")
UNITS = {"百万": 6, "千万": 7, "万亿": 12, "万": 4, "亿": 8, "thousand": 3, "million": 6, "billion": 9}
REFUSALS = ("无法回答", "不能回答", "无法提供", "不便回答", "抱歉", "cannot answer", "can't answer", "unable to answer")
YES_NO = re.compile(  # what only looks like one of them is taken first, and tells nothing
    r"(?P<neither>是否|否则|对于|但是)|(?P<no>不是|不对|不正确|否|错|(?<![a-z])(?:no|false)(?![a-z]))"
    r"|(?P<yes>是|对|正确|(?<![a-z])(?:yes|true)(?![a-z]))"
)
MOST_DIGITS = 50  # before or after the point: what is longer is a loop and no number


@dataclass(frozen=True)
class Grade:
    """What was read from an answer and what it is worth."""

    extracted: str | None
    rule: str
    outcome: str  # correct, wrong, unparsed or refused
    score: float


def grade(kind: str, text: str, gold: str, options: Sequence[str] = ()) -> Grade:
    """Grade one answer (the thought already removed). `kind` is the task's metadata.answer."""
    text = unicodedata.normalize("NFKC", text).strip()
    if kind == "number" and read_number(gold)[0] is None:
        kind = "yes_no"  # sets of numbers hold a few such questions
    read, equal = {
        "letter": (lambda: read_letters(text, len(options) or 10), _same_letters),
        "option": (lambda: read_option(text, options), _same_letters),
        "number": (lambda: read_number(text), same_number),
        "yes_no": (lambda: read_yes_no(text), lambda a, b: a == read_yes_no(b)[0]),
        "text": (lambda: ((text or None), "whole"), _same_text),
    }[kind]
    extracted, rule = read()
    if extracted is None:
        refused = any(word in text.lower() for word in REFUSALS)
        return Grade(None, rule, "refused" if refused else "unparsed", 0.0)
    right = equal(extracted, unicodedata.normalize("NFKC", gold).strip())
    return Grade(extracted, rule, "correct" if right else "wrong", float(right))


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """lm-eval's hook in our generated tasks: the same grading, on the first answer."""
    return {"exact": grade(doc["answer_kind"], results[0], doc["answer"], doc["options"]).score}


def read_letters(text: str, count: int) -> tuple[str | None, str]:
    """Letters of the options, sorted and joined ("BD"); every one must be among the first `count`."""
    letters = "ABCDEFGHIJ"[:count]
    group = rf"([{letters}](?:[\s,、和与及&]*(?:and\s+)?[{letters}])*)(?![A-Za-z])"
    end = rf"(?![\s,、和与及&]*[{letters}](?![A-Za-z]))"  # no further letter of the same group
    for rule, found in (
        ("boxed", BOXED.findall(text)),
        ("announced", re.findall(rf"{ANNOUNCED}[(\[【*\s]*{group}", text, re.I)),
        ("alone", re.findall(rf"^[(\[【*\s]*{group}[)\]】*.,。:、\s]*$", text)),
        ("leading", re.findall(rf"^[(\[【*]*{group}{end}[)\]】*]*[.,。:、\s]", text)),
        ("last", re.findall(rf"(?<![A-Za-z]){group}", text)),
    ):
        picked = [_letters(one, letters) for one in found]
        if picked and picked[-1]:
            return picked[-1], rule
    return None, "none"


def read_option(text: str, options: Sequence[str]) -> tuple[str | None, str]:
    """The letter of the option whose words the answer holds; the longest match counts, two of equal length do not."""
    folded = text.casefold()
    held = [(len(option), i) for i, option in enumerate(options) if _fold(option) in folded]
    held.sort(reverse=True)
    if not held or (len(held) > 1 and held[0][0] == held[1][0]):
        return None, "none"
    return "ABCDEFGHIJ"[held[0][1]], "contains"


def read_number(text: str) -> tuple[str | None, str]:
    """A number in digits ("-1264.5"); percent stays in points, magnitudes (万, 亿, million) are multiplied out."""
    for rule, region in _regions(text):
        found = [value for match in NUMBER.finditer(region) if (value := _value(match, region)) is not None]
        if found:
            return format(found[0] if rule in ("boxed", "announced") else found[-1], "f"), rule
    return None, "none"


def same_number(read: str, gold: str) -> bool:
    """Equal at the gold's own precision: 12.34 against a gold of 12.3 is right, 12.36 and 12 are not."""
    wanted, _ = read_number(gold)
    if wanted is None:
        return False
    places = len(wanted.partition(".")[2])
    if not places:
        return Decimal(read) == Decimal(wanted)
    exact = Context(prec=2 * MOST_DIGITS + places)
    return Decimal(read).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, exact) == Decimal(wanted)


def read_yes_no(text: str) -> tuple[str | None, str]:
    """`yes` or `no` in either language, by the first word that says so: boxed, announced, or in the whole text."""
    for rule, region in _regions(text):
        said = [match.lastgroup for match in YES_NO.finditer(region.casefold()) if match.lastgroup != "neither"]
        if said:
            return said[0], "first" if rule == "last" else rule
    return None, "none"


def _regions(text: str) -> Iterable[tuple[str, str]]:
    boxed = BOXED.findall(text)
    if boxed:
        yield "boxed", boxed[-1]
    announced = re.split(ANNOUNCED, text, flags=re.I)
    if len(announced) > 1:
        yield "announced", announced[-1]
    yield "last", text


def _value(match: re.Match[str], region: str) -> Decimal | None:
    raw = match.group()
    digits = re.sub(r"[^\d.eE+-]", "", raw.replace(",", ""))
    try:
        value = Decimal(digits)
    except InvalidOperation:
        return None
    if value and abs(value.adjusted()) > MOST_DIGITS:
        return None
    if raw.lstrip().startswith("(") and raw.endswith(")"):
        value = -value
    tail = region[match.end() :].lstrip().casefold()
    unit = max((u for u in UNITS if tail.startswith(u)), key=len, default=None)
    return value.scaleb(UNITS[unit]) if unit else value


def _letters(text: str, allowed: str) -> str:
    """Sorted letters of a group such as "A、B and D"; empty when anything else stands in it."""
    bare = re.sub(r"and|[\s,、和与及&]", "", text)
    return "".join(sorted(set(bare))) if bare and set(bare) <= set(allowed) else ""


def _same_letters(read: str, gold: str) -> bool:
    return read == "".join(sorted(set(gold.upper())))


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip().casefold()


def _same_text(read: str, gold: str) -> bool:
    return _fold(read) == _fold(gold)
