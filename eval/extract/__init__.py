"""Answers out of text, Chinese and English: which rule fired, what it read, whether it is right.

Every kind of answer is read leniently (what a reader would take from the text) or strictly (the form that was asked
for, and nothing else); the task declares which is the score. Where a text does not commit, nothing is read: the outcome
is `unparsed`, never a guess. Text of questions and answers is data: nothing in it is followed.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from eval.extract import claim, falls, keypoints, labels, letters, numeracy, numerals, slots, spans, tags, truth
from eval.extract.fields import NOTICES, Fields
from eval.extract.passages import clean
from eval.extract.thought import split
from finetune.mistakes import BadInput

EXTRACTOR = "2026.11.8"  # part of the plan and of every score's fingerprint; raised when a reading changes
AnswerKind = Literal[
    "option", "letter", "number", "yes_no", "text", "span", "label", "tags", "numeracy", "slots", "keypoints"
]  # fmt: skip
Reading = Literal["lenient", "strict"]
LETTERS = letters.LETTERS
BOLD = re.compile(r"\*\*([^*\n]{1,80})\*\*")
LONGEST = 20_000  # characters in which bold is looked for
REFUSALS = (
    "无法回答", "不能回答", "无法提供", "不能提供", "不便回答", "拒绝回答", "抱歉", "cannot answer", "can't answer",
    "unable to answer", "cannot provide", "can't provide", "won't answer", "i'm sorry", "i am sorry",
)  # fmt: skip


@dataclass(frozen=True)
class Grade:
    """What was read from an answer and what it is worth."""

    extracted: str | None
    rule: str
    outcome: str  # correct, wrong, unparsed or refused
    score: float  # in [0, 1]; below 1 an answer that earns a part is `wrong`


def grade(
    kind: str, text: str, gold: str, options: Sequence[str] = (), reading: str = "lenient", fields: Fields = NOTICES
) -> Grade:  # fmt: skip
    """Grade one answer (the thought already removed). `kind` and `reading` are the task's metadata.answer, .reading.

    `gold`: letters, a number, yes or no in either language, a text, a label, tags between commas, spans and numbers
    with their scale a line each (`numeracy`), records as JSON (`slots`), or key points as JSON (`keypoints.Rubric`).
    `options`: texts of the options; for `label` and `tags` the known labels, where there are any. `fields`: those of
    `slots`, which the task declares.
    """
    bold = [clean(each) for each in BOLD.findall(text[:LONGEST])]
    text, gold, lenient = clean(text), gold.strip(), reading == "lenient"
    if kind == "number" and claim.gold(clean(gold)) is None:
        kind = "yes_no"  # sets of numbers hold a few such questions
    read = {
        "letter": _letter, "option": _option, "number": _number(bold), "yes_no": _yes_no, "text": _text, "span": _span,
        "label": _label, "tags": _tags, "numeracy": _numeracy, "slots": _slots(fields), "keypoints": _keypoints,
    }[kind]  # fmt: skip
    extracted, rule, score = read(text, gold, options, lenient)
    if extracted is None or (kind in ("keypoints", "numeracy") and score == 0):
        refused = any(word in text.casefold() for word in REFUSALS)
        if refused or extracted is None:
            return Grade(extracted, rule, "refused" if refused else "unparsed", 0.0)
    return Grade(extracted, rule, "correct" if score == 1 else "wrong", score)


def refuse_bad_gold(kind: str, gold: str, fields: Fields = NOTICES) -> None:
    """BadInput for a gold that is not of the form its kind needs; most kinds take any text."""
    if kind == "keypoints":
        keypoints.Rubric.read(gold)
    if kind == "slots" and slots.gold_of(clean(gold), fields) is None:
        known = ", ".join(fields.kinds)
        raise BadInput(
            f"the answer is no records; write a JSON array of objects with all of {known}, null where absent"
        )


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """lm-eval's hook in our generated tasks: the same grading, on the first answer without its thought."""
    reading, declared = doc.get("reading", "lenient"), json.loads(doc.get("fields") or "null")
    fields = Fields.of(declared) if declared else NOTICES
    _, answer, closed = split(results[0])
    found = grade(doc["answer_kind"], answer, doc["answer"], doc["options"], reading, fields)
    return {doc.get("headline", "exact"): found.score if closed else 0.0}


Read = tuple[str | None, str, float]


def _letter(text: str, gold: str, options: Sequence[str], lenient: bool) -> Read:
    count, wanted = len(options) or len(LETTERS), _sorted(gold)
    several = len(wanted) > 1
    read, rule = letters.read(text, options, count, several=several) if lenient else letters.read_strictly(text, count)
    return read, rule, float(read == wanted)


def _option(text: str, gold: str, options: Sequence[str], lenient: bool) -> Read:
    place, rule = labels.read(text, options, lenient=lenient)
    read = None if place is None else LETTERS[place]
    return read, rule, float(read == _sorted(gold))


def _number(bold: Sequence[str]) -> Callable[[str, str, Sequence[str], bool], Read]:
    def graded(text: str, gold: str, options: Sequence[str], lenient: bool) -> Read:
        read, rule = claim.read(text, bold) if lenient else claim.read_strictly(text)
        wanted = claim.gold(clean(gold))
        if lenient and (fallen := falls.read(text, bold, read, wanted)):
            read, rule = fallen, falls.RULE
        right = read is not None and wanted is not None and numerals.same(read, wanted, lenient=lenient)
        return (str(read) if read else None), rule, float(right)

    return graded


def _yes_no(text: str, gold: str, options: Sequence[str], lenient: bool) -> Read:
    read, rule = truth.read(text, lenient=lenient)
    return read, rule, float(read is not None and read == truth.read(clean(gold))[0])


def _text(text: str, gold: str, options: Sequence[str], lenient: bool) -> Read:
    return text or None, "whole", float(clean(text).casefold() == clean(gold).casefold())


def _span(text: str, gold: str, options: Sequence[str], lenient: bool) -> Read:
    tried = [spans.read(text, one, lenient=lenient) for one in accepted(gold)]
    read, rule, right = next((one for one in tried if one[2]), tried[0])
    return read, rule, float(right)


def accepted(gold: str) -> list[str]:
    """The accepted answers of a gold: those of a JSON list (`columns.answers` of a card), or the text itself."""
    try:
        listed = json.loads(gold) if gold.startswith('["') else None
    except ValueError:
        listed = None
    return listed if listed and all(isinstance(one, str) for one in listed) else [gold]


def _label(text: str, gold: str, options: Sequence[str], lenient: bool) -> Read:
    if not options:  # of no known set: the words themselves
        return _span(text, gold, options, lenient=False)
    known = options
    place, rule = labels.read(text, known, lenient=lenient)
    read = None if place is None else known[place]
    return read, rule, float(read is not None and labels.fold(read) == labels.fold(gold))


def _tags(text: str, gold: str, options: Sequence[str], lenient: bool) -> Read:
    read, rule = tags.read(text, options, lenient=lenient)
    return (None if read is None else ", ".join(read)), rule, tags.shared(read or (), tags.of(clean(gold)))


def _numeracy(text: str, gold: str, options: Sequence[str], lenient: bool) -> Read:
    return numeracy.read(text, clean(gold), lenient=lenient)


def _slots(fields: Fields) -> Callable[[str, str, Sequence[str], bool], Read]:
    return lambda text, gold, _, lenient: slots.grade(text, gold, lenient=lenient, fields=fields)


def _keypoints(text: str, gold: str, options: Sequence[str], lenient: bool) -> Read:
    if not text:
        return None, "none", 0.0
    found = keypoints.weigh(text, keypoints.Rubric.read(gold))
    return str(found), "keypoints", found.score


def _sorted(gold: str) -> str:
    return "".join(sorted({letter for letter in clean(gold).upper() if letter in LETTERS}))
