"""Blind baselines: what a contender scores on a task that never reads the question.

A task on which the best of them does well tells little: of what it shows, that much needs no knowledge. The headline
of a study is the weighted mean over all tasks of its exam, so each of them is a part of it; a guard that such a task
makes up would be passed by a model that has forgotten everything.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from eval.benchmark import LETTERS, Benchmark, Task
from eval.extract import grade
from finetune.mistakes import BadInput
from finetune.recipe import Recipe

CEILING = 0.6  # above it a task is neither guard nor headline
Way = Literal["guess", "frequent", "longest", "echo"]


@dataclass(frozen=True)
class Blind:
    """The best blind way to answer a task, and its mean score in [0, 1]."""

    way: Way  # guess at random; the most frequent answer; the longest option; the question again (key points, slots)
    score: float


def best(task: Task) -> Blind:
    """The best of all ways that fit the task, by the task's own grading; with equal scores the first named."""
    return max(baselines(task), key=lambda found: found.score)


def baselines(task: Task) -> list[Blind]:
    """Every way that fits the task. The most frequent answer is known from its own golds, so a little too good."""
    found = [Blind("guess", task.guess_rate)]
    if task.answer in ("keypoints", "slots"):
        found.append(Blind("echo", _mean(task, [row.question for row in task.rows])))
    if task.answer == "keypoints":  # of rubrics that hold a yes or no, always the same
        return found + [Blind("frequent", max(_mean(task, [said] * len(task.rows)) for said in ("Yes", "No")))]
    (frequent, _), *_ = Counter(str(row.answer) for row in task.rows).most_common(1)
    found.append(Blind("frequent", _mean(task, [frequent] * len(task.rows))))
    if all(row.options for row in task.rows):
        lengths = [[len(text) for text in row.options] for row in task.rows]
        found.append(Blind("longest", _mean(task, [LETTERS[each.index(max(each))] for each in lengths])))
    return found


def _mean(task: Task, said: list[str]) -> float:
    """Mean score of these answers, one a question. Of a choice they are letters, whatever words the task asks for."""
    if all(row.options for row in task.rows):
        return sum(text == row.answer for text, row in zip(said, task.rows, strict=True)) / len(said)
    pairs = zip(said, task.rows, strict=True)
    grades = [grade(task.answer, text, row.answer or "", fields=task.fields) for text, row in pairs]
    return sum(each.score for each in grades) / len(grades)


def refuse_blind(recipe: Recipe, benchmark: Benchmark) -> None:
    """BadInput names the first task or guard of a study that is passed blind, its figure and the remedy. A smoke recipe
    has no headline, and is warned."""
    if recipe.purpose == "study" and (found := _passed(benchmark)):
        (key, task, blind), *_ = found
        where = "no guard" if key == "rule.guards" else "no part of a headline"
        raise BadInput(
            f"{key}: {task.name}: {_said(blind)} there without reading a question, more than {CEILING:.0%}, so it is "
            f"{where}; even out its answers (as many rows of each), or leave it out"
        )


def warnings(benchmark: Benchmark) -> list[str]:
    """One line for each task that a blind contender would do well on."""
    return [
        f"{key}: {task.name}: {_said(blind)} there without reading a question; a headline or a guard on it says little"
        for key, task, blind in _passed(benchmark)
    ]


def _passed(benchmark: Benchmark) -> list[tuple[str, Task, Blind]]:
    """Tasks above the ceiling, the key of the recipe where they stand, and the best way."""
    named = [("exam.tasks", task) for task in benchmark.tasks] + [("rule.guards", task) for task in benchmark.guards]
    return [(key, task, found) for key, task in named if (found := best(task)).score > CEILING]


def _said(blind: Blind) -> str:
    ways = {"guess": "guessing", "frequent": "always the same answer", "longest": "always the longest option"}
    return f"{ways.get(blind.way, 'repeating the question')} scores {blind.score:.0%}"
