"""How familiar the exam's questions look to one contender: their own words, without frame, template or answer.

What is found is written to `<contender>/membership.json` and to no item log; the judge makes flags of it
(eval.verdict.membership).
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from eval.benchmark import Benchmark
from eval.lm.surprise import min_k
from eval.membership import Membership
from eval.score.parity import in_transformers
from eval.score.questions import Question, questions
from eval.score.sitting import Sitting
from finetune.recipe import Recipe
from finetune.run import RunDir
from finetune.world import World


def familiar(recipe: Recipe, name: str, scorer: str, benchmark: Benchmark, run: RunDir) -> Membership:
    """Of a tuned contender its first seed; whatever engine answers, transformers reads. A question of fewer than two
    tokens has no figure."""
    seed, world = recipe.seeds(name)[0], World.open(None, None, run.folder)
    plain = in_transformers(recipe, name, recipe.contenders[name])
    sitting = Sitting.open(plain, name, seed, scorer, benchmark, run, world)
    asked = {task.name: [q for q in questions(task) if task.part(q.row) == "test"] for task in benchmark.tasks}
    model, _ = sitting.opened([entry for found in asked.values() for q in found for entry in sitting.desk.entries(q)])
    scores = {task: _read(sitting, model, found) for task, found in asked.items()}
    return Membership(contender=name, seed=seed, fingerprint=scorer, at=time.time(), scores=scores)


def _read(sitting: Sitting, model: object, asked: Sequence[Question]) -> dict[str, float]:
    told = {question.row.id: sitting.desk.chat.encode(question.row.asked) for question in asked}
    return {number: min_k(model, ids) for number, ids in told.items() if len(ids) > 1}
