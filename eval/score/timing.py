"""What a query takes a contender, on development questions: asked as the exam asks, and no answer kept."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from eval.benchmark import Benchmark
from eval.items import ItemScore
from eval.score.ledger import progress
from eval.score.questions import Question, sampled
from finetune.recipe import Recipe, Timing
from finetune.run import RunDir


def clocked(recipe: Recipe, name: str, scorer: str, benchmark: Benchmark, run: RunDir, count: int) -> Timing:
    """Means over about `count` questions, tasks weighted as in the score; of a tuned contender its first seed."""
    asked = sampled(benchmark, count, "dev")
    chosen = recipe.contenders[name]
    ask = _served if chosen.served else _here
    rows = ask(recipe, name, scorer, benchmark, run, asked)
    weights = {task.name: task.weight for task in benchmark.tasks}
    seconds, read, wrote = (mean(rows, weights, key) for key in ("seconds", "tokens_in", "tokens_out"))
    return Timing(
        contender=name, fingerprint=scorer, at=time.time(), questions=len(asked), answers=len(rows), seconds=seconds,
        tokens_in=read, tokens_out=wrote, engine="openai" if chosen.served else "vllm" if chosen.vllm else "hf",
    )  # fmt: skip


def mean(rows: Sequence[ItemScore], weights: Mapping[str, float], key: str) -> float:
    """Of a number over answers, each task's mean weighing what the task does in the gain."""
    parts: dict[str, list[float]] = {}
    for row in rows:
        parts.setdefault(row.task, []).append(getattr(row, key) or 0.0)
    total = sum(weights[task] for task in parts)
    return sum(weights[task] * sum(values) / len(values) for task, values in parts.items()) / total


def _here(
    recipe: Recipe, name: str, scorer: str, benchmark: Benchmark, run: RunDir, asked: Sequence[Question]
) -> list[ItemScore]:
    from eval.lm.vllm_engine import Paged
    from eval.score.repeat import Passes  # torch and transformers take seconds to load
    from eval.score.sitting import Sitting
    from finetune.world import World

    world = World.open(None, None, run.folder)
    passes = Passes.open(Sitting.open(recipe, name, recipe.seeds(name)[0], scorer, benchmark, run, world), asked)
    try:
        with progress(len(passes.entries), shown=True) as advance:
            return passes.once(advance)
    finally:
        if isinstance(passes.model, Paged):
            passes.model.close()  # else the processes part with a trace


def _served(
    recipe: Recipe, name: str, scorer: str, benchmark: Benchmark, run: RunDir, asked: Sequence[Question]
) -> list[ItemScore]:
    from eval.score.repeat_served import opened

    with opened(recipe, name, scorer, benchmark, run) as (sitting, proof):
        answers = [each for question in asked for each in sitting.asked(question)]
        with progress(len(answers), shown=True) as advance:
            return sitting.answers(answers, proof, sitting.engine.concurrency, advance)
