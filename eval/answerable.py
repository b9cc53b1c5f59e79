"""Which tasks a contender can answer as what it is. Said before anything is scored.

A sequence head names one of its labels, and cannot write. What a task's options or answers say must be among the
labels, word for word; the order of options and their letters do not matter. A token head lists passages of the text.

Who thinks before it answers (`model.think: keep`) would choose options behind an empty thought: of a study in which one
does, the written form of a choice, `<name>_gen`, is the headline. Choices by likelihood may stand beside it, as guards.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from eval.benchmark import Benchmark, Task
from finetune.card import Row, labels_of
from finetune.methods import heads
from finetune.methods.tagging import BIO
from finetune.mistakes import BadInput
from finetune.recipe import Contender, Recipe, data_root

LISTS = ("text", "tags")  # kinds of answers that may be a list of passages
SHOWN = 5  # labels that a message names


def refuse_unanswerable(recipe: Recipe, benchmark: Benchmark) -> None:
    """BadInput names the first contender whose head cannot answer a task of the exam, the labels and the remedy."""
    for name, kind, labels in _heads(recipe):
        refuse_tasks(name, kind, labels, benchmark.asked, shown=recipe.taught_openly(name))


def refuse_unthought(recipe: Recipe, benchmark: Benchmark) -> None:
    """BadInput names the tasks of a study that a thinking contender would answer without its thought, and their written
    forms. A smoke recipe has no headline, and is warned."""
    thinking, asked = ", ".join(_thinking(recipe)), _choices(benchmark.tasks)
    if recipe.purpose != "study" or not thinking or not asked:
        return
    there = [f"{task.name}_gen" for task in asked if _written_form(task)]
    absent = [f"{task.name}_gen.yaml" for task in asked if not _written_form(task)]
    remedy = [f"name {', '.join(there)} (of a suite: suite:NAME_gen)"] if there else []
    remedy += [f"write {', '.join(absent)} beside it (`tuneworth data new` drafts both)"] if absent else []
    raise BadInput(
        f"exam.tasks: {', '.join(task.name for task in asked)}: options are chosen behind an empty thought, and "
        f"{thinking} would think (model.think: keep), so it is no headline of this study; {', and '.join(remedy)}, "
        f"where the answer is written"
    )


def unthought(recipe: Recipe, benchmark: Benchmark) -> list[str]:
    """One line for each guard (of a smoke recipe: each task) that a thinking contender answers without its thought."""
    thinking, smoke = ", ".join(_thinking(recipe)), recipe.purpose == "smoke"
    asked = [("rule.guards", task) for task in _choices(benchmark.guards)]
    asked = [("exam.tasks", task) for task in _choices(benchmark.tasks) if smoke] + asked
    return [
        f"{key}: {task.name}: options are chosen behind an empty thought, and {thinking} would think (model.think: "
        f"keep); {_remedy(task)}"
        for key, task in asked
        if thinking
    ]


def _remedy(task: Task) -> str:
    if _written_form(task):
        return f"in {task.name}_gen the answer is written"
    return f"for written answers write {task.name}_gen.yaml beside it (`tuneworth data new` drafts both)"


def _thinking(recipe: Recipe) -> list[str]:
    """Contenders that think before they answer in words, here; what a head names needs no words."""
    return [
        name
        for name, chosen in recipe.contenders.items()
        if chosen.here and chosen.model.think == "keep" and not headed(chosen)
    ]


def headed(chosen: Contender) -> bool:
    """Whether a head answers for it, trained here or brought by its adapter: it writes nothing."""
    return bool(chosen.head or (chosen.adapter and heads.read(Path(chosen.adapter))))


def _choices(tasks: Sequence[Task]) -> list[Task]:
    return [task for task in tasks if task.protocol == "likelihood"]


def _written_form(task: Task) -> bool:
    return (task.folder / f"{task.name}_gen.yaml").is_file()


def refuse_tasks(name: str, kind: str, labels: Sequence[str], tasks: Sequence[Task], *, shown: bool = True) -> None:
    """The same for one contender and the kind and labels of its head, which are told where `shown`."""
    for task in tasks:
        if kind == "token":
            _refuse_unlisted(name, task)
            continue
        if any(row.multiple for row in task.rows):
            raise BadInput(
                f"contender {name}: task {task.name} has questions with several right options, and its sequence head "
                f"names one label; leave the task out, or the head"
            )
        asked = list(dict.fromkeys(text for row in task.rows for text in texts(row)))
        unknown = [text for text in asked if text not in labels]
        if unknown:
            what = "of a private card" if task.private else _some(unknown)
            known = "not shown" if task.private or not shown else _some(labels)
            raise BadInput(
                f"contender {name}: its sequence head cannot answer task {task.name}: {what} "
                f"({len(unknown)} of {len(asked)} answers there) are not among its labels, {known}; "
                f"train it on rows that have these answers, leave the task out, or the head"
            )


def _refuse_unlisted(name: str, task: Task) -> None:
    if task.protocol != "generated" or task.answer not in LISTS or any(row.options for row in task.rows):
        raise BadInput(
            f"contender {name}: its token head lists passages of a text, which task {task.name} does not ask for; "
            f"leave the task out, or the head"
        )


def texts(row: Row) -> tuple[str, ...]:
    """What may be said to a question: its options in their order, or the one answer known."""
    return tuple(text.strip() for text in row.options or (row.answer or "",))


def _heads(recipe: Recipe) -> Iterator[tuple[str, str, Sequence[str]]]:
    """Contenders with a head, its kind and its labels: as they will be trained, or as an adapter brings them."""
    for name, chosen in recipe.contenders.items():
        if chosen.head:
            rows = [row for use in recipe.data_of(name) for row in use.card.rows(data_root(), use.split)]
            yield name, chosen.head, BIO if chosen.head == "token" else labels_of(rows)
        elif chosen.adapter and (brought := heads.read(Path(chosen.adapter))):
            yield name, brought.kind, brought.labels


def _some(texts: Sequence[str]) -> str:
    return ", ".join(text if len(text) <= 40 else f"{text[:40]}..." for text in texts[:SHOWN]) + (
        " ..." if len(texts) > SHOWN else ""
    )
