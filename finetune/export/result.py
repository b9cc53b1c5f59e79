"""What the verdict says of one contender, as verdict.json holds it: this side of the wall it is a file, not a type."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from finetune.mistakes import BadInput
from finetune.run import RunManifest


@dataclass(frozen=True)
class Measured:
    """This contender's score on one task, in [0, 1]; no bounds where the task lies in one cluster."""

    task: str
    version: str
    card: str
    split: str
    edition: str
    items_digest: str
    protocol: str
    metric: str
    score: float
    low: float | None
    high: float | None
    n: int
    clusters: int
    guess_rate: float


@dataclass(frozen=True)
class Result:
    """`state`: none (no verdict), other (of another adapter, or without this contender), plumbing, or judged."""

    state: Literal["none", "other", "plumbing", "judged"]
    date: str = ""  # when its first question was scored, UTC
    lines: tuple[str, ...] = ()  # what was found
    limits: tuple[str, ...] = ()  # what the verdict itself says that it does not cover
    outcome: str = ""
    confidence: float = 0.0  # of the intervals
    seeds: tuple[int, ...] = ()  # trainings that a score is the mean of
    digest: str = ""  # sha256 of verdict.json
    measured: tuple[Measured, ...] = ()  # none where the comparison is invalid: then no score stands

    @classmethod
    def read(cls, path: Path, name: str, trained: RunManifest) -> Result:
        """BadInput: a verdict.json that this version does not write."""
        if not path.is_file():
            return cls("none")
        try:
            return _result(path.read_bytes(), name, trained)
        except (ValueError, KeyError, TypeError):
            raise BadInput(f"{path}: no verdict that this version writes; run `tuneworth judge` again") from None


def _result(written: bytes, name: str, trained: RunManifest) -> Result:
    verdict = json.loads(written)
    assert trained.training is not None, "a training's manifest"
    made = {origin["name"]: origin for origin in verdict["provenance"]["contenders"]}
    judged = made.get(name, {}).get("adapters", {}).get(str(trained.seed))
    if judged != trained.training.adapter_digest:
        return Result("other")
    date = datetime.fromtimestamp(verdict["provenance"]["first_score_at"], UTC).date().isoformat()
    if verdict["outcome"] == "plumbing":
        return Result("plumbing", date)
    row = next(each for each in verdict["contenders"] if each["name"] == name)
    limits = tuple(note["text"] for note in verdict["notes"])
    return Result(
        "judged", date, tuple(_lines(verdict, row)), limits, verdict["outcome"], verdict["confidence"],
        tuple(row["seeds"]), hashlib.sha256(written).hexdigest(), tuple(_measured(verdict, row)),
    )  # fmt: skip


def _measured(verdict: dict[str, Any], row: dict[str, Any]) -> Iterator[Measured]:
    if verdict["outcome"] == "invalid":
        return
    facts = ("version", "card", "split", "edition", "items_digest", "protocol", "metric", "n", "clusters", "guess_rate")
    scores = {each["task"]: each for each in row["tasks"]}
    for task in verdict["tasks"]:
        found = {key: scores[task["name"]][key] for key in ("score", "low", "high")}
        yield Measured(task=task["name"], **found, **{key: task[key] for key in facts})


def _lines(verdict: dict[str, Any], row: dict[str, Any]) -> list[str]:
    lines = [
        f"Question: {verdict['question']}",
        f"Verdict: **{verdict['outcome'].replace('_', ' ')}**. {verdict['sentence']}",
        f"Score of this contender: {_span(row)} over {len(row['tasks'])} tasks, seeds {_listed(row['seeds'])}.",
    ]
    for task in verdict["tasks"]:
        found = next(each for each in row["tasks"] if each["task"] == task["name"])
        lines.append(
            f"`{task['name']}` version {task['version']} ({task['protocol']}, {task['metric']}): {_span(found)}; "
            f"{task['n']} questions in {task['clusters']} clusters; a blind guess scores {task['guess_rate']:.1%}"
        )
    if verdict["challenger"] != row["name"]:
        lines.append(f"The sentence above speaks of {verdict['challenger']}; this is another contender of that study.")
    return lines


def _span(score: dict[str, Any]) -> str:
    width = "" if score["low"] is None else f" [{score['low']:.1%}, {score['high']:.1%}]"
    return f"{score['score']:.1%}{width}"


def _listed(values: list[int]) -> str:
    return ", ".join(map(str, values))
