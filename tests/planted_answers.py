"""What the planted study's contenders answer: the effects, their truth, and rows drawn from them.

An answer to item i of task t by contender c is right with probability RATES[c][t] + what the document, the item and
the contender's own way with both add to it. These are uniform around 0 and REACH bounds them, so that no probability
leaves [0, 1] and `truth` is exact.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from eval.benchmark import LETTERS, Task
from eval.items import ItemScore
from eval.score.candidate import Candidate
from eval.score.questions import Question
from eval.task import CANARIES
from finetune.card import Row, ask
from tests.planted_exam import TASKS, Said

RATES = {  # share right, by task: rules_zh, fields_zh, ratios_en, notes_en, general_en
    "old": (0.44, 0.50, 0.42, 0.40, 0.62),
    "lora_0.3": (0.56, 0.57, 0.44, 0.40, 0.61),
    "lora": (0.66, 0.63, 0.45, 0.40, 0.56),
    "prefix": (0.53, 0.56, 0.44, 0.41, 0.61),
    "newer": (0.50, 0.53, 0.53, 0.50, 0.68),
    "prompted": (0.52, 0.54, 0.53, 0.51, 0.68),
    "informed": (0.55, 0.53, 0.53, 0.52, 0.68),
}
REACH = {"document": 0.10, "item": 0.08, "own document": 0.06, "own item": 0.06}
BLANK = ("unparsed", "truncated", "unclosed_thinking", "refused")
BLANKS = {  # share of written answers that end so, all of them wrong
    "old": (0.008, 0.020, 0.010, 0.002), "lora_0.3": (0.006, 0.015, 0.008, 0.002),
    "lora": (0.004, 0.010, 0.005, 0.002), "prefix": (0.009, 0.015, 0.008, 0.002),
    "newer": (0.006, 0.012, 0.006, 0.004), "prompted": (0.005, 0.012, 0.006, 0.003),
    "informed": (0.005, 0.014, 0.006, 0.003),
}  # fmt: skip
LENGTHS = {  # median tokens of the thought; tokens of the prompt beside the question
    "old": (420, 10), "lora_0.3": (330, 10), "lora": (260, 10), "prefix": (390, 42), "newer": (310, 12),
    "prompted": (280, 190), "informed": (270, 640),
}  # fmt: skip
SPEED = {"prefix": 60.0, "newer": 95.0, "prompted": 95.0, "informed": 95.0}  # tokens a second; 110 of the others
BY_HEART = {"lora": 0.05, "lora_0.3": 0.02}  # lost where options stand in another order
DECLINES = {"newer": 0.7, "prompted": 0.8, "informed": 0.75, "lora": 0.3}  # evidence taken away: refused; 0.5 of others
KNOWN = 0.04  # right all the same
GIVEN_BACK = {"lora": 3, "lora_0.3": 1}  # planted secrets
LONGEST = 2048  # tokens of an answer
YOUNG = date(2025, 12, 31)  # documents that became public later nobody can have seen
SPREAD = 0.03  # standard deviation of what a training seed adds, where there are several
Floats = NDArray[np.float64]


def truth(one: str, other: str, weights: Mapping[str, float] | None = None) -> float:
    """The true difference of two contenders, over documents without end; tasks weigh alike unless said otherwise."""
    given = dict.fromkeys(TASKS, 1.0) if weights is None else weights
    gaps = dict(zip(TASKS, np.subtract(RATES[one], RATES[other]).tolist(), strict=True))
    return sum(gaps[task] * weight for task, weight in given.items()) / sum(given.values())


def shift(seed: int, name: str, trained: int) -> float:
    """What one training seed of a tuned contender adds: uniform around 0, of the planted spread."""
    return SPREAD * 3**0.5 * (2 * _uniform(f"{seed} training {name} {trained}") - 1)


@dataclass(frozen=True)
class Contender:
    """Who answers: a name of RATES, under the seed of the whole study. `candidate` is whose rows they are; `luck` gives
    other draws of the same chances; `seen` is how much likelier it is right on documents of before 2025 than on
    young ones."""

    candidate: Candidate
    seed: int
    samples: int
    luck: str = ""
    shift: float = 0.0  # what its training seed adds to the chance of a right answer, on every task
    seen: float = 0.0

    def rows(self, task: Task) -> Iterator[ItemScore]:
        """Every answer to a task, in the order of the log."""
        name, samples = self.candidate.name, self.samples if task.protocol == "generated" else 1
        kinds = self.kinds(task, samples)
        draw = self._draw("length", task.name)
        thought, beside = LENGTHS[name]
        lengths = np.minimum(thought * np.exp(draw.normal(0, 0.5, kinds.shape)), LONGEST - 48).astype(int)
        for row, mine, sizes in zip(task.rows, kinds.tolist(), lengths.tolist(), strict=True):
            asked = ask(row) if task.protocol == "generated" else row.question  # as the tasks' YAML asks
            question = Question(task, row, asked, row.options, "", task.until, {}, None)
            content = hashlib.sha256(asked.encode()).hexdigest()
            facts = {"prompt": hashlib.sha256(f"{name} {asked}".encode()).hexdigest(), "content": content}
            facts["tokens_in"] = beside + len(asked) // (2 if row.lang == "zh" else 4) + 8
            yield from self._answers(question, facts, mine, sizes)

    def kinds(self, task: Task, samples: int) -> NDArray[np.str_]:
        """[n, K]: what becomes of each answer, by the planted chances."""
        if task.name == CANARIES:
            given = np.arange(len(task.rows)) < GIVEN_BACK.get(self.candidate.name, 0)
            return np.repeat(np.where(given, "correct", "declined")[:, None], samples, axis=1)
        draw = self._draw(task.name)
        luck, blank = draw.random((2, len(task.rows), samples))
        if task.twin == "evidence":
            refused = KNOWN + DECLINES.get(self.candidate.name, 0.5)
            return np.where(luck < KNOWN, "correct", np.where(luck < refused, "declined", "wrong2"))
        place = TASKS.index(task.original)
        rate = RATES[self.candidate.name][place]
        lost = BY_HEART.get(self.candidate.name, 0.0) if task.twin else 0.0
        right = luck < (rate - lost + self.shift + self._moved(task))[:, None]
        wrong = np.where(draw.random(luck.shape) < 0.6, "wrong", "wrong2")
        if task.protocol == "likelihood":
            return np.where(right, "correct", wrong)
        edges = np.cumsum(BLANKS[self.candidate.name]) / (1 - rate)
        ends = np.array([*BLANK, "none"])[np.searchsorted(edges, blank, side="right")]
        return np.where(right, "correct", np.where(ends == "none", wrong, ends))

    def _moved(self, task: Task) -> Floats:
        """[n]: what documents and items add to the chance of a right answer; a twin shares its original's."""
        clusters = [task.cluster(row) for row in task.rows]
        added = np.zeros(len(clusters))
        for part, reach in REACH.items():
            keys = clusters if part.endswith("document") else [row.id for row in task.rows]
            who = self.candidate.name if part.startswith("own") else ""
            known = {key: _uniform(f"{self.seed} {part} {who} {key}") for key in dict.fromkeys(keys)}
            added += reach * np.array([2 * known[key] - 1 for key in keys])
        return added + self.seen * np.array([_age(row) for row in task.rows])

    def _draw(self, *what: str) -> np.random.Generator:
        return np.random.default_rng([self.seed, crc32(" ".join([self.luck, self.candidate.name, *what]).encode())])

    def _answers(
        self, question: Question, facts: Mapping[str, Any], kinds: Sequence[str], thoughts: Sequence[int]
    ) -> Iterator[ItemScore]:
        first: dict[str, ItemScore] = {}
        said = Said(question.task, question.row)
        for sample, (kind, thought) in enumerate(zip(kinds, thoughts, strict=True)):
            if kind not in first:
                told = _chosen(question.row, kind) if question.task.protocol == "likelihood" else said.kind(kind)
                first[kind] = self.candidate.row(question, 0, **facts, **_bare(told))
            yield first[kind].model_copy(update=self._measured(question, kind, sample, thought, first[kind].text))

    def _measured(self, question: Question, kind: str, sample: int, thought: int, text: str) -> dict[str, Any]:
        """What differs from one answer of a kind to the next."""
        speed = SPEED.get(self.candidate.name, 110.0)
        if question.task.protocol == "likelihood":
            return {"tokens_thinking": 0, "tokens_out": 0, "seconds": 1 / speed}
        long = kind in ("truncated", "unclosed_thinking")
        written = LONGEST if long else thought + 8 + len(text) // 3
        open_ = f"<think>\nWeighing sample {sample} of {question.row.id}."
        whole = open_ if kind == "unclosed_thinking" else f"{open_}\n</think>\n\n{text}"
        thought = LONGEST if kind == "unclosed_thinking" else thought
        return {
            "sample": sample, "text": whole, "tokens_thinking": thought, "tokens_out": written,
            "seconds": round(written / speed, 4),
        }  # fmt: skip


def means(parts: Sequence[Task], who: Contender, samples: int) -> Floats:
    """[n]: the mean score of each question that `who` has in another draw of the whole study."""
    found = [who.kinds(part, samples if part.protocol == "generated" else 1) for part in parts]
    return np.concatenate([(kinds == "correct").mean(axis=1) for kinds in found])


def _uniform(key: str) -> float:
    """A number in [0, 1) fixed by the key: a document of two tasks is the same in both."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big") / 2**64


def _age(row: Row) -> float:
    """Half for what a model can have seen, minus half for what none can, 0 in between and where there is no date."""
    if row.public is None:
        return 0.0
    return -0.5 if row.public.first > YOUNG else 0.5 if row.public.last.year < 2025 else 0.0


def _bare(told: Mapping[str, Any]) -> dict[str, Any]:
    """An answer before it is measured."""
    return {"tokens_thinking": 0, "tokens_out": 0, **told}


def _chosen(row: Row, kind: str) -> dict[str, Any]:
    """An option taken by likelihood."""
    gold = LETTERS.index(row.answer or "")
    step = {"correct": 0, "wrong": 1}.get(kind, 2)
    place = (gold + step) % len(row.options)
    values = tuple(-1.0 if at == place else -3.0 - at for at in range(len(row.options)))
    right = place == gold
    return {
        "text": row.options[place], "loglikelihoods": values, "finish": "likelihood", "extracted": LETTERS[place],
        "rule": "acc", "outcome": "correct" if right else "wrong", "score": float(right),
    }  # fmt: skip
