"""Options: the letters they come with, and which of them an answer means."""

import re
from collections.abc import Mapping
from typing import Any

from finetune.card.question import LETTERS
from finetune.card.records import BadCard

MARK = re.compile(r"\s*(?:[(（]\s*([A-J])\s*[)）]|([A-J])(?:\s*[.．、:：?？]|(?=\s)))\s*")  # (A), A．, A、, A


def unmarked(texts: list[str], place: str) -> dict[str, str]:
    """Options without the letters that they begin with, by these. BadCard: one has none, or another's."""
    marks = [MARK.match(text) for text in texts]
    found = {mark[1] or mark[2]: text[mark.end() :] for mark, text in zip(marks, texts, strict=True) if mark}
    if len(found) < len(texts):
        bare = next((text for mark, text in zip(marks, texts, strict=True) if not mark), "")
        what = repr(bare[:40]) if bare else "one has another's"
        raise BadCard(f"{place}: options do not begin with a letter each ({what}); correct it, or misfits: drop")
    return found


def refuse_marked(texts: list[str], place: str) -> None:
    """BadCard: the options begin with letters of their own, which are not those of their places: B would mean A."""
    marks = [MARK.match(text) for text in texts]
    found = [mark[1] or mark[2] for mark, text in zip(marks, texts, strict=True) if mark and mark.end() < len(text)]
    if len(texts) > 1 and sorted(found) == list(LETTERS[: len(texts)]) != found:
        said = ", ".join(found)
        raise BadCard(f"{place}: options begin with letters of their own ({said}); set columns.lettered: true")


def in_order(options: Mapping[Any, Any], place: str) -> list[Any]:
    """Options in the order of their letters, which are A, B, C, ... without a gap; else BadCard."""
    letters = sorted(map(str, options))
    if letters != list(LETTERS[: len(letters)]):
        raise BadCard(f"{place}: options are lettered {', '.join(letters)}; A, B, C, ... is needed")
    return [options[letter] for letter in letters]


def letters_of(answer: str, options: tuple[str, ...], form: str, place: str) -> str:
    """The answer as letters in alphabetical order."""
    if form == "text":
        if options.count(answer) != 1:
            raise BadCard(f"{place}: answer {answer!r} is not just one of the options {list(options)}; correct it")
        return LETTERS[options.index(answer)]
    if form in ("index0", "index1"):
        index = int(answer) - int(form[-1]) if answer.isdecimal() else -1
        if not 0 <= index < len(options):
            raise BadCard(f"{place}: answer {answer!r} is no number of one of {len(options)} options; correct it")
        return LETTERS[index]
    letters = "".join(sorted(re.sub(r"[\s,，、;；]", "", answer).upper()))
    if not letters or len(set(letters)) < len(letters) or not set(letters) <= set(LETTERS[: len(options)]):
        raise BadCard(f"{place}: answer {answer!r} is not among A to {LETTERS[len(options) - 1]}; correct it")
    return letters
