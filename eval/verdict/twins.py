"""What twins show of each contender: how often its answer changes, and how its score does. Decides nothing.

Items and twins are paired, and documents are clusters as everywhere (`eval.paired`); every item weighs the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from eval.benchmark import LETTERS, Benchmark
from eval.extract import grade
from eval.gates import DropFact
from eval.paired import Floats, Layout
from eval.sheet import OUTCOMES, Question, Sheet
from eval.twins import MARK, Kind
from eval.verdict.evidence import Evidence

FROZEN = ConfigDict(frozen=True, extra="forbid")
Answer = tuple[str | None, str]  # what was read, and the outcome


class Rate(BaseModel):
    """A share or a difference of shares; no interval where all lies in one cluster."""

    model_config = FROZEN
    value: float
    low: float | None
    high: float | None


class TwinCount(BaseModel):
    """Of how many judged items of a task twins could be made."""

    model_config = FROZEN
    task: str
    kind: Kind
    made: int
    items: int


class TwinRow(BaseModel):
    """One contender on one kind of twins, all tasks together."""

    model_config = FROZEN
    contender: str
    kind: Kind
    n: int
    clusters: int
    original: float  # mean score on the items that have a twin
    twin: float
    gain: Rate  # twin minus original
    changed: Rate | None = Field(description="Answers that are another; None of number twins, whose gold is another")
    noise: float | None = Field(description="The same between two samples of one item; None with one sample each")
    repeated: Rate | None = Field(description="Number twins: answers that give the original's gold")


class Twins(BaseModel):
    """All of it."""

    model_config = FROZEN
    counts: tuple[TwinCount, ...]
    rows: tuple[TwinRow, ...]


def twins(evidence: Evidence) -> Twins | None:
    """None where none was asked."""
    if not evidence.benchmark.twins:
        return None
    kinds = [kind for kind in _kinds(evidence.benchmark) if kind != "evidence"]
    rows = [row for name in evidence.twins for kind in kinds for row in _rows(evidence, name, kind)]
    return Twins(counts=counted(evidence.benchmark, turned=True), rows=tuple(rows)) if rows else None


def drops(evidence: Evidence) -> list[DropFact]:
    """For the gate: what the deciding contenders lose on option and number twins (Bonferroni over the facts)."""
    kinds = [kind for kind in _kinds(evidence.benchmark) if kind in ("options", "numbers")]
    error = (1 - evidence.recipe.rule.confidence) / max(1, len(kinds) * len(evidence.deciding))
    found = []
    for name in evidence.deciding if kinds else ():
        for kind in kinds:
            pairs = paired(evidence.sheets[name], evidence.twins[name], kind)
            if pairs:
                gain = rate(_gains(pairs), documents(pairs), 1 - error, lowest=-1)
                tuned = evidence.recipe.contenders[name].tuned
                found.append(DropFact(name, kind, tuned, gain.value, gain.low, gain.high))
    return found


def _kinds(benchmark: Benchmark) -> list[Kind]:
    return list(dict.fromkeys(task.twin for task in benchmark.twins if task.twin and task.rows))


def counted(benchmark: Benchmark, *, turned: bool) -> tuple[TwinCount, ...]:
    """How many twins there are; `turned`: of items that were, or of those without their evidence."""
    judged = {task.name: sum(task.part(row) == "test" for row in task.rows) for task in benchmark.tasks}
    return tuple(
        TwinCount(task=task.original, kind=task.twin, made=len(task.rows), items=judged[task.original])
        for task in benchmark.twins
        if task.twin and (task.twin != "evidence") == turned
    )


def _rows(evidence: Evidence, name: str, kind: Kind) -> Sequence[TwinRow]:
    pairs = paired(evidence.sheets[name], evidence.twins[name], kind)
    if not pairs:
        return ()
    level, numbers, clusters = evidence.recipe.rule.confidence, kind == "numbers", documents(pairs)
    first, second = (float(np.mean([pair.scores[side] for pair in pairs])) for side in (0, 1))
    return [TwinRow(
        contender=name, kind=kind, n=len(pairs), clusters=len(set(clusters)), original=first,
        twin=second, gain=rate(_gains(pairs), clusters, level, lowest=-1),
        changed=None if numbers else rate(shares(pairs, differs), clusters, level),
        noise=None if numbers else noise(pairs),
        repeated=rate(shares(pairs, repeats), clusters, level) if numbers else None,
    )]  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """An item and its twin, and what was answered to each, [seed][sample]."""

    item: Question
    twin: Question
    said: tuple[list[list[Answer]], list[list[Answer]]]
    scores: tuple[Floats, Floats]  # [S] each, means over samples


def paired(items: Sheet, turned: Sheet, kind: Kind) -> list[Pair]:
    """Every twin of a kind beside the item that it is of."""
    found = []
    for name in turned.asked:
        original = name.removesuffix(f"{MARK}{kind}")
        if original == name or original not in items.asked:
            continue
        known = {each.item.id: each for each in _answers(items, original)}
        for twin in _answers(turned, name):
            if item := known.get(twin.item.id):
                said, scores = (item.said[0], twin.said[0]), (item.scores[0], twin.scores[0])
                found.append(Pair(item.item, twin.item, said, scores))
    return found


def _answers(sheet: Sheet, task: str) -> list[Pair]:
    """The questions of a task, each beside itself."""
    part = sheet.part(task)
    read: NDArray[np.intp] = part.read(task)
    fates, scores = part.outcomes.reshape(read.shape), part.drawn(task).mean(axis=2)
    found = []
    for place, question in enumerate(part.questions.values()):
        said = [
            [(None if word < 0 else part.words[word], OUTCOMES[fate]) for word, fate in zip(*seed, strict=True)]
            for seed in zip(read[place].tolist(), fates[place].tolist(), strict=True)
        ]
        found.append(Pair(question, question, (said, said), (scores[place], scores[place])))
    return found


def _gains(pairs: Sequence[Pair]) -> Floats:
    """[S, n]"""
    return np.array([pair.scores[1] - pair.scores[0] for pair in pairs]).T


def shares(pairs: Sequence[Pair], holds: Callable[[Pair, Answer, Answer], bool]) -> Floats:
    """[S, n]: share of samples for which that holds of the item's answer and the twin's."""

    def share(pair: Pair, seed: tuple[list[Answer], list[Answer]]) -> float:
        return float(np.mean([holds(pair, *each) for each in zip(*seed, strict=False)]))

    return np.array([[share(pair, seed) for seed in zip(*pair.said, strict=True)] for pair in pairs]).T


def noise(pairs: Sequence[Pair]) -> float | None:
    """Share of neighbouring samples of one item that are unlike: what no swap has to do with."""
    told = [
        _told(pair.item, one) != _told(pair.item, other)
        for pair in pairs
        for seed in pair.said[0]
        for one, other in zip(seed, seed[1:], strict=False)
    ]
    return float(np.mean(told)) if told else None


def differs(pair: Pair, item: Answer, twin: Answer) -> bool:
    """Whether the twin's answer is another than the item's."""
    return _told(pair.item, item) != _told(pair.twin, twin)


def _told(question: Question, answer: Answer) -> object:
    """What an answer says: options by their texts, whatever their letters; the outcome where nothing was read."""
    read, outcome = answer
    if read is None:
        return outcome
    if question.options and set(read) <= set(LETTERS[: len(question.options)]):
        return frozenset(question.options[LETTERS.index(letter)] for letter in read)
    return read


def repeats(pair: Pair, _: Answer, twin: Answer) -> bool:
    """Whether the twin is answered, wrongly, with what was right before its figures were changed."""
    read, outcome = twin
    return read is not None and outcome != "correct" and grade("number", read, pair.item.gold).score == 1


def documents(pairs: Sequence[Pair]) -> list[str]:
    """The cluster of each item, which is its twin's too."""
    return [pair.item.cluster for pair in pairs]


def rate(values: Floats, clusters: Sequence[object], confidence: float, lowest: float = 0) -> Rate:
    """Mean of values [S, n] between `lowest` and 1, `clusters` [n] of them; no interval where all lie in one."""
    try:
        found = Layout.of(clusters).estimate(values, confidence=confidence, span=(lowest, 1))
    except ValueError:
        return Rate(value=float(values.mean()), low=None, high=None)
    return Rate(value=found.gain, low=max(lowest, found.low), high=min(1.0, found.high))
