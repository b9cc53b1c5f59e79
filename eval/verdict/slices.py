"""Slices: the gain by subject, for those who look for a pattern (decision.md 5.4). Exploratory.

Adjusted by Benjamini & Hochberg, so that of those that stand out few in the long run do so by chance. They decide
nothing; parts that may carry an exception are on the verdict map (eval.verdict.atlas).
"""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from eval.paired import Estimate
from eval.pairing import Pair
from eval.significance import benjamini_hochberg
from eval.verdict.evidence import Evidence
from eval.verdict.variants import kept_questions

FALSE = 0.05  # share of false ones among those that stand out
DRAWS = 1999  # of the bootstrap, where a slice has few documents


class Slice(BaseModel):
    """One subject of one card: the lead challenger minus the incumbent."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    card: str
    subject: str = Field(description="As the card names it; of a private card #n, the n-th that its questions name")
    n: int
    clusters: int
    gain: float
    low: float
    high: float
    bh_p: float = Field(description="Two-sided against no difference, Benjamini-Hochberg over the slices")
    stands_out: bool = Field(description="At a false-discovery rate of one in twenty")


def slices(evidence: Evidence, pair: Pair) -> tuple[Slice, ...]:
    """Subjects that cards name, where there are two and more and each has two clusters; the largest gain first."""
    named = _named(evidence)
    own = [named.get(key) for key in pair.challenger.questions]
    told = {name: found for name in dict.fromkeys(own) if name and (found := _estimate(evidence, pair, own, name))}
    if len(told) < 2:
        return ()
    adjusted = benjamini_hochberg([found.p_two_sided for found in told.values()])
    rows = [
        Slice(
            card=card, subject=subject, n=found.n, clusters=found.clusters, gain=found.gain, low=max(-1.0, found.low),
            high=min(1.0, found.high), bh_p=p, stands_out=p <= FALSE,
        )
        for ((card, subject), found), p in zip(told.items(), adjusted, strict=True)
    ]  # fmt: skip
    return tuple(sorted(rows, key=lambda row: -row.gain))


def _named(evidence: Evidence) -> dict[tuple[str, str], tuple[str, str]]:
    """(task, question) -> (card, subject). Subjects of a private card are its text, and a verdict goes from hand to
    hand: they are numbered, in the order of its rows."""
    rows = [(task, row) for task in evidence.benchmark.tasks for row in task.rows if row.subject]
    numbers: dict[str, dict[str, str]] = {}
    for task, row in rows:
        known = numbers.setdefault(task.card.name, {})
        known.setdefault(row.subject, f"#{len(known) + 1}" if task.card.private else row.subject)
    return {(task.name, row.id): (task.card.name, numbers[task.card.name][row.subject]) for task, row in rows}


def _estimate(
    evidence: Evidence, pair: Pair, own: list[tuple[str, str] | None], name: tuple[str, str]
) -> Estimate | None:
    rows = list(pair.challenger.questions.values())
    change = kept_questions(np.array([each == name for each in own]), rows, evidence.weights)
    if change is None:
        return None
    part = change(pair)
    return part.layout.estimate(part.differences, confidence=evidence.recipe.rule.confidence, draws=DRAWS)
