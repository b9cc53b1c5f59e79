"""A sheet: one contender's whole exam, ready to be laid beside another's question by question."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self, get_args

import numpy as np
from numpy.typing import NDArray

from eval.items import ItemScore, Outcome
from eval.paired import Floats, Layout

Key = tuple[str, str]  # task, question id
OUTCOMES: tuple[str, ...] = get_args(Outcome)
NO_ANSWER = tuple(outcome for outcome in OUTCOMES if outcome not in ("correct", "wrong"))


class BadPairing(ValueError):  # noqa: N818 (it names the pairing, not a fault of ours)
    """Two contenders that cannot be compared question by question, and why."""


@dataclass(frozen=True, eq=False)
class Sheet:
    """For every question its answers by seed and sample; a sample that is not there stands as `missing`."""

    name: str
    seeds: tuple[int, ...]
    answers: dict[Key, tuple[tuple[ItemScore, ...], ...]]  # sorted by key

    @classmethod
    def of(cls, name: str, runs: Mapping[int, Iterable[ItemScore]]) -> Self:
        """From the rows of each training seed; development questions are left out, they are never judged on.

        BadPairing when seeds answered unlike questions, a sample stands twice, or no answer scores above 0.
        """
        by_seed = {seed: _by_key(name, rows) for seed, rows in runs.items()}
        keys = sorted(next(iter(by_seed.values()), {}))
        if not keys:
            raise BadPairing(f"{name}: no scored question of the exam's test part")
        for seed, found in by_seed.items():
            if found.keys() != set(keys):
                raise BadPairing(f"{name}: seed {seed} answered {len(found)} questions, another {len(keys)}")
        count: dict[str, int] = {}
        for found in by_seed.values():
            for key, rows in found.items():
                count[key[0]] = max(count.get(key[0], 0), max(rows) + 1)
        answers = {key: tuple(_padded(found[key], count[key[0]]) for found in by_seed.values()) for key in keys}
        for key, seeds in answers.items():
            if len({(row.hash, row.content, row.cluster, row.protocol) for rows in seeds for row in rows}) > 1:
                raise BadPairing(f"{name}: {'/'.join(key)} is not one question in all its samples and seeds")
        return cls(name, tuple(by_seed), answers)

    @cached_property
    def questions(self) -> dict[Key, ItemScore]:
        """One row that stands for each question: its hash, content, cluster, language and protocol."""
        return {key: seeds[0][0] for key, seeds in self.answers.items()}

    @property
    def samples(self) -> dict[str, int]:
        return {key[0]: len(seeds[0]) for key, seeds in self.answers.items()}

    @property
    def rows(self) -> list[ItemScore]:
        return [row for seeds in self.answers.values() for samples in seeds for row in samples]

    @cached_property
    def scores(self) -> Floats:
        """[S, n]: the mean score over samples, for each seed and question (in sorted order)."""
        return self._averaged(self._flat_scores)

    def values(self, measure: Callable[[ItemScore], float]) -> Floats:
        """[S, n]: the mean of a measure over samples, as `scores`."""
        return self._averaged(np.array([measure(row) for row in self.rows], dtype=float))

    def share(self, *outcomes: str) -> Floats:
        """[S, n]: the share of samples with one of these outcomes."""
        wanted = [OUTCOMES.index(outcome) for outcome in outcomes]
        return self._averaged(np.isin(self._flat_outcomes, wanted).astype(float))

    def drawn(self, task: str) -> Floats:
        """[n, S, K]: every single score of a task."""
        ends = np.cumsum([len(seeds) * len(seeds[0]) for seeds in self.answers.values()])
        chosen = np.flatnonzero([key[0] == task for key in self.answers])  # sorted, so they stand together
        begin = int(ends[chosen[0] - 1]) if chosen[0] else 0
        return self._flat_scores[begin : int(ends[chosen[-1]])].reshape(len(chosen), len(self.seeds), -1)

    @cached_property
    def _flat_scores(self) -> Floats:
        return np.array([row.score for row in self.rows], dtype=float)

    @cached_property
    def _flat_outcomes(self) -> NDArray[np.int8]:
        places = {outcome: place for place, outcome in enumerate(OUTCOMES)}
        return np.array([places[row.outcome] for row in self.rows], dtype=np.int8)

    def _averaged(self, flat: Floats) -> Floats:
        """[S, n] from one value a row of `rows`."""
        counts = np.array([len(samples) for seeds in self.answers.values() for samples in seeds])
        sums = np.add.reduceat(flat, np.cumsum(counts) - counts)
        return np.asarray((sums / counts).reshape(len(self.answers), len(self.seeds)).T)

    def part(self, task: str) -> Self:
        """The questions of one task."""
        return type(self)(self.name, self.seeds, {key: rows for key, rows in self.answers.items() if key[0] == task})

    def item_weight(self, weights: Mapping[str, float]) -> Floats:
        """[n], what each question weighs, summing to 1; a task without a weight counts 1."""
        count = Counter(task for task, _ in self.answers)
        parts = np.array([weights.get(task, 1.0) / count[task] for task, _ in self.answers])
        return parts / parts.sum()

    def layout(self, weights: Mapping[str, float]) -> Layout:
        """Clusters and weights of these questions; a task without a weight counts 1."""
        named = {task: weights.get(task, 1.0) for task in self.samples}
        return Layout.of([row.cluster for row in self.questions.values()], [task for task, _ in self.answers], named)


def _by_key(name: str, rows: Iterable[ItemScore]) -> dict[Key, dict[int, ItemScore]]:
    found: dict[Key, dict[int, ItemScore]] = {}
    for row in rows:
        if row.part == "dev":
            continue
        samples = found.setdefault((row.task, row.id), {})
        if row.sample in samples:
            raise BadPairing(f"{name}: {row.task}/{row.id} has sample {row.sample} twice in its item log")
        if not 0 <= row.score <= 1 or (row.score and row.outcome in NO_ANSWER):
            raise BadPairing(f"{name}: {row.task}/{row.id} scores {row.score} with outcome {row.outcome}")
        samples[row.sample] = row
    return found


def _padded(samples: Mapping[int, ItemScore], count: int) -> tuple[ItemScore, ...]:
    some = next(iter(samples.values()))
    nothing = {"outcome": "missing", "score": 0.0, "text": "", "extracted": None, "rule": "", "seconds": 0.0}
    nothing |= {"tokens_in": 0, "tokens_thinking": 0, "tokens_out": 0}
    return tuple(samples.get(k) or some.model_copy(update=nothing | {"sample": k}) for k in range(count))
