"""What a tracker is given of a verdict: scalars, and tables of contenders, comparisons, gates and single answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.flips.texts import cut
from eval.items import ItemScore, rows
from eval.report.view import deciding_low
from eval.verdict import Verdict

MOST = 200_000  # rows of a table, W&B's own limit
TEXTS = ("question", "options", "gold", "extracted", "text")
FACTS = ("seed", "task", "id", "cluster", "part", "lang", "sample", "outcome", "score", "rule", "tokens_in",
         "tokens_thinking", "tokens_out", "seconds")  # fmt: skip
CONTRAST = ("role", "challenger", "incumbent", "gain", "low", "high", "margin", "p", "mde", "n", "clusters", "wins",
            "losses", "ties", "seeds")  # fmt: skip


@dataclass(frozen=True)
class Table:
    """Columns and rows, plain values only."""

    columns: tuple[str, ...]
    rows: list[list[Any]]


def scalars(v: Verdict) -> dict[str, float]:
    """By name: delta, tau and gamma with their bounds, each contender's score and its parts, what a query costs."""
    found: dict[str, float | None] = {"margin": v.margin}
    for name in ("delta", "tau", "gamma"):
        contrast = getattr(v, name)
        for part in ("gain", "low", "high") if contrast else ():
            found[f"{name}/{part}"] = getattr(contrast, part)
    for row in v.contenders:
        found |= {f"score/{row.name}": row.score, f"score/{row.name}/low": row.low, f"score/{row.name}/high": row.high}
        found |= {f"score/{row.name}/{task.task}": task.score for task in row.tasks}
        found |= {f"cost_per_query/{row.name}": row.cost_per_query, f"training_cost/{row.name}": row.training_cost}
    for status in ("passed", "failed", "unresolved", "not_checked"):
        found[f"gates/{status}"] = float(sum(gate.status == status for gate in v.gates))
    return {name: float(value) for name, value in found.items() if value is not None}


def contenders(v: Verdict) -> Table:
    """A row for each contender and task, and one for the whole exam."""
    size = {task.name: (task.n, task.clusters, task.weight) for task in v.tasks}
    made: list[list[Any]] = []
    for row in v.contenders:
        head = [row.name, ", ".join(row.roles), row.model, row.method]
        made.append([*head, "all", row.score, row.low, row.high, None, None, 1.0])
        made += [
            [*head, task.task, task.score, task.low, task.high, *size.get(task.task, (None,) * 3)] for task in row.tasks
        ]
    columns = "contender", "roles", "model", "method", "task", "score", "low", "high", "n", "clusters", "weight"
    return Table(columns, made)


def comparisons(v: Verdict) -> Table:
    """Every contrast; `low` is the bound that decides."""
    made = [[{**each.model_dump(), "low": deciding_low(v, each)}[key] for key in CONTRAST] for each in v.comparisons]
    return Table(CONTRAST, made)


def gates(v: Verdict) -> Table:
    columns = "gate", "gate_zh", "status", "required", "reason", "reason_zh"
    made = [[each.name, each.name_zh, each.status, each.required, each.reason, each.reason_zh] for each in v.gates]
    return Table(columns, made)


def guards(v: Verdict) -> Table:
    """What tuning must not harm: the challenger minus its own base."""
    columns = ("challenger", "kind", "lang", "status", "gain", "low", "high", "margin", "n", "clusters", "score",
               "base_score", "incumbent_score", "shown")  # fmt: skip
    return Table(("tasks", *columns), [
        [", ".join(row.tasks), *(getattr(row, key) for key in columns)] for row in v.guards
    ])  # fmt: skip


def answers(logs: Iterable[Path], public: frozenset[str]) -> Table:
    """Item logs of one contender's seeds, up to MOST answers; of tasks that are not public, ids and no text."""
    made: list[list[Any]] = []
    for row in (row for log in logs for row in rows(log, ItemScore, "an item score")):
        if len(made) == MOST:
            break
        shown = row.task in public
        facts = (getattr(row, key) if shown or key != "cluster" else None for key in FACTS)  # it may name a document
        made.append([*facts, *_texts(row, shown=shown)])
    return Table((*FACTS, *TEXTS), made)


def _texts(row: ItemScore, *, shown: bool) -> Iterator[str | None]:
    for key in TEXTS:
        said = getattr(row, key)
        said = "\n".join(said) if isinstance(said, tuple) else said
        yield cut(said) if shown and said is not None else None
