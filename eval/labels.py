"""Questions that all choose among the same labels: what each contender named, and the gain in macro-F1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from eval.corpus import NONE, counts, macro_f1_gain
from eval.extract import LETTERS
from eval.items import ItemScore
from eval.sheet import Key, Sheet


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
    questions, found = challenger.questions, []
    groups: dict[tuple[str, str], list[Key]] = {}
    for key, row in questions.items():
        groups.setdefault((row.task, row.lang), []).append(key)
    for (task, lang), keys in groups.items():
        labels = shared_labels([questions[key] for key in keys])
        clusters = [questions[key].cluster for key in keys]
        if not labels or len(set(clusters)) < 2:
            continue
        gold = np.array([code(questions[key].gold, questions[key], labels) for key in keys])
        first, second = (counts(gold, _said(sheet, keys, labels), len(labels)) for sheet in (challenger, incumbent))
        gain = macro_f1_gain(first, second, clusters, confidence=confidence)
        found.append(CorpusRow(
            task=task, lang=lang, labels=len(labels), n=len(keys), clusters=len(set(clusters)), **vars(gain),
        ))  # fmt: skip
    return tuple(found)


def shared_labels(rows: Sequence[ItemScore]) -> tuple[str, ...]:
    """The options of these questions, sorted, where all have the same in any order and one gold each; else none."""
    options = frozenset(rows[0].options)
    if len(options) < 2 or any(frozenset(row.options) != options for row in rows):
        return ()
    labels = tuple(sorted(options))
    return labels if all(code(row.gold, row, labels) != NONE for row in rows) else ()


def code(named: str | None, row: ItemScore, labels: Sequence[str]) -> int:
    """Place among `labels` of a label, or of the option that a letter stands for; NONE where it is neither."""
    if named in labels:
        return labels.index(named)
    place = LETTERS.find(named) if named and len(named) == 1 else -1
    return labels.index(row.options[place]) if 0 <= place < len(row.options) else NONE


def _said(sheet: Sheet, keys: Sequence[Key], labels: Sequence[str]) -> NDArray[np.intp]:
    """[n, seeds x samples]: what is right names the gold label, however it was spelled."""
    found = []
    for key in keys:
        rows = [row for samples in sheet.answers[key] for row in samples]
        found.append([code(row.gold if row.score == 1 else row.extracted, row, labels) for row in rows])
    return np.array(found)
