"""The board: every contender on the same questions, as a whole and in parts of the exam. It is leaderboard.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from eval.leaderboard.kinship import difference
from eval.leaderboard.sitting import Sitting, Use
from eval.leaderboard.unread import Unread, unread
from eval.paired import Floats, Layout
from eval.standing import Duel, duels, spans, tiers
from eval.task import Task
from eval.verdict.roll import TaskInfo
from finetune.mistakes import BadInput
from finetune.recipe.suites import GEN, SHELF, Suite

FROZEN = ConfigDict(frozen=True, extra="forbid")
Kind = Literal["all", "suite", "scenario", "lang", "task"]


class Card(BaseModel):
    """One contender: what it is and what its answers took, over the whole exam. None: not known."""

    model_config = FROZEN
    contender: str = Field(description="Its name on the board; with its run's where two runs have the name")
    run: str
    name: str
    model: str
    family: str
    method: str
    prompted: bool
    size: int | None = Field(description="Parameters of the base")
    licence: str
    released: str
    seeds: int
    samples: dict[str, int] = Field(description="Answers to a question, by task")
    engine: str
    budget: int | None = Field(description="Tokens that an answer may have")
    cost: float | None = Field(description="Of 1,000 queries, at the prices of its run; None: nothing has a price")
    currency: str
    tokens_in: float | None = Field(description="Of a query, as are the next three")
    tokens_out: float | None
    thinking: float | None = Field(description="Share of the written tokens that are thought")
    seconds: float | None
    memory: float | None = Field(description="Bytes to serve one query at its longest, computed from the model's sizes")
    doubt: str = Field(description="Why its run called its scores invalid or exploratory; empty where it did not")
    doubt_zh: str


class Standing(BaseModel):
    """One contender in one slice. Shares of a point; no interval where a task lies in one cluster."""

    model_config = FROZEN
    contender: str
    score: float
    low: float | None
    high: float | None
    tier: int
    rank: int = Field(description="All of a tier share it")
    rank_best: int = Field(description="One more than are shown to be better, by Holm over all pairs of the slice")
    rank_worst: int = Field(description="All but those that are shown to be worse")
    cost: float | None = Field(description="Of 1,000 queries of this slice, as the card's of the whole exam")
    tokens_in: float | None = Field(description="Of a query of this slice, as are the next three")
    tokens_out: float | None
    thinking: float | None
    seconds: float | None


class Versus(BaseModel):
    """The difference of two contenders on the same questions, who scores more ahead."""

    model_config = FROZEN
    ahead: str
    behind: str
    gain: float
    low: float | None
    high: float | None
    holm_p: float = Field(description="Two-sided against no difference, Holm over all pairs of the slice")
    resolved: bool = Field(description="holm_p is at most 1 - confidence")


class Slice(BaseModel):
    """A part of the exam: all of it, a suite, a scenario, a language or a task."""

    model_config = FROZEN
    kind: Kind
    key: str
    tasks: tuple[str, ...]
    n: int
    clusters: int
    standings: tuple[Standing, ...] = Field(description="Best first")
    duels: tuple[Versus, ...]
    blind: Unread = Field(description="What the best way of answering without reading scores")

    def standing(self, contender: str) -> Standing:
        return next(each for each in self.standings if each.contender == contender)


class Board(BaseModel):
    """leaderboard.json: everything that page, Markdown and CSV show."""

    model_config = FROZEN
    confidence: float
    runs: tuple[str, ...]
    weights: dict[str, float] = Field(description="Of each task in the score; sum 1")
    extractor: str
    contenders: tuple[Card, ...]
    slices: tuple[Slice, ...] = Field(description="All of the exam first")

    @classmethod
    def of(cls, sittings: Sequence[Sitting], tasks: Mapping[str, Task] | None = None) -> Self:
        """`tasks`: those whose questions are at hand, for blind baselines; of others guessing alone is known.

        BadInput: fewer than two contenders, or two that cannot stand together, with the difference.
        """
        if len(sittings) < 2:
            raise BadInput("a board needs two contenders or more; name more runs")
        for one, other in combinations(sittings, 2):
            if found := difference(one, other):
                raise BadInput(f"{found.kind}: {found.text}; --explain lists who can stand together")
        run = sittings[0].run
        confidence = max(each.run.verdict.confidence for each in sittings)
        return cls(
            confidence=confidence,
            runs=tuple(dict.fromkeys(each.run.label for each in sittings)),
            weights=run.weights,
            extractor=run.verdict.provenance.extractor,
            contenders=tuple(_card(each) for each in sittings),
            slices=tuple(_slices(sittings, tasks or {}, confidence)),
        )

    def card(self, contender: str) -> Card:
        return next(each for each in self.contenders if each.contender == contender)

    def slice(self, kind: Kind, key: str = "") -> Slice | None:
        return next((each for each in self.slices if each.kind == kind and (not key or each.key == key)), None)


def _card(each: Sitting) -> Card:
    row, origin, use = each.row, each.origin, each.whole
    doubt, doubt_zh = _doubt(each)
    return Card(
        contender=each.key, run=each.run.label, name=row.name, model=row.model, family=origin.family,
        method=row.method, prompted=row.prompted, size=each.parameters, licence=row.licence, released=row.released,
        seeds=len(row.seeds), samples=row.samples, engine=origin.engine, budget=each.budget,
        currency=each.run.costs.currency, memory=each.memory, doubt=doubt, doubt_zh=doubt_zh, **use._asdict(),
    )  # fmt: skip


def _doubt(each: Sitting) -> tuple[str, str]:
    """The first required gate that failed in its run, where that decided the run's word."""
    verdict = each.run.verdict
    failed = [gate for gate in verdict.gates if gate.required and gate.status == "failed"]
    if verdict.outcome not in ("invalid", "exploratory") or not failed:
        return "", ""
    gate, label = failed[0], each.run.label
    word = "无效" if verdict.outcome == "invalid" else "仅供探索"
    return (f"run {label} is {verdict.outcome}: {gate.name}: {gate.reason}",
            f"运行 {label} {word}：{gate.name_zh}：{gate.reason_zh}")  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Exam:
    """The questions that all have answered, in one order, with everyone's scores."""

    sittings: Sequence[Sitting]
    scores: list[Floats]  # [S, n] each
    weight: Floats  # [n]
    task: list[str]
    lang: list[str]
    ids: list[str]
    cluster: list[str]

    @classmethod
    def of(cls, sittings: Sequence[Sitting]) -> Self:
        sheet = sittings[0].sheet
        rows = list(sheet.questions.values())
        weight = sheet.item_weight(sittings[0].run.weights)
        columns = ([getattr(row, name) for row in rows] for name in ("task", "lang", "id", "cluster"))
        return cls(sittings, [each.sheet.scores for each in sittings], weight, *columns)


def _slices(sittings: Sequence[Sitting], tasks: Mapping[str, Task], confidence: float) -> Iterator[Slice]:
    exam = _Exam.of(sittings)
    known: dict[bytes, Slice] = {}
    facts = {task.name: task for task in sittings[0].run.verdict.tasks}
    for kind, key, chosen in _cuts(exam, facts):
        mark = chosen.tobytes()
        if mark not in known:
            known[mark] = _slice(exam, chosen, facts, tasks, confidence)
        yield known[mark].model_copy(update={"kind": kind, "key": key})


def _cuts(exam: _Exam, facts: Mapping[str, TaskInfo]) -> Iterator[tuple[Kind, str, NDArray[np.bool_]]]:
    """All of it, then suites that are there whole, scenarios, languages and tasks."""
    task, lang = np.array(exam.task), np.array(exam.lang)
    yield "all", "", np.ones(len(task), dtype=bool)
    for name, within in _suites(set(facts)):
        yield "suite", name, np.isin(task, within)
    for scenario in sorted({each.scenario for each in facts.values() if each.scenario}):
        yield "scenario", scenario, np.isin(task, [name for name, each in facts.items() if each.scenario == scenario])
    for each in sorted(set(exam.lang)):
        yield "lang", each, lang == each
    for name in facts:
        yield "task", name, task == name


def _suites(there: set[str]) -> Iterator[tuple[str, list[str]]]:
    """Those all of whose tasks were sat, each choice in either form."""
    for path in sorted(SHELF.glob("*.yaml")):
        suite = Suite.read(path)
        forms = [{name, f"{name}{GEN}"} & there for name in suite.choices] + [{name} & there for name in suite.written]
        if forms and all(forms):
            yield path.stem, [name for form in forms for name in sorted(form)]


def _slice(
    exam: _Exam,
    chosen: NDArray[np.bool_],
    facts: Mapping[str, TaskInfo],
    tasks: Mapping[str, Task],
    confidence: float,
) -> Slice:
    """The questions that `chosen` [n] marks, each task weighing what its chosen questions weigh in the whole."""
    places = np.flatnonzero(chosen).tolist()
    weight = exam.weight[chosen] / exam.weight[chosen].sum()
    mass: dict[str, float] = {}
    for at, part in zip(places, weight.tolist(), strict=True):
        mass[exam.task[at]] = mass.get(exam.task[at], 0.0) + part
    scores, clusters = [each[:, chosen] for each in exam.scores], [exam.cluster[at] for at in places]
    layout: Layout | None = None
    with suppress(ValueError):  # where a task lies in one cluster means can be told, intervals cannot
        layout = Layout.of(clusters, [exam.task[at] for at in places], mass)
    found = duels(scores, weight, layout, confidence)
    names = [each.key for each in exam.sittings]
    asked = {(exam.task[at], exam.ids[at]) for at in places}
    return Slice(
        kind="all", key="", tasks=tuple(mass), n=len(places), clusters=len(set(clusters)),
        standings=_standings(names, scores, weight, layout, found, confidence, _uses(exam, chosen)),
        duels=tuple(_versus(names, duel) for duel in found),
        blind=unread(mass, facts, tasks, asked),
    )  # fmt: skip


def _versus(names: Sequence[str], duel: Duel) -> Versus:
    return Versus(
        ahead=names[duel.ahead], behind=names[duel.behind], gain=duel.gain, low=duel.low, high=duel.high,
        holm_p=duel.p, resolved=duel.resolved,
    )  # fmt: skip


def _uses(exam: _Exam, chosen: NDArray[np.bool_]) -> list[Use]:
    weight = exam.weight * chosen
    return [each.use(weight / weight.sum()) for each in exam.sittings]


def _standings(
    names: Sequence[str],
    scores: Sequence[Floats],
    weight: Floats,
    layout: Layout | None,
    found: Sequence[Duel],
    confidence: float,
    uses: Sequence[Use],
) -> tuple[Standing, ...]:
    means = [float(each.mean(axis=0) @ weight) for each in scores]
    rows = []
    ranked = zip(names, scores, means, tiers(means, found), spans(means, found), uses, strict=True)
    for name, each, mean, place, (best, worst), use in ranked:
        told = layout.estimate(each, confidence=confidence, span=(0, 1)) if layout else None
        rows.append(Standing(
            contender=name, score=mean, low=max(0.0, told.low) if told else None,
            high=min(1.0, told.high) if told else None, tier=place.tier, rank=place.rank, rank_best=best,
            rank_worst=worst, **use._asdict(),
        ))  # fmt: skip
    return tuple(sorted(rows, key=lambda row: (-row.score, row.contender)))
