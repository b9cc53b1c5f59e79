"""Grading: what a written answer is worth, whoever wrote it, and the row that is kept of it. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from eval.extract import grade
from eval.items import ItemScore, cut
from eval.score.parts import Key
from eval.score.questions import Question


@dataclass(frozen=True)
class Candidate:
    """Whose rows these are: a contender and seed, under one scorer."""

    name: str
    seed: int
    scorer: str  # score fingerprint
    rank: int = 0  # of the process
    engine: Literal["hf", "openai"] = "hf"

    def key(self, question: Question, sample: int) -> Key:
        return self.scorer, question.task.name, question.row.id, sample

    def row(self, question: Question, sample: int, **facts: Any) -> ItemScore:
        """A row with `facts` of the answer; `seconds` is 0 unless given."""
        task, row = question.task, question.row
        return ItemScore(
            contender=self.name, seed=self.seed, scorer=self.scorer, task=task.name, id=row.id, hash=row.digest,
            content=question.content, cluster=task.cluster(row), part=task.part(row), lang=row.lang,
            protocol=task.protocol, sample=sample, question=row.asked, options=row.options, gold=row.answer or "",
            rank=self.rank, engine=self.engine, **{"seconds": 0.0, **facts},
        )  # fmt: skip


def graded(question: Question, answer: str, *, closed: bool, finish: str) -> dict[str, Any]:
    """Extracted, rule, outcome and score of an answer without its thought. One that ran into the length limit, never
    closed its thought or was filtered out is never graded from what stands there."""
    blank = {"extracted": None, "rule": "", "score": 0.0}
    if finish == "filter":
        return blank | {"outcome": "refused"}
    if not closed:
        return blank | {"outcome": "unclosed_thinking"}
    if finish == "length":
        return blank | {"outcome": "truncated"}
    row, task = question.row, question.task
    return dict(vars(grade(task.answer, cut(answer, question.until), row.answer or "", row.options, task.reading)))
