"""Questions that all choose among the same labels: what each contender named, and the gain in macro-F1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from eval.corpus import NONE, counts, macro_f1_gain
from eval.extract import LETTERS
from eval.sheet import Question, Sheet


class CorpusRow(BaseModel):
    """Macro-F1 of two contenders on the questions of one task and language that choose among the same labels.

    Bounds are those of a bootstrap of documents (basic; expanded where they are few). Decides nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    task: str
    lang: str
    labels: int
    n: int
    clusters: int
    challenger: float
    incumbent: float
    gain: float
    low: float
    high: float


def corpus_rows(challenger: Sheet, incumbent: Sheet, confidence: float) -> tuple[CorpusRow, ...]:
    """One row a task and language whose questions share two labels or more, and lie in two documents or more."""
    found = []
    for (task, lang), asked in _groups(challenger).items():
        rows = list(asked.values())
        labels, clusters = shared_labels(rows), [row.cluster for row in rows]
        if not labels or len(set(clusters)) < 2:
            continue
        gold = np.array([code(row.gold, row.options, labels) for row in rows])
        said = [_said(sheet, task, asked, gold, labels) for sheet in (challenger, incumbent)]
        first, second = (counts(gold, each, len(labels)) for each in said)
        gain = macro_f1_gain(first, second, clusters, confidence=confidence)
        found.append(CorpusRow(
            task=task, lang=lang, labels=len(labels), n=len(rows), clusters=len(set(clusters)), **vars(gain),
        ))  # fmt: skip
    return tuple(found)


def _groups(sheet: Sheet) -> dict[tuple[str, str], dict[int, Question]]:
    """Questions of each task and language, by their place in the task."""
    groups: dict[tuple[str, str], dict[int, Question]] = {}
    place = dict.fromkeys(sheet.samples, -1)
    for row in sheet.questions.values():
        place[row.task] += 1
        groups.setdefault((row.task, row.lang), {})[place[row.task]] = row
    return groups


def shared_labels(rows: Sequence[Question]) -> tuple[str, ...]:
    """The options of these questions, sorted, where all have the same in any order and one gold each; else none."""
    options = frozenset(rows[0].options)
    ways = {row.options for row in rows}
    if len(options) < 2 or any(frozenset(way) != options for way in ways):
        return ()
    labels = tuple(sorted(options))
    asked = {(row.gold, row.options) for row in rows}
    return labels if all(code(gold, way, labels) != NONE for gold, way in asked) else ()


def code(named: str | None, options: Sequence[str], labels: Sequence[str]) -> int:
    """Place among `labels` of a label, or of the option that a letter stands for; NONE where it is neither."""
    if named in labels:
        return labels.index(named)
    place = LETTERS.find(named) if named and len(named) == 1 else -1
    return labels.index(options[place]) if 0 <= place < len(options) else NONE


def _said(
    sheet: Sheet, task: str, asked: Mapping[int, Question], gold: NDArray[np.intp], labels: Sequence[str]
) -> NDArray[np.intp]:
    """[n, seeds x samples]: what is right names the gold label, however it was spelled."""
    chosen, ways = list(asked), list({row.options for row in asked.values()})
    place = {way: at for at, way in enumerate(ways)}
    way = np.array([place[row.options] for row in asked.values()])
    named, score = sheet.read(task)[chosen].reshape(len(asked), -1), sheet.drawn(task)[chosen].reshape(len(asked), -1)
    width = len(sheet.words) + 1  # the last is None, which a place of -1 reaches too
    pairs, inverse = np.unique(way[:, None] * width + named % width, return_inverse=True)
    words = [*sheet.words, None]
    codes = np.array([code(words[pair % width], ways[pair // width], labels) for pair in pairs.tolist()])
    return np.where(score == 1, gold[:, None], codes[inverse].reshape(named.shape))
