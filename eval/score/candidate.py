"""A candidate: whose answers these are, and the row that is kept of each. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from eval.items import ItemScore
from eval.score.parts import Key
from eval.score.questions import Question
from finetune.recipe.engine_fit import Words


@dataclass(frozen=True)
class Candidate:
    """Whose rows these are: a contender and seed, under one scorer."""

    name: str
    seed: int
    scorer: str  # score fingerprint
    rank: int = 0  # of the process
    engine: Literal["hf", "vllm", "openai", "lm_eval"] = "hf"
    template: str = ""  # digest of the chat rendering, where it is ours
    why: Words | None = None  # this engine, where the recipe names none

    def say(self, text: str) -> None:
        """One line, on the main process."""
        if self.rank == 0:
            print(f"score {self.name} seed {self.seed}: {text}", flush=True)

    def key(self, question: Question, sample: int) -> Key:
        return self.scorer, question.task.name, question.row.id, sample

    def row(self, question: Question, sample: int, **facts: Any) -> ItemScore:
        """A row with `facts` of the answer, which go before the question's own; `seconds` is 0 unless given."""
        task, row = question.task, question.row
        return ItemScore(
            contender=self.name, seed=self.seed, scorer=self.scorer, task=task.name, id=row.id, hash=row.digest,
            cluster=task.cluster(row), part=task.part(row), lang=row.lang,
            protocol=task.protocol, sample=sample, question=row.asked, options=row.options, gold=row.answer or "",
            rank=self.rank, engine=self.engine,
            **{"seconds": 0.0, "template": self.template, "content": question.content, "version": task.version} | facts,
        )  # fmt: skip
