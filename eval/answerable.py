"""Which tasks a contender with a classification head can answer: those of its labels. Said before anything is scored.

A sequence head names one of its labels, and cannot write. What a task's options or answers say must be among the
labels, word for word; the order of options and their letters do not matter. A token head lists passages of the text.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from eval.benchmark import Benchmark, Task
from finetune.card import Row, labels_of
from finetune.methods import heads
from finetune.methods.tagging import BIO
from finetune.mistakes import BadInput
from finetune.recipe import Recipe, data_root

LISTS = ("text", "tags")  # kinds of answers that may be a list of passages
SHOWN = 5  # labels that a message names


def refuse_unanswerable(recipe: Recipe, benchmark: Benchmark) -> None:
    """BadInput names the first contender whose head cannot answer a task of the exam, the labels and the remedy."""
    for name, kind, labels in _heads(recipe):
        refuse_tasks(name, kind, labels, benchmark.asked)


def refuse_tasks(name: str, kind: str, labels: Sequence[str], tasks: Sequence[Task]) -> None:
    """The same for one contender and the kind and labels of its head."""
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
            what, known = ("of a private card", "not shown") if task.private else (_some(unknown), _some(labels))
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
