"""Pairs: the answers of a challenger and the incumbent to the same questions, as a judge and as people see them."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval import items
from eval.benchmark import Benchmark, Task
from eval.endpoint import open_chat
from eval.grading import spoken
from eval.items import ItemScore, cut
from eval.opinion import shown_as
from finetune.card import Row, ask
from finetune.files import digest_of, make_whole
from finetune.mistakes import BadInput
from finetune.recipe import Judge, Recipe
from finetune.run import RunDir

COLUMNS = {"id", "pair", "question", "reference", "answer A", "answer B", "label"}  # of a sheet as it is written


@dataclass(frozen=True)
class Pair:
    """One question with both answers, their thoughts taken off; an answer that was not finished is empty."""

    task: Task
    row: Row
    answers: tuple[str, str]  # challenger, rival

    @property
    def id(self) -> str:
        return f"{self.task.name}/{self.row.id}"

    @property
    def digest(self) -> str:
        return digest_of([self.id, self.row.digest, *self.answers])

    def shown(self, *, swapped: bool) -> dict[str, str]:
        """What may be seen of it: nothing says who answered."""
        first, second = self.answers[::-1] if swapped else self.answers
        return {"question": ask(self.row), "reference": self.row.answer or "", "answer A": first, "answer B": second}


def pairs(recipe: Recipe, benchmark: Benchmark, run: RunDir, judge: Judge, challenger: str) -> list[Pair]:
    """First sample of the first seed of both, over the judged tasks' test part. BadInput: one of them is not scored."""
    judged = {task.name: task for task in benchmark.tasks if task.name in judge.tasks}
    sides = [_answers(recipe, benchmark, run, name, judged) for name in (challenger, recipe.rule.incumbent)]
    return [
        Pair(task, row, (sides[0][task.name, row.id], sides[1][task.name, row.id]))
        for task in judged.values()
        for row in task.rows
        if task.part(row) == "test"
    ]


def scorers(recipe: Recipe, benchmark: Benchmark, challenger: str) -> tuple[str, str]:
    """Score fingerprints of the first seed of both sides."""
    first, second = (
        recipe.score_fingerprint(name, recipe.seeds(name)[0], benchmark.digests)
        for name in (challenger, recipe.rule.incumbent)
    )
    return first, second


def _answers(
    recipe: Recipe, benchmark: Benchmark, run: RunDir, name: str, tasks: Mapping[str, Task]
) -> dict[tuple[str, str], str]:
    contender, seed = recipe.contenders[name], recipe.seeds(name)[0]
    place, scorer = run.seed(name, seed), recipe.score_fingerprint(name, seed, benchmark.digests)
    done = place.scored()
    if done is None or done.fingerprint != scorer:
        raise BadInput(f"{name} seed {seed} is not scored as the recipe stands; run tuneworth score first")
    apart = spoken(open_chat(contender))
    return {
        (row.task, row.id): _answer(row, tasks[row.task], apart)
        for row in items.read(place.items)
        if row.scorer == scorer and row.sample == 0 and row.task in tasks
    }


def _answer(row: ItemScore, task: Task, apart: Any) -> str:
    answer, closed = apart(row.text)
    return cut(answer, task.until).strip() if closed and row.finish in ("stop", None) else ""


def write_sheet(run: RunDir, challenger: str, found: Sequence[Pair], seed: int, *, private: bool) -> bool:
    """The pairs for people: blind, in an order drawn by `seed`, so that whoever labels the first n has drawn n.

    A sheet in which somebody has written is kept as it is; whether a new one was written.
    """
    if _touched(run.to_label(challenger)):
        return False
    ordered = random.Random(seed).sample(list(found), len(found))
    lines = []
    for pair in ordered:
        seen = pair.shown(swapped=not shown_as(pair.digest))
        lines.append(json.dumps({"id": pair.id, "pair": pair.digest, **seen, "label": ""}, ensure_ascii=False) + "\n")

    def build(scratch: Any) -> None:
        if private:
            items.close(scratch)
        scratch.write_text("".join(lines), "utf-8")

    make_whole(run.to_label(challenger), build)
    return True


def _touched(sheet: Path) -> bool:
    """Whether it may hold people's work: a label, or anything that was not written here and so cannot be told."""
    try:
        lines = sheet.read_text("utf-8").split("\n") if sheet.exists() else []  # an answer may hold other line breaks
        rows = [json.loads(line) for line in lines if line.strip()]
        return any(set(row) != COLUMNS or row["label"] != "" for row in rows)
    except (OSError, ValueError, TypeError, RecursionError):
        return True
