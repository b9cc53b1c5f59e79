"""Overlap of training with an exam: which questions have been taught, and how that shows.

Four signs, from sure to weak: the same question (letters and digits, NFKC); one nearly the same (Jaccard of 5-grams at
least 0.8); a run of 13 words (English; Brown et al. 2020, arXiv 2005.14165, C) or 25 characters (Chinese) of question
or context anywhere in a training row; the same source document, as the cards name it. A run that stands in many
documents of the exam and in many training rows is an instruction that all share, and does not count.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from eval.audit.duplicates import SIZE, THRESHOLD, Near
from eval.audit.grams import Numbers, characters, words
from finetune.card import Row
from finetune.card.likeness import normalise

CODE = 1  # of all that finds a sign, here and in `grams` and `duplicates`: raise it with a change that finds others
WORDS, CHARACTERS = 13, 25
COMMON = 10  # documents of the exam, and training rows, beyond which a run is an instruction


class Overlap(BaseModel):
    """Ids of the exam's questions that show a sign; `taught` and `exam` name card and split."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    taught: str
    exam: str
    questions: int  # of the exam
    same: tuple[str, ...]
    near: tuple[str, ...]  # the same ones not counted
    runs: tuple[str, ...]
    source: tuple[str, ...]

    @property
    def any(self) -> set[str]:
        return {*self.same, *self.near, *self.runs, *self.source}


def overlap(taught: Sequence[Row], exam: Sequence[Row], names: tuple[str, str]) -> Overlap:
    """Signs that questions of `exam` stand in the rows `taught`; `names` of both."""
    asked = {text for row in taught if (text := normalise(row.asked))}
    same = [normalise(row.asked) in asked for row in exam]
    near = _near(taught, exam)
    sources = {source for row in taught for source in _sources(row)}
    signs = {
        "same": same,
        "near": [found and not equal for found, equal in zip(near, same, strict=True)],
        "runs": _runs(taught, exam),
        "source": [bool(sources & set(_sources(row))) for row in exam],
    }
    ids = {sign: tuple(row.id for row, hit in zip(exam, hits, strict=True) if hit) for sign, hits in signs.items()}
    return Overlap(taught=names[0], exam=names[1], questions=len(exam), **ids)


def words_of(row: Row) -> str:
    """All that a row would teach."""
    turns = [turn.content for turn in row.messages]
    own = [row.context, row.question, *row.options, row.target, row.explanation, row.answer or ""]
    return "\n".join(filter(None, turns or own))


def _near(taught: Sequence[Row], exam: Sequence[Row]) -> list[bool]:
    """Only texts that share enough of their grams with the other side at all are sketched, which few do."""
    index, hit = Near(), [False] * len(exam)
    mine = [characters(row.asked, SIZE) for row in exam]
    close = list(_sharing([characters(text, SIZE) for text in {row.asked for row in taught}], mine))
    kept = [grams for _, grams in close]
    for place, grams in _sharing(mine, kept):
        index.add(place, grams, index.sketch(grams))
    for grams in kept:
        for place in index.alike(grams, index.sketch(grams)):
            hit[place] = True
    return hit


def _sharing(ours: Sequence[Numbers], theirs: Sequence[Numbers]) -> Iterator[tuple[int, Numbers]]:
    """Those of which theirs hold the share that a Jaccard index of the threshold needs, with their places."""
    known = np.unique(np.concatenate(theirs)) if theirs else np.empty(0, dtype=np.uint64)
    for place, grams in enumerate(ours if len(known) else ()):
        if len(grams) and (known[_places(known, grams)] == grams).mean() >= THRESHOLD - 1e-9:
            yield place, grams


def _places(known: Numbers, grams: Numbers) -> Numbers:
    """Where each of `grams` would stand in `known`, which is sorted and not empty."""
    return np.minimum(np.searchsorted(known, grams), len(known) - 1)


def _runs(taught: Sequence[Row], exam: Sequence[Row]) -> list[bool]:
    """Whether a run of an exam's question or context stands in a training row."""
    if not exam:
        return []
    mine = [_grams(f"{row.context}\n{row.asked}", row.lang) for row in exam]
    known, at = np.unique(np.concatenate(mine), return_inverse=True)
    places = np.split(at, np.cumsum([len(grams) for grams in mine])[:-1])
    rows, documents = np.zeros(len(known), dtype=np.int64), np.zeros(len(known), dtype=np.int64)
    for members in _documents(exam, places):
        documents[members] += 1
    languages = sorted({row.lang for row in exam})
    for row in taught:
        text = words_of(row)
        for lang in languages if len(known) else ():
            grams = _grams(text, lang)
            found = _places(known, grams)
            rows[found[known[found] == grams]] += 1
    telling = (rows > 0) & ~((rows > COMMON) & (documents > COMMON))
    return [bool(telling[members].any()) for members in places]


def _documents(exam: Sequence[Row], places: Sequence[Numbers]) -> Iterator[Numbers]:
    """The runs of each document of the exam, once."""
    grouped: dict[str, list[Numbers]] = {}
    for row, members in zip(exam, places, strict=True):
        grouped.setdefault(row.cluster or row.context or row.id, []).append(members)
    return (np.unique(np.concatenate(members)) for members in grouped.values())


def _grams(text: str, lang: str) -> Numbers:
    if lang == "en":
        return words(text, WORDS)
    return characters(text, CHARACTERS) if len(text) >= CHARACTERS else np.empty(0, dtype=np.uint64)


def _sources(row: Row) -> Iterator[str]:
    """What the cards name as the document of a row; a bare number may be any card's."""
    for value in (row.source, row.cluster or ""):
        if not value.strip().isdigit() and (plain := normalise(value)):
            yield plain
