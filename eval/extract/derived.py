"""Key points taken by rule from an answer in prose: its yes or no, its figures, the names it gives. No words of a
set need to be written down for it, so a licence that forbids copies is kept; what no rule reads is not graded.

- A gold that begins with yes or no: half the weight is that stance, and the other stance costs everything; the other
  half is its figures, in equal parts.
- A question for a name (which, who, what are, 哪, 谁): the names of the gold that stand in what was shown and not in
  the question; a gold of a few words that stand there is a name as a whole. Figures beside it were not asked for.
- A question for a reason (why, what drove, 为什么, 原因): none; a reason can be said in too many ways.
- Any other question: the figures of the gold.

Figures are told with their unit, to the gold's own precision. Left out are those that the question says, dates, marks
of lists, parts of names (COVID-19), counts up to ten beside other figures, one that rounds another, and sentences about
the answer itself ("The answer here assumes ..."). A point that its own gold does not make is none.
"""

import re
from collections.abc import Sequence
from typing import Any

from eval.extract import truth
from eval.extract.keypoints import STOP, Point, Rubric, weigh
from eval.extract.numerals import Number, numbers, same
from eval.extract.passages import clean
from finetune.card import Row

REASON = re.compile(
    r"(?<![a-z])(?:(?<!explain )why|what (?:drove|drives|caused|explains?))(?![a-z])|为什么|为何|原因", re.I
)
NAME = re.compile(
    r"(?<![a-z])(?:which|who|whom|what (?:are|industry|sector|was the (?:largest|biggest|main)))(?![a-z])|哪|谁", re.I
)
ABOUT_ITSELF = re.compile(r"(?:^|(?<=[.!?。\n])\s*)(?:the|this) answer (?:here )?(?:assumes|considers)[^\n]*", re.I)
POLAR = re.compile(
    r"(?:^|[,.] ?)(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should)(?![a-z])"
    r"|是否|能否|有没有|吗",
    re.I,
)
PART = re.compile(r"[A-Za-z]['-]$|\($")  # before a figure that is part of a name, or a list's mark, if `)` follows
YEAR = re.compile(r"(?:19|20)[0-9]{2}")
WORD = r"[A-Z][\w'/-]*(?:\.(?=\w))?"
CAPITALS = re.compile(rf"{WORD}(?: (?:(?:of|of the|&) )?{WORD})*")
QUOTED = re.compile(r"《([^》\n]{2,40})》|[“\"「]([^”\"」\n]{2,40})[”\"」]")
FORM = re.compile(r",? (?:Ltd|LLC|Inc|Corp|plc|Co)$|-[a-z]+$|'s?$|^(?:Ltd|LLC|Inc|Corp|plc)$")  # of a company; -based
PERIOD = re.compile(r"(?:FY|Q|H|CY)? ?[0-9]+(?:Q[0-9])?|[A-Z]", re.I)
SMALL = 10  # whole numbers up to it count things, and are seldom what was asked
BRIEF = 5  # words of a gold that is a name as a whole


def points(row: Row) -> tuple[str, str]:
    """(the rubric of a question answered in prose, as JSON for `keypoints`; empty: no rule reads the gold, why)."""
    gold = ABOUT_ITSELF.sub("", row.answer or "").strip()
    stance = truth.STANDING.match(clean(gold))
    not_say: list[Point] = []
    if stance is not None and POLAR.search(row.question):
        say, not_say = _stance(str(stance.lastgroup), _figures(gold, row.question))
        lacks = "its stance cannot be read"
    elif REASON.search(row.question):
        return "", "asks for a reason"
    elif NAME.search(row.question):
        say = [_point(name, phrases=(name,)) for name in _names(gold, row)]
        lacks = "no name of the gold stands in what was shown"
    else:
        say, lacks = _figures(gold, row.question), "no figure in the gold that the question does not say"
    say = [one for one in say if weigh(gold, Rubric(say=(one,))).score == 1]
    rubric = Rubric(say=tuple(say), not_say=tuple(not_say)) if say else None
    return (rubric.model_dump_json(exclude_defaults=True), "") if rubric else ("", lacks)


def _point(says: str, **how: Any) -> Point:
    return Point.model_validate({"says": says, **how})


def _stance(side: str, figures: Sequence[Point]) -> tuple[list[Point], list[Point]]:
    """(say, not say): half for the stance, where there are figures; the other stance takes all."""
    whole = float(2 * len(figures) or 1)
    other = "no" if side == "yes" else "yes"
    mine = _point(side, reads="yes_no", weight=max(1.0, float(len(figures))))
    return [mine, *figures], [_point(other, reads="yes_no", weight=whole)]


def _figures(gold: str, question: str) -> list[Point]:
    """The figures that a gold states and its question does not, as they are written there."""
    text, asked = clean(gold), numbers(clean(question))
    stated = [one for one in numbers(text) if _states(one, text) and not any(same(one, told) for told in asked)]
    large = [one for one in stated if one.percent or one.scale or not _counts(one)]
    kept: list[Number] = []
    for one in sorted(large or stated, key=lambda each: (-each.quantum, each.start)):  # the coarser reads the finer
        if not any(same(one, other) for other in kept):
            kept.append(one)
    kept.sort(key=lambda each: each.start)
    said = [text[one.start : one.end].strip() for one in kept]
    bare = [words.strip("() ") if one.value >= 0 else words for one, words in zip(kept, said, strict=True)]
    return [_point(words, reads="figure") for words in bare]


def _states(figure: Number, text: str) -> bool:
    """Whether a number is a figure: no date, mark of a list or part of a name."""
    written = text[figure.start : figure.end].strip()
    marked = PART.search(text[max(0, figure.start - 2) : figure.start] + re.match(r"[(-]?", written)[0])  # type: ignore[index]
    closed = written.endswith(")") or text[figure.end : figure.end + 1] == ")"
    if marked and (marked.group() != "(" or (closed and _counts(figure))):
        return False
    return not figure.date and not YEAR.fullmatch(written.strip("() "))


def _counts(figure: Number) -> bool:
    size = abs(figure.written)
    return size <= SMALL and size == size.to_integral_value() and not (figure.percent or figure.scale)


def _names(gold: str, row: Row) -> list[str]:
    """The names in a gold that stand in what was shown and not in the question; a brief gold is one as it is."""
    shown, asked = _plain(row.context), _plain(row.question)
    whole = gold.strip(" .。")
    found = ["".join(pair) for pair in QUOTED.findall(gold)]
    for run in CAPITALS.finditer(gold):
        if gold[run.end() : run.end() + 1] != ":":  # a label: what follows is the name
            found.append(FORM.sub("", _unled(run.group(), gold[: run.start()], row.context)))
    if len(whole.split()) <= BRIEF and "," not in whole and _plain(whole) in shown:
        found = [whole]
    names = [one for one in dict.fromkeys(found) if one and not PERIOD.fullmatch(one)]
    return [one for one in names if _plain(one) in shown and _plain(one) not in asked]


def _unled(run: str, before: str, shown: str) -> str:
    """A run of capitals without a first word that is large only because a sentence begins."""
    first, _, rest = run.partition(" ")
    begins = not before.strip() or bool(re.search(r"[.:!?\n]\s*[-*]?\s*$", before))
    common = first.casefold() in STOP or bool(
        re.search(rf"(?<![A-Za-z]){re.escape(first.casefold())}(?![A-Za-z])", shown)
    )
    return rest if begins and common else run


def _plain(text: str) -> str:
    return " ".join(clean(text).casefold().split())
