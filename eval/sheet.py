"""A sheet: one contender's whole exam, ready to be laid beside another's question by question.

Answers stand in arrays, by question, then seed, then sample; a sample that is not there stands as `missing`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Self, get_args

import numpy as np
from numpy.typing import NDArray

from eval.columns import NUMBERS, SECOND, Columns
from eval.items import ItemScore, Outcome
from eval.paired import Floats, Layout

Key = tuple[str, str]  # task, question id
OUTCOMES: tuple[str, ...] = get_args(Outcome)
NO_ANSWER = tuple(outcome for outcome in OUTCOMES if outcome not in ("correct", "wrong"))
ONE = ("hash", "content", "cluster", "protocol", "gold")  # of a question the same in all samples and seeds


class BadPairing(ValueError):  # noqa: N818 (it names the pairing, not a fault of ours)
    """Two contenders that cannot be compared question by question, and why."""


class Question(NamedTuple):
    """What was asked; as in the item log."""

    task: str
    id: str
    hash: str
    content: str
    cluster: str
    protocol: str
    lang: str
    options: tuple[str, ...]
    gold: str


class Making(NamedTuple):
    """How answers to a task came about; `template` is empty in logs of before rows held it."""

    task: str
    protocol: str
    engine: str
    template: str


@dataclass(frozen=True, eq=False)
class Sheet:
    """Questions in the order of their keys, and their answers [N] by question, seed and sample."""

    name: str
    seeds: tuple[int, ...]
    questions: dict[Key, Question]
    samples: dict[str, int]  # by task
    numbers: Mapping[str, Floats]  # score, seconds, tokens
    outcomes: NDArray[np.int8]  # places in OUTCOMES
    named: NDArray[np.intp]  # places in `words` of what was read out of an answer; -1 for nothing
    words: list[str]
    makings: frozenset[Making]

    @classmethod
    def of(cls, name: str, runs: Mapping[int, Columns | Iterable[ItemScore]]) -> Self:
        """From the answers of each training seed; development questions are left out, they are never judged on.

        BadPairing when seeds answered unlike questions, a sample stands twice, or no answer scores above 0.
        """
        parts = [rows if isinstance(rows, Columns) else Columns.of(rows) for rows in runs.values()]
        parts = [part.where("part", "test") for part in parts]
        if not parts or not len(parts[0]):
            raise BadPairing(f"{name}: no scored question of the exam's test part")
        table = Columns.joined(parts)
        seed = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        keys, question = _keys(table)
        _refuse_unlike_seeds(name, tuple(runs), seed, question, len(keys))
        questions = _questions(name, table, keys, question)
        sample = table.numbers("sample")
        samples = _samples(keys, question, sample)
        counts = np.array([samples[task] for task, _ in keys])  # [n], answers a seed
        begins = len(parts) * (np.cumsum(counts) - counts)
        place = begins[question] + seed * counts[question] + sample
        _refuse_faults(name, table, keys, question, place)
        said, words = table.coded("extracted")
        size = len(parts) * int(counts.sum())
        return cls(
            name, tuple(runs), questions, samples,
            {each: _laid(size, place, table.numbers(each), 0.0) for each in NUMBERS if each != "sample"},
            _laid(size, place, _outcomes(table), OUTCOMES.index("missing")).astype(np.int8),
            _laid(size, place, said, -1).astype(np.intp), words, _makings(table),
        )  # fmt: skip

    @cached_property
    def asked(self) -> Counter[str]:
        """Questions of each task, in the order of the tasks."""
        return Counter(task for task, _ in self.questions)

    @cached_property
    def scores(self) -> Floats:
        """[S, n]: the mean score over samples, for each seed and question."""
        return self.values("score")

    @property
    def second(self) -> Floats | None:
        """[S, n]: the mean score by the second reading; None where there is none."""
        found = self.values(SECOND)
        return found if np.isfinite(found).all() else None

    def halves(self) -> tuple[Floats, Floats]:
        """[S, n] each: the mean score of the first half of a question's samples and of the rest."""
        parts = [self.drawn(task) for task in self.asked]
        cut = [max(1, part.shape[2] // 2) for part in parts]  # a single sample stands in both
        first = [part[:, :, :at].mean(axis=2).T for part, at in zip(parts, cut, strict=True)]
        rest = [part[:, :, at % part.shape[2] :].mean(axis=2).T for part, at in zip(parts, cut, strict=True)]
        return np.concatenate(first, axis=1), np.concatenate(rest, axis=1)

    def values(self, measure: str) -> Floats:
        """[S, n]: the mean of a number (score, seconds, tokens_in, ...) over samples, as `scores`; NaN: not known."""
        return self._averaged(self.numbers[measure])

    def share(self, *outcomes: str) -> Floats:
        """[S, n]: the share of samples with one of these outcomes."""
        return self._averaged(self._having(outcomes).astype(float))

    def count(self, *outcomes: str) -> int:
        """Answers with one of these outcomes."""
        return int(self._having(outcomes).sum())

    def _having(self, outcomes: Iterable[str]) -> NDArray[np.bool_]:
        return np.isin(self.outcomes, [OUTCOMES.index(outcome) for outcome in outcomes])

    def drawn(self, task: str) -> Floats:
        """[n, S, K]: every single score of a task."""
        return self.numbers["score"][self._span(task)].reshape(-1, len(self.seeds), self.samples[task])

    def read(self, task: str) -> NDArray[np.intp]:
        """[n, S, K]: what was read out of every single answer of a task, as places in `words`."""
        return self.named[self._span(task)].reshape(-1, len(self.seeds), self.samples[task])

    def _span(self, task: str) -> slice:
        """Where the answers of a task stand: keys are sorted, so they stand together."""
        sizes = {name: count * len(self.seeds) * self.samples[name] for name, count in self.asked.items()}
        begin = sum(size for name, size in sizes.items() if name < task)
        return slice(begin, begin + sizes[task])

    def _averaged(self, flat: Floats) -> Floats:
        """[S, n] from one value an answer."""
        asked = [count * len(self.seeds) for count in self.asked.values()]
        counts = np.repeat([self.samples[task] for task in self.asked], asked)
        sums = np.add.reduceat(flat, np.cumsum(counts) - counts)
        return np.asarray((sums / counts).reshape(len(self.questions), len(self.seeds)).T)

    def part(self, task: str) -> Self:
        """The questions of one task."""
        span = self._span(task)
        return type(self)(
            self.name, self.seeds, {key: asked for key, asked in self.questions.items() if key[0] == task},
            {task: self.samples[task]}, {name: flat[span] for name, flat in self.numbers.items()},
            self.outcomes[span], self.named[span], self.words,
            frozenset(each for each in self.makings if each.task == task),
        )  # fmt: skip

    def item_weight(self, weights: Mapping[str, float]) -> Floats:
        """[n], what each question weighs, summing to 1; a task without a weight counts 1."""
        each = [weights.get(task, 1.0) / count for task, count in self.asked.items()]
        parts = np.repeat(each, list(self.asked.values()))
        return parts / parts.sum()

    def layout(self, weights: Mapping[str, float]) -> Layout:
        """Clusters and weights of these questions; a task without a weight counts 1."""
        named = {task: weights.get(task, 1.0) for task in self.samples}
        return Layout.of([row.cluster for row in self.questions.values()], [task for task, _ in self.questions], named)


def _makings(table: Columns) -> frozenset[Making]:
    """Every way in which answers came about."""
    whole, coded = np.zeros(len(table), dtype=np.intp), [table.coded(field) for field in Making._fields]
    for codes, words in coded:
        whole = whole * len(words) + codes
    _, first = np.unique(whole, return_index=True)
    return frozenset(Making(*(words[codes[at]] for codes, words in coded)) for at in first.tolist())


def _keys(table: Columns) -> tuple[list[Key], NDArray[np.intp]]:
    """Every question's key, sorted, and which of them each answer is to."""
    (task, tasks), (number, ids) = table.coded("task"), table.coded("id")
    pairs, inverse = np.unique(task * len(ids) + number, return_inverse=True)
    found = [(tasks[pair // len(ids)], ids[pair % len(ids)]) for pair in pairs.tolist()]
    order = sorted(range(len(found)), key=found.__getitem__)
    rank = np.empty(len(order), dtype=np.intp)
    rank[order] = np.arange(len(order))
    return [found[place] for place in order], rank[inverse]


def _samples(keys: list[Key], question: NDArray[np.intp], sample: NDArray[np.intp]) -> dict[str, int]:
    """How many answers the questions of each task have from a seed; some may be missing."""
    tasks = {task: place for place, task in enumerate(dict.fromkeys(task for task, _ in keys))}
    task = np.array([tasks[task] for task, _ in keys])
    most = np.zeros(len(tasks), dtype=np.intp)
    np.maximum.at(most, task[question], sample + 1)
    return dict(zip(tasks, most.tolist(), strict=True))


def _refuse_unlike_seeds(
    name: str, seeds: tuple[int, ...], seed: NDArray[np.intp], question: NDArray[np.intp], count: int
) -> None:
    asked = np.zeros((len(seeds), count), dtype=bool)
    asked[seed, question] = True
    for number, found in zip(seeds, asked.sum(axis=1).tolist(), strict=True):
        if found < count:
            raise BadPairing(f"{name}: seed {number} answered {found} questions, another {count}")


def _questions(name: str, table: Columns, keys: list[Key], question: NDArray[np.intp]) -> dict[Key, Question]:
    """What each answer's question was, taken from its first answer. BadPairing: they do not agree."""
    said: dict[str, list[str]] = {}
    for field in (*ONE, "lang", "options"):
        codes, words = table.coded(field)
        first = np.empty(len(keys), dtype=np.intp)
        first[question[::-1]] = codes[::-1]
        unlike = np.flatnonzero(codes != first[question]) if field in ONE else first[:0]
        if len(unlike):
            key = keys[question[unlike[0]]]
            raise BadPairing(f"{name}: {'/'.join(key)} is not one question in all its samples and seeds")
        said[field] = [words[code] for code in first.tolist()]
    options = {text: tuple(json.loads(text)) for text in set(said["options"])}
    plain = [said[field] for field in ("hash", "content", "cluster", "protocol", "lang")]
    facts = zip(*plain, (options[text] for text in said["options"]), said["gold"], strict=True)
    return {key: Question._make((*key, *each)) for key, each in zip(keys, facts, strict=True)}


def _refuse_faults(
    name: str, table: Columns, keys: list[Key], question: NDArray[np.intp], place: NDArray[np.intp]
) -> None:
    """BadPairing: a sample that stands twice, or a score that no answer can have."""
    sample, score = table.numbers("sample"), table.numbers("score")
    order = np.argsort(place, kind="stable")
    twice = order[1:][place[order][1:] == place[order][:-1]]
    if len(twice):
        at = twice.min()
        raise BadPairing(f"{name}: {'/'.join(keys[question[at]])} has sample {sample[at]} twice in its item log")
    blank = np.isin(_outcomes(table), [OUTCOMES.index(outcome) for outcome in NO_ANSWER])
    wrong = np.flatnonzero(~((score >= 0) & (score <= 1)) | (blank & (score != 0)))
    if len(wrong):
        at, outcome = wrong[0], OUTCOMES[_outcomes(table)[wrong[0]]]
        raise BadPairing(f"{name}: {'/'.join(keys[question[at]])} scores {score[at]} with outcome {outcome}")


def _outcomes(table: Columns) -> NDArray[np.intp]:
    codes, words = table.coded("outcome")
    return np.array([OUTCOMES.index(word) for word in words])[codes]


def _laid(size: int, place: NDArray[np.intp], values: NDArray[np.generic], missing: float) -> Floats:
    """Values in their places; `missing` where there is no answer."""
    found = np.full(size, missing, dtype=float)
    found[place] = values
    return found
