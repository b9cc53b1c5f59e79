"""Drift: what a verdict says otherwise than an earlier one of the same study did."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field

from eval.report import view
from eval.report.figures import interval, points
from eval.report.view import plumbed
from eval.report.words import OUTCOMES, STATUSES, Said, same
from eval.signs import minus
from eval.verdict import Contrast, Verdict
from eval.verdict.guards import GuardRow, Words, guard_words
from finetune.mistakes import BadInput
from finetune.recipe import Recipe

LOOSE = ConfigDict(frozen=True, extra="ignore")  # a baseline may be of an earlier version, with other keys beside these
NONE = Said("none", "无")
PLAIN = (str, int, float, type(None))
TARIFF = ("price_in", "price_out", "price_cached", "cached_share", "query_cost")
WEIGHT = 1e-9  # of a task: apart by more, it is another weight


class Span(BaseModel):
    """A gain or a score as it stood."""

    model_config = LOOSE
    gain: float
    low: float
    high: float
    challenger: str


class Scored(BaseModel):
    model_config = LOOSE
    name: str
    score: float


class Stood(BaseModel):
    model_config = LOOSE
    name: str
    name_zh: str
    status: str


class Guarded(BaseModel):
    model_config = LOOSE
    challenger: str
    kind: str
    lang: str
    tasks: tuple[str, ...]
    status: str
    whole: bool = True

    @property
    def words(self) -> Words:
        """As the page has them."""
        return guard_words(self.kind, self.lang, "" if self.whole else self.tasks[0])


class Asked(BaseModel):
    """What makes a task the same task."""

    model_config = LOOSE
    name: str
    version: str
    protocol: str
    metric: str
    items_digest: str
    weight: float  # share, all tasks together 1


class Made(BaseModel):
    model_config = LOOSE
    extractor: str


class Plumbed(BaseModel):
    """Whether a smoke run worked."""

    model_config = LOOSE
    passed: bool = Field(alias="pass")


class TaskLike(Protocol):
    """A task of the exam that is about to be judged."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def protocol(self) -> str: ...
    @property
    def metric(self) -> str: ...
    @property
    def items_digest(self) -> str: ...
    @property
    def weight(self) -> float: ...


class Baseline(BaseModel):
    """What drift is measured from: these parts of an earlier verdict.json."""

    model_config = LOOSE
    name: str
    purpose: str
    incumbent: str
    outcome: str
    margin: float
    confidence: float
    delta: Span | None
    contenders: tuple[Scored, ...]
    tasks: tuple[Asked, ...]
    gates: tuple[Stood, ...]
    provenance: Made
    guards: tuple[Guarded, ...] = ()
    plumbing: Plumbed | None = None
    challenger: str | None = None
    base: str | None = None
    money: dict[str, Any] | None = None  # prices by the names of `costs`, and more

    @classmethod
    def read(cls, path: Path) -> Self:
        """BadInput: no such file, or no verdict."""
        if not path.is_file():
            raise BadInput(f"--baseline {path}: no such file; keep a run's verdict.json and name it here")
        try:
            return cls.model_validate_json(path.read_bytes())
        except ValueError:
            raise BadInput(f"--baseline {path}: not the verdict.json of a run; give one that `judge` wrote") from None

    def refuse_other(self, recipe: Recipe, tasks: Sequence[TaskLike], guards: Iterable[str]) -> None:
        """BadInput: it is of another study, or asked other questions; the first difference is named."""
        found = next(self._unlike(recipe, tasks, guards), None)
        if found:
            what, theirs, ours = found
            raise BadInput(
                f"--baseline: {what} is {theirs} there and {ours} here, so nothing can be laid beside it; judge the "
                f"same study for a baseline"
            )

    def _unlike(
        self, recipe: Recipe, tasks: Sequence[TaskLike], guards: Iterable[str]
    ) -> Iterator[tuple[str, object, object]]:
        """(what, there, here) of all that must be alike."""
        total = sum(task.weight for task in tasks)
        there, here = {task.name: task for task in self.tasks}, {task.name: task for task in tasks}
        yield from _differing("the study", self.name, recipe.name)
        yield from _differing("purpose", self.purpose, recipe.purpose)
        yield from _differing("rule.incumbent", self.incumbent, recipe.rule.incumbent)
        yield from _differing("exam.tasks", ", ".join(sorted(there)), ", ".join(sorted(here)))
        for name, task in here.items():
            old = there[name]
            for part in ("version", "protocol", "metric"):
                yield from _differing(f"{part} of task {name}", getattr(old, part), getattr(task, part))
            digests = old.items_digest[:12], task.items_digest[:12]
            yield from _differing(f"the item list of task {name}", *digests)
            if abs(old.weight - task.weight / total) > WEIGHT:
                yield f"the weight of task {name}", f"{old.weight:.3g}", f"{task.weight / total:.3g}"
        guarded = {name for row in self.guards for name in row.tasks}
        if guarded:  # where none were, or none were reached, what stands now is drift
            yield from _differing("rule.guards", ", ".join(sorted(guarded)), ", ".join(sorted({*guards})) or "none")


def _differing(what: str, there: str, here: str) -> Iterator[tuple[str, object, object]]:
    if there != here:
        yield what, there, here


@dataclass(frozen=True)
class Change:
    """One thing that may have moved, in words."""

    what: Said
    before: Said
    now: Said

    @property
    def moved(self) -> bool:
        return self.before != self.now

    @property
    def told(self) -> str:
        """In both languages; what is alike in both stands once."""
        en, zh = (self._in(*sides) for sides in zip(self.what, self.before, self.now, strict=True))
        return en if en == zh else f"{en} · {zh}{'' if self.moved else ' 未变'}"

    def _in(self, what: str, before: str, now: str) -> str:
        return f"{what}: {before} → {now}" if self.moved else f"{what}: {now}"


def drift(before: Baseline, now: Verdict) -> list[Change]:
    """Word, gain and every score, moved or not; then what else moved: the rule, the extractor, gates, guards."""
    rest = [*_rule(before, now), *_gates(before, now), *_guards(before, now)]
    return [_word(before, now), *_gain(before, now), *_scores(before, now), *(each for each in rest if each.moved)]


def _word(before: Baseline, now: Verdict) -> Change:
    old = OUTCOMES.get(before.outcome, same(before.outcome))
    if before.plumbing:
        old = plumbed(passed=before.plumbing.passed)
    return Change(Said("verdict", "结论"), old, view.word(now))


def _gain(before: Baseline, now: Verdict) -> Iterator[Change]:
    if before.delta or now.delta:
        yield Change(same("Δ"), *(same(_told(found)) for found in (before.delta, now.delta)))


def _told(found: Span | Contrast | None) -> str:
    return f"{found.challenger} {points(found.gain)} {interval(found.low, found.high)}" if found else "–"


def _scores(before: Baseline, now: Verdict) -> Iterator[Change]:
    old = {row.name: points(row.score, signed=False) for row in before.contenders}
    new = {row.name: points(row.score, signed=False) for row in now.contenders}
    for name in dict.fromkeys([*old, *new]):
        yield Change(same(name), same(old.get(name, "–")), same(new.get(name, "–")))


def _rule(before: Baseline, now: Verdict) -> Iterator[Change]:
    """What may move a word although nobody answered otherwise."""
    yield Change(Said("margin", "门槛"), *(same(points(value)) for value in (before.margin, now.margin)))
    yield Change(Said("confidence", "置信度"), *(same(f"{value:.1%}") for value in (before.confidence, now.confidence)))
    readers = (verdict.provenance.extractor for verdict in (before, now))
    yield Change(Said("extractor", "提取器"), *map(same, readers))
    for key in ("challenger", "base"):
        if said := getattr(before, key):  # an earlier version may not have written it
            yield Change(same(f"rule.{key}"), same(said), same(getattr(now, key)))
    old, new = before.money or {}, now.money.model_dump() if now.money else {}
    for key in sorted(old.keys() & new.keys()):
        if all(isinstance(side[key], PLAIN) for side in (old, new)):
            yield Change(same(f"costs.{key}"), *(same(_plain(side[key])) for side in (old, new)))
    yield from _tariffs(old, new) if "tariffs" in old else ()


def _tariffs(old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    """Prices of tokens and of queries, by the keys under which a recipe gives them."""
    sides = [{row["contender"]: row for row in side.get("tariffs", ())} for side in (old, new)]
    for name in dict.fromkeys(name for side in sides for name in side):
        for key in TARIFF:
            stood = (same(_plain(side.get(name, {}).get(key))) for side in sides)
            engine = "" if key == "query_cost" else "engine."
            yield Change(same(f"contenders.{name}.{engine}{key}"), *stood)


def _plain(value: object) -> str:
    return minus(f"{value:.12g}") if isinstance(value, int | float) else str(value or NONE.en)


def _gates(before: Baseline, now: Verdict) -> Iterator[Change]:
    old = {gate.name: (gate.status, gate.name_zh) for gate in before.gates}
    new = {gate.name: (gate.status, gate.name_zh) for gate in now.gates}
    for name, (_, name_zh) in {**old, **new}.items():
        stood = (STATUSES.get(side[name][0], NONE) if name in side else NONE for side in (old, new))
        yield Change(Said(name, name_zh), *stood)


def _guards(before: Baseline, now: Verdict) -> Iterator[Change]:
    old: dict[object, Guarded | GuardRow] = {_key(row): row for row in before.guards}
    new: dict[object, Guarded | GuardRow] = {_key(row): row for row in now.guards}
    for key, row in {**old, **new}.items():
        stood = (STATUSES.get(side[key].status, NONE) if key in side else NONE for side in (old, new))
        en, zh = row.words
        yield Change(Said(f"guard {row.challenger}, {en}", f"护栏 {row.challenger}，{zh}"), *stood)


def _key(row: Guarded | GuardRow) -> tuple[object, ...]:
    return row.challenger, row.kind, row.lang, row.tasks
