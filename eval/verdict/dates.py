"""Timeline: which judged questions are surely younger than everything that the deciding models learned from.

A model is known by its stated cutoff, else by its day of release, after which it learned nothing; whoever is tuned here
also by the rows it is tuned on, where their card dates them. Where nothing bounds a model nothing is told of any item.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from eval.benchmark import Benchmark
from eval.sheet import Key
from finetune.card import Interval
from finetune.recipe import Recipe, data_root

By = Literal["stated", "released", "training", "unknown"]


class Bound(BaseModel):
    """After which day a contender can have learned nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    contender: str
    until: date | None = Field(description="None: not known")
    by: By = Field(description="What says so: a stated cutoff, the day of release, dated training rows younger than it")
    source: str = Field(description="Of a stated cutoff; empty otherwise")


@dataclass(frozen=True)
class Timeline:
    """Judged questions with a date, beside what the deciding contenders can have learned from."""

    bounds: tuple[Bound, ...]
    spans: dict[Key, Interval]

    @property
    def unknown(self) -> tuple[str, ...]:
        """Contenders that nothing bounds."""
        return tuple(bound.contender for bound in self.bounds if bound.until is None)

    @property
    def newest(self) -> date | None:
        """The day after which nobody has learned anything; None where it is not known of somebody."""
        known = [bound.until for bound in self.bounds if bound.until]
        return max(known) if known and not self.unknown else None

    @property
    def young(self) -> frozenset[Key]:
        """Questions whose source surely became public later."""
        line = self.newest
        return frozenset(key for key, span in self.spans.items() if line and span.first > line)

    @property
    def old(self) -> frozenset[Key]:
        """Questions whose source was surely public by then: somebody may have seen them."""
        line = self.newest
        return frozenset(key for key, span in self.spans.items() if line and span.last <= line)


def timeline(recipe: Recipe, benchmark: Benchmark, names: Sequence[str]) -> Timeline:
    """Of the exam's judged questions and these contenders."""
    spans = {
        (task.name, row.id): row.public
        for task in benchmark.tasks for row in task.rows if row.public and task.part(row) == "test"
    }  # fmt: skip
    return Timeline(tuple(_bound(recipe, name) for name in names) if spans else (), spans)


def _bound(recipe: Recipe, name: str) -> Bound:
    """By what was said of the contender itself, else of its model and the rows it is tuned on."""
    chosen = recipe.contenders[name]
    model, stated = chosen.model, chosen.cutoff
    if stated:
        return Bound(contender=name, until=stated.last, by="stated", source=stated.source)
    elsewhere = chosen.tuned and chosen.method is None  # on what, nobody here knows
    until = model.cutoff.last if model.cutoff else model.released_on
    if until is None or elsewhere:
        return Bound(contender=name, until=None, by="unknown", source="")
    taught = _taught(recipe, name)
    if taught and taught > until:
        return Bound(contender=name, until=taught, by="training", source="")
    source = model.cutoff.source if model.cutoff else ""
    return Bound(contender=name, until=until, by="stated" if model.cutoff else "released", source=source)


def _taught(recipe: Recipe, name: str) -> date | None:
    """The last day of any row that a contender is tuned on; of cards without dates the clean subset tells instead."""
    if not recipe.contenders[name].method:
        return None
    uses = [use for each in recipe.lineage(name) for use in recipe.data_of(each) if use.card.dates]
    rows = [row for use in uses for row in use.card.rows(data_root(), use.split)]
    return max((row.public.last for row in rows if row.public), default=None)
