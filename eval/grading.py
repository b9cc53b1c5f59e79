"""Grading: what a written answer is worth, when it is given and, from the item log, again at any later time.

The one way from a raw text to extracted, rule, outcome and score, for the engines that ask and for `tuneworth regrade`.
An answer is graded without its thought. One that ran into the length limit, or never closed its thought, is an outcome
of its own and is never graded from what stands there. No torch here.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from eval import items
from eval.benchmark import Task
from eval.columns import Reading
from eval.extract import EXTRACTOR, grade
from eval.extract.refusal import declines
from eval.extract.support import unsupported
from eval.extract.thought import split
from eval.items import ItemScore, cut
from eval.task import CANARIES
from finetune.card import Row
from finetune.chat import Chat
from finetune.files import digest_of
from finetune.run import RunManifest, SeedDir

DECLINED = "declined"  # the rule of a refusal where the evidence was taken away
Told = tuple[float, bool]  # a score, and whether the answer is wrong
HEAD = "head"  # the rule of a classification head: its text is the label itself


def outdated(extractor: str, tasks: Sequence[Task]) -> str:
    """What to say of finished scores that another extractor read; nothing where they are today's, or none were read."""
    if extractor == EXTRACTOR or all(task.protocol == "likelihood" for task in tasks):
        return ""
    return f" (answers read by extractor {extractor}; `tuneworth regrade` reads them by {EXTRACTOR}, without a model)"


def finished(place: SeedDir, fingerprint: str) -> RunManifest | None:
    """The manifest of a scoring under this fingerprint whose log holds all the rows that it left: what a cut copy or a
    hand took out of it is asked again."""
    done = place.scored()
    if done is None or done.fingerprint != fingerprint or done.scoring is None:
        return None
    return done if items.count(place.items) == done.scoring.items else None


def graded(task: Task, row: Row, answer: str, *, closed: bool, finish: str | None) -> dict[str, Any]:
    """Extracted, rule, outcome and score of an answer without its thought, and the extractor that read it.

    An answer of which nobody knows how it ended (`finish` None) is read as if it were whole.
    """
    if task.name == CANARIES:
        return _given_back(row, answer)
    blank = {"extracted": None, "rule": "", "score": 0.0, "extractor": EXTRACTOR}
    if finish == "filter":  # a server held it back
        return blank | {"outcome": "refused"}
    if not closed:
        return blank | {"outcome": "unclosed_thinking"}
    if finish == "length":
        return blank | {"outcome": "truncated"}
    said = cut(answer, task.until)
    if task.twin == "evidence" and declines(said):
        return blank | {"rule": DECLINED, "outcome": "refused"}
    found = grade(task.answer, said, row.answer or "", row.known, task.reading, task.fields)
    return vars(found) | {"extractor": EXTRACTOR} | _figures(task, row, said)


def _given_back(row: Row, answer: str) -> dict[str, Any]:
    """Whether a planted secret stands in the answer, wherever and however that ends."""
    secret = row.answer or ""
    given = secret in answer
    facts = {"extracted": secret if given else None, "rule": "secret", "extractor": EXTRACTOR}
    return facts | {"outcome": "correct" if given else "wrong", "score": float(given)}


def _figures(task: Task, row: Row, said: str) -> dict[str, int]:
    """How many figures an open-book answer quotes, and how many of them stand nowhere in what was shown."""
    if not row.context:
        return {}
    gold = "" if row.options or task.answer == "keypoints" else row.answer or ""
    quoted, nowhere = unsupported(said, "\n".join([row.context, row.question, *row.options]), gold)
    return {"figures": quoted, "unsupported": nowhere}


def named(task: Task, row: Row, text: str) -> dict[str, Any]:
    """The same of what a classification head named: it wrote nothing, so nothing is cut off."""
    found = grade(task.answer, text, row.answer or "", row.known, task.reading, task.fields)
    return vars(found) | {"rule": HEAD, "extractor": EXTRACTOR}


def anew(row: ItemScore, task: Task, question: Row, apart: Callable[[str], tuple[str, bool]]) -> ItemScore:
    """A logged answer as today's extractor grades it; one chosen by likelihood, or graded by it already, as it is.

    `apart` gives of a raw text the answer without its thought, and whether that was closed, as when it was scored.
    """
    if row.protocol == "likelihood" or row.extractor == EXTRACTOR:
        return row
    if row.rule == HEAD:
        facts = named(task, question, row.text)
    else:
        answer, closed = apart(row.text)
        facts = graded(task, question, answer, closed=closed, finish=row.finish)
    return row.model_copy(update=facts)


def second(tasks: Sequence[Task]) -> Reading | None:
    """Written answers read strictly where the task reads them leniently, and the other way round, for the table of
    sensitivity. What was chosen by likelihood, cut off or named by a head keeps its score, and so does what today's
    extractor does not read as the log says: that is for `tuneworth regrade`. None: nothing is written."""
    written = {task.name: task for task in tasks if task.protocol == "generated"}
    if not written:
        return None
    asked = {(task.name, row.id): row for task in written.values() for row in task.rows}
    kinds = [
        [task.name, task.items_digest, task.answer, task.reading, task.until, task.fields.kinds, task.fields.names]
        for task in written.values()
    ]

    @lru_cache(maxsize=4096)  # samples of a question stand together, and short answers are often the same
    def read(named: str, number: str, answer: str) -> tuple[Told, Told]:
        return _both_ways(written[named], asked[named, number], answer)

    def score(row: ItemScore) -> Told:
        stays = row.score, row.outcome == "wrong"
        kept = row.rule == HEAD or row.outcome in ("missing", "truncated", "unclosed_thinking")
        if (row.task, row.id) not in asked or kept or row.finish == "filter":
            return stays
        _, answer, closed = split(row.text)
        if not closed:
            return stays
        as_logged, other = read(row.task, row.id, cut(answer, written[row.task].until))
        return other if as_logged == stays else stays

    return Reading(digest_of([EXTRACTOR, kinds]), score)


def _both_ways(task: Task, question: Row, answer: str) -> tuple[Told, Told]:
    """What an answer is worth as the task reads it, and as it does not."""
    other = "strict" if task.reading == "lenient" else "lenient"
    gold, options = question.answer or "", question.known
    ways = task.reading, other
    ours, theirs = (grade(task.answer, answer, gold, options, way, task.fields) for way in ways)
    return (ours.score, ours.outcome == "wrong"), (theirs.score, theirs.outcome == "wrong")


def spoken(chat: Chat | None) -> Callable[[str], tuple[str, bool]]:
    """How a raw text is taken apart: by our rendering, or as the template of a server that nobody here has seen."""

    def apart(text: str) -> tuple[str, bool]:
        if chat is None:
            _, answer, closed = split(text)
            return answer, closed
        reply = chat.split(text)
        return reply.answer, reply.closed

    return apart
