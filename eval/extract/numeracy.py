"""Spans and numbers with their scale, one a line: the numeracy-focused F1 of TAT-QA (Zhu et al. 2021, section 5.2).

The words of all parts are two sets, without case, punctuation and English articles; F1 is twice what they share over
the sum of their sizes, as in DROP (Dua et al. 2019). A number is one word. Two numbers are one word where they are
equal in the gold's scale at two decimals: 1.4965 billion is 1,496.5 million, 1,496.5 is not. A bare fraction may stand
for percent.
"""

import re
import string
from collections.abc import Iterable, Iterator
from decimal import ROUND_HALF_EVEN, Decimal

from eval.extract import claim, falls, numerals
from eval.extract.numerals import EXACT, MOST_DIGITS, Number
from eval.extract.passages import FORM, announcements, boxes, clean

BULLET = re.compile(r"^(?:[-*•·]|\(?[0-9]{1,2}[.)])\s+")  # -12.6 is a number
CENT = Decimal("0.01")
PARTS = re.compile(r"\s*(?:\n|[;；、])\s*")
LISTED = re.compile(r"\s*,\s+(?:and\s+)?|\s+and\s+", re.I)
PUNCTUATION = str.maketrans("", "", string.punctuation + "“”‘’–—")
AROUND = ".,;:!?\"'()[]*"
ARTICLES = frozenset(("a", "an", "the"))
Word = str | Number


def read(text: str, gold: str, *, lenient: bool = True) -> tuple[str | None, str, float]:
    """(what was read, rule, F1 in [0, 1]). Of a gold that is one number, the number that the text commits to."""
    wanted = [word for part in parts(gold) for word in words(part)]
    if len(wanted) == 1 and isinstance(wanted[0], Number):
        number, rule = claim.read(text) if lenient else claim.read_strictly(text)
        if lenient and (fallen := falls.read(text, (), number, wanted[0])):
            number, rule = fallen, falls.RULE
        return (str(number) if number else None), rule, float(number is not None and same(number, wanted[0]))
    region, rule = _region(text) if lenient else (FORM.sub("", text), "form")
    listed = parts(region)
    said = [word for part in listed for word in words(part)]
    return ("\n".join(listed) or None), rule if listed else "none", shared(said, wanted)


def _region(text: str) -> tuple[str, str]:
    """Where the answer stands: the last box, what is announced last, or all of it."""
    if found := boxes(text):
        return found[-1][2], "boxed"
    region = next((one for one in announcements(text) if one.strip()), "")
    return (region, "announced") if region else (text, "whole")


def parts(text: str) -> list[str]:
    """The parts of a list by lines or semicolons; by commas too where each is then a number."""
    found = [BULLET.sub("", part.strip()) for part in PARTS.split(clean(text))]
    return [piece for part in found if part for piece in _numbers_apart(part)]


def _numbers_apart(part: str) -> list[str]:
    pieces = [piece for piece in LISTED.split(part) if piece]
    return pieces if len(pieces) > 1 and all(_number(piece) for piece in pieces) else [part]


def words(part: str) -> Iterator[Word]:
    """A part that is a number, as that; else its words."""
    number = _number(part)
    if number:
        yield number
        return
    for word in part.casefold().split():
        figure = _number(word) or _number(word.strip(AROUND))
        bare = word.translate(PUNCTUATION)
        if figure:
            yield figure
        elif bare and bare not in ARTICLES:
            yield bare


def _number(text: str) -> Number | None:
    """The number that a text is, with its currency and unit; None where it is anything else or more."""
    found = numerals.numbers(text)
    if len(found) != 1:
        return None
    left = text[: found[0].start] + text[found[0].end :]
    return found[0] if not re.search(r"\w", left) else None


def same(read: Number, gold: Number) -> bool:
    """Whether a number is the gold's, both in the gold's scale and rounded to two decimals."""
    shift = (2 if gold.percent else -2) if read.percent != gold.percent else 0
    value = read.value.scaleb(shift - gold.scale, EXACT)
    if abs(value.adjusted()) > 2 * MOST_DIGITS:
        return False
    wanted = gold.value.scaleb(-gold.scale, EXACT)
    return value.quantize(CENT, ROUND_HALF_EVEN, EXACT) == wanted.quantize(CENT, ROUND_HALF_EVEN, EXACT)


def shared(said: Iterable[Word], wanted: Iterable[Word]) -> float:
    """F1 of two sets of words; numbers that are the same to a gold one are that one."""
    golds, found = _distinct(wanted), _distinct(said)
    hit = {key for key, word in golds.items() if key in found or any(_same(one, word) for one in found.values())}
    others = [one for key, one in found.items() if key not in golds and not any(_same(one, golds[k]) for k in hit)]
    return 2 * len(hit) / (len(hit) + len(others) + len(golds)) if found or golds else 1.0


def _distinct(words: Iterable[Word]) -> dict[object, Word]:
    """Each word once; numbers by what they are worth, however they are written."""
    return {(word.value, word.percent) if isinstance(word, Number) else word: word for word in words}


def _same(word: Word, gold: Word) -> bool:
    return isinstance(word, Number) and isinstance(gold, Number) and same(word, gold)
