"""Who may stand on one board: the first difference that forbids it, and the groups in which nothing does.

Contenders differ in model, method, frame and decoding: that is what is compared. They must not differ in what was
asked, in how it was asked and graded, or in how much room an answer and its thought had.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from eval.leaderboard.sitting import Sitting
from eval.pairing import mismatch


class Difference(NamedTuple):
    """Why two contenders cannot stand on one board."""

    kind: str  # items, task version, protocol, extractor, budget, budget of thought, template, weights, seeds
    text: str


def difference(a: Sitting, b: Sitting) -> Difference | None:
    """The first of them, or None. What a log does not tell (a budget, a server's template) forbids nothing."""
    return (
        _of_tasks(a, b)
        or _of_items(a, b)
        or _unlike(a, b, "extractor", *(_extractor(each) for each in (a, b)))
        or _unlike(a, b, "budget", *(_budget(each) for each in (a, b)))
        or _unlike(a, b, "budget of thought", *(_thought(each) for each in (a, b)))
        or _of_template(a, b)
        or _of_weights(a, b)
        or _of_seeds(a, b)
    )


def groups(sittings: Sequence[Sitting]) -> list[list[Sitting]]:
    """Those that can stand together, in the order given; each in the first group that has room for it."""
    found: list[list[Sitting]] = []
    for each in sittings:
        home = next((group for group in found if not any(difference(one, each) for one in group)), None)
        if home is None:
            found.append([each])
        else:
            home.append(each)
    return found


def _of_tasks(a: Sitting, b: Sitting) -> Difference | None:
    """Other tasks, other versions of them, or other ways of answering them."""
    ours, theirs = ({task.name: task for task in each.run.verdict.tasks} for each in (a, b))
    for one, other, here, there in ((a, b, ours, theirs), (b, a, theirs, ours)):
        if only := [name for name in here if name not in there]:
            return Difference("items", f"{one.key} sat {', '.join(only)}, which {other.key} did not")
    for name, task in ours.items():
        for kind, first, second in (
            ("task version", (task.version, task.metric), (theirs[name].version, theirs[name].metric)),
            ("protocol", (task.protocol,), (theirs[name].protocol,)),
        ):
            if first != second:
                said = f"{name} is {' '.join(first)} for {a.key} and {' '.join(second)} for {b.key}"
                return Difference(kind, said)
    return None


def _of_items(a: Sitting, b: Sitting) -> Difference | None:
    if a.sheet.questions == b.sheet.questions:
        return None
    if a.sheet.questions.keys() == b.sheet.questions.keys():
        for key, row in a.sheet.questions.items():
            for part in ("protocol", "hash", "gold", "cluster", "content"):
                ours, theirs = getattr(row, part), getattr(b.sheet.questions[key], part)
                if ours != theirs:
                    kind = "protocol" if part == "protocol" else "items"
                    return Difference(kind, f"{'/'.join(key)}: {part} differs between {a.key} and {b.key}")
        return None  # languages and options, which the hash holds
    return Difference("items", mismatch(a.sheet, b.sheet) or "")


def _extractor(each: Sitting) -> str:
    """Of written answers; nothing reads what was chosen by likelihood."""
    return each.run.verdict.provenance.extractor if _written(each) else ""


def _budget(each: Sitting) -> str:
    return f"{each.budget} tokens an answer" if each.budget is not None and _written(each) else ""


def _thought(each: Sitting) -> str:
    """How long a thought may be; empty where none is had, or no log tells how long it may."""
    if not each.thinks or not _written(each):
        return ""
    return f"{each.thought} tokens a thought" if each.thought else "no limit of a thought but that of its answer"


def _written(each: Sitting) -> bool:
    return any(task.protocol == "generated" for task in each.run.verdict.tasks)


def _unlike(a: Sitting, b: Sitting, kind: str, ours: str, theirs: str) -> Difference | None:
    if not ours or not theirs or ours == theirs:
        return None
    return Difference(kind, f"{ours} for {a.key} and {theirs} for {b.key}")


def _of_template(a: Sitting, b: Sitting) -> Difference | None:
    """Models of a kind are rendered alike; another family, or thinking or not, has a template of its own."""
    ours, theirs = ((o.model, o.revision, o.family, o.think) for o in (a.origin, b.origin))
    if ours != theirs or not a.origin.chat_digest or not b.origin.chat_digest:
        return None
    return _unlike(a, b, "template", a.origin.chat_digest[:12], b.origin.chat_digest[:12])


def _of_weights(a: Sitting, b: Sitting) -> Difference | None:
    theirs = b.run.weights
    for name, weight in a.run.weights.items():
        if abs(weight - theirs[name]) > 1e-9:
            said = f"{name} weighs {weight:.3f} for {a.key} and {theirs[name]:.3f} for {b.key}"
            return Difference("weights", said)
    return None


def _of_seeds(a: Sitting, b: Sitting) -> Difference | None:
    unlike = mismatch(a.sheet, b.sheet)  # the questions are the same: what is left are seeds
    return Difference("seeds", unlike) if unlike else None
