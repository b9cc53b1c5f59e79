"""The same contender again, where its model runs here: other draws in other batches, one answer at a time, and what
vLLM answers once more by transformers.

What is found is written to `<contender>/repeatability.json` and to no item log; the judge reads it (eval.gates.steady).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from eval.benchmark import Benchmark
from eval.items import ItemScore
from eval.lm.budget import Budget, batches
from eval.lm.vllm_engine import Paged
from eval.repeatability import Batching, Floor, Parity, Repeatability, apart, changes
from eval.score.answers import Desk, Entry
from eval.score.ledger import progress
from eval.score.parity import compared, greedy, in_transformers
from eval.score.questions import Question, sampled
from eval.score.sitting import Sitting
from finetune.recipe import Recipe
from finetune.run import RunDir
from finetune.world import World

Advance = Callable[[Sequence[ItemScore]], None]
PASSES = 3


def repeat(recipe: Recipe, name: str, scorer: str, benchmark: Benchmark, run: RunDir, count: int) -> Repeatability:
    """Measured on about `count` questions, with the contender's first seed."""
    world = World.open(None, None, run.folder)
    sitting = Sitting.open(recipe, name, recipe.seeds(name)[0], scorer, benchmark, run, world)
    asked = sampled(benchmark, count)
    passes = Passes.open(sitting, asked)
    weights = {task.name: task.weight for task in benchmark.tasks}
    with progress(PASSES * len(passes.entries), shown=True) as advance:
        once, again, alone = passes.once(advance), passes.again(advance), passes.alone(advance)
        parity = _parity(sitting, passes, asked, weights, advance) if isinstance(passes.model, Paged) else None
    floor = Floor(apart=apart(once, again, weights), changes=changes(once, again))
    together = sum(len(batch) for batch in passes.batches if len(batch) > 1)
    return Repeatability(
        contender=name, seed=sitting.desk.seed, fingerprint=scorer, at=time.time(), kind=sitting.kind,
        questions=len(asked), answers=len(once), batch_tokens=recipe.exam.batch_tokens, floor=floor,
        batching=Batching(together=together, changes=changes(once, alone)), parity=parity,
    )  # fmt: skip


def _parity(
    paged: Sitting, passes: Passes, asked: Sequence[Question], weights: Mapping[str, float], advance: Advance
) -> Parity:
    """What vLLM answers beside transformers, which is opened once vLLM has given its memory back."""
    recipe = in_transformers(paged.recipe, paged.desk.name, greedy(paged.desk.contender))
    sitting = Sitting.open(
        recipe, paged.desk.name, paged.desk.seed, paged.parts.scorer, paged.benchmark, paged.run, paged.world
    )
    entries = tuple(entry for question in asked for entry in sitting.desk.entries(question))
    theirs = Passes(replace(sitting.desk, contender=greedy(paged.desk.contender)), passes.model, entries).once(advance)
    passes.model.close()
    ours = Passes.open(sitting, asked).once(advance)
    return compared(sitting.kind, paged.kind, sitting.desk.chat, ours, theirs, weights)


@dataclass(frozen=True)
class Passes:
    """One model and the answers that it is asked for again and again."""

    desk: Desk
    model: Any
    entries: tuple[Entry, ...]

    @classmethod
    def open(cls, sitting: Sitting, asked: Sequence[Question]) -> Passes:
        """BadInput: a prompt is too long for the model, or its adapter does nothing."""
        entries = tuple(entry for question in asked for entry in sitting.desk.entries(question))
        model, _ = sitting.opened(entries)
        return cls(sitting.desk, model, entries)

    @property
    def batches(self) -> list[list[Entry]]:
        """Answers that run beside each other in the exam: of one task, of like length, within the token budget."""
        found = []
        for mine in self._by_task(self.entries):
            lengths = [len(entry.prompt) + (0 if entry.options else self.desk.room(entry)) for entry in mine]
            found += [[mine[place] for place in batch] for batch in batches(lengths, self.desk.exam.batch_tokens)]
        return found

    def once(self, advance: Advance) -> list[ItemScore]:
        return self._answered(self.desk, self._by_task(self.entries), self.desk.exam.batch_tokens, advance)

    def again(self, advance: Advance) -> list[ItemScore]:
        """Other draws (the next exam seed), other neighbours (a shuffled order) and batches of half the size."""
        exam = self.desk.exam.model_copy(update={"seed": self.desk.exam.seed + 1})
        other = random.Random(exam.seed).sample(self.entries, len(self.entries))
        return self._answered(replace(self.desk, exam=exam), self._by_task(other), exam.batch_tokens // 2, advance)

    def alone(self, advance: Advance) -> list[ItemScore]:
        """The same draws, one answer at a time."""
        return self._answered(self.desk, [[entry] for entry in self.entries], self.desk.exam.batch_tokens, advance)

    def _by_task(self, entries: Sequence[Entry]) -> list[list[Entry]]:
        names = {entry.question.task.name: None for entry in entries}
        return [[entry for entry in entries if entry.question.task.name == name] for name in names]

    def _answered(self, desk: Desk, dealt: Sequence[Sequence[Entry]], tokens: int, advance: Advance) -> list[ItemScore]:
        found = []
        for entries in dealt:
            for rows in desk.answers(self.model, entries, Budget(tokens)):
                advance(rows)
                found += rows
        return found
