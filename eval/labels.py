"""Metrics of all answers of a task together: macro-F1 over labels that questions share, micro and macro over slots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from eval.corpus import NONE, counts, macro_f1_gain
from eval.extract import LETTERS, slots
from eval.extract.fields import NOTICES, Fields
from eval.paired import Floats
from eval.sheet import Question, Sheet

Metric = Literal["macro_f1", "slot_macro_f1", "slot_micro_f1"]


class CorpusRow(BaseModel):
    """F1 of two contenders on the questions of one task and language that choose among the same labels or fill slots.

    Over labels the mean of each label's F1; over slots that of each slot's (macro) and that of all pairs (micro).
    Bounds are those of a bootstrap of documents (basic; expanded where they are few). Decides nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    task: str
    lang: str
    metric: Metric = "macro_f1"
    labels: int  # or slots
    n: int
    clusters: int
    challenger: float
    incumbent: float
    gain: float
    low: float
    high: float


def corpus_rows(
    challenger: Sheet, incumbent: Sheet, confidence: float, fields: Mapping[str, Fields] | None = None
) -> tuple[CorpusRow, ...]:
    """Rows of each task and language in two documents or more whose questions share two labels or more, or slots.

    `fields`: those that tasks declare, by task.
    """
    found = []
    for (task, lang), asked in _groups(challenger).items():
        rows = list(asked.values())
        clusters = [row.cluster for row in rows]
        if len(set(clusters)) < 2:
            continue
        for metric, first, second in _counted(challenger, incumbent, task, asked, (fields or {}).get(task, NOTICES)):
            gain = macro_f1_gain(first, second, clusters, confidence=confidence)
            found.append(CorpusRow(
                task=task, lang=lang, metric=metric, labels=first.shape[1], n=len(rows), clusters=len(set(clusters)),
                **vars(gain),
            ))  # fmt: skip
    return tuple(found)


def _counted(
    challenger: Sheet, incumbent: Sheet, task: str, asked: Mapping[int, Question], fields: Fields
) -> Iterator[tuple[Metric, Floats, Floats]]:
    """Each metric of these questions, with both contenders' counts [n, L, 3]; none where neither kind fits."""
    rows = list(asked.values())
    if labels := shared_labels(rows):
        gold = np.array([code(row.gold, row.options, labels) for row in rows])
        said = [_said(sheet, task, asked, gold, labels) for sheet in (challenger, incumbent)]
        first, second = (counts(gold, each, len(labels)) for each in said)
        yield "macro_f1", first, second
    elif not any(row.options for row in rows) and all(slots.gold_of(row.gold, fields) is not None for row in rows):
        first, second = (_filled(sheet, task, asked, fields) for sheet in (challenger, incumbent))
        yield "slot_macro_f1", first, second
        yield "slot_micro_f1", first.sum(axis=1, keepdims=True), second.sum(axis=1, keepdims=True)


def _filled(sheet: Sheet, task: str, asked: Mapping[int, Question], fields: Fields) -> Floats:
    """[n, slots, 3]: true positives, false positives and false negatives, means over seeds and samples."""
    named, found = sheet.read(task)[list(asked)].reshape(len(asked), -1), []
    said = [place for place in np.unique(named).tolist() if place >= 0]
    records = {place: slots.gold_of(sheet.words[place], fields) or [] for place in said}
    for row, places in zip(asked.values(), named.tolist(), strict=True):
        gold = slots.gold_of(row.gold, fields) or []
        told = [slots.weigh(records.get(place, []), gold, fields) for place in places]
        found.append(np.mean([[[*vars(each[slot]).values()] for slot in fields.kinds] for each in told], axis=0))
    return np.array(found, dtype=float)


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
