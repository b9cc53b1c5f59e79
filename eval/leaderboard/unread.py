"""The row that keeps a board honest: what the best way of answering without reading a question scores."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from pydantic import BaseModel, ConfigDict, Field

from eval.benchmark import find, read_task
from eval.blind import Way, best
from eval.leaderboard.sitting import Sitting
from eval.task import Task
from eval.verdict.roll import TaskInfo
from finetune.mistakes import BadInput


class Unread(BaseModel):
    """The best blind way of each task, and what they score together, tasks weighing as in the slice."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    score: float
    ways: dict[str, Way] = Field(description="By task")
    guessed: tuple[str, ...] = Field(description="Tasks whose questions are not at hand: guessing alone is known")


def at_hand(sittings: Sequence[Sitting]) -> dict[str, Task]:
    """Those of the exam's tasks whose card and files are here, and hold the questions that were asked."""
    run, found = sittings[0].run, {}
    facts = {task.name: task for task in run.verdict.tasks}
    exam = run.recipe["exam"]
    for named in exam["tasks"]:
        with suppress(BadInput, OSError):
            folder, name = find(named)
            task = read_task(folder, name, dev=exam["dev"], seed=exam["seed"])
            if name in facts and task.items_digest == facts[name].items_digest:
                found[name] = task
    return found


def unread(
    mass: Mapping[str, float],
    facts: Mapping[str, TaskInfo],
    tasks: Mapping[str, Task],
    asked: Collection[tuple[str, str]],
) -> Unread:
    """Of a slice: `mass` is what its tasks weigh, `asked` its questions by task and id."""
    score, ways = 0.0, {}
    for name, weight in mass.items():
        way: Way = "guess"
        value = facts[name].guess_rate
        if name in tasks:
            rows = tuple(row for row in tasks[name].rows if (name, row.id) in asked)
            found = best(replace(tasks[name], rows=rows))
            way, value = found.way, found.score
        ways[name] = way
        score += weight * value
    return Unread(score=round(score, 12), ways=ways, guessed=tuple(name for name in mass if name not in tasks))
