"""Part: the rule on some of the exam's questions, as it stands on all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from eval.verdict.contest import Contest
from eval.verdict.evidence import Evidence
from eval.verdict.ruling import Call, overall
from eval.verdict.sensitivity import ruled
from eval.verdict.variants import kept_questions


class Part(BaseModel):
    """Delta on some of the questions: the lead challenger against the incumbent, and the rule's word."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    n: int
    clusters: int
    gain: float
    low: float
    high: float
    call: Call


def part_of(evidence: Evidence, contest: Contest, challenger: str, wanted: Sequence[bool]) -> Part | None:
    """The same rule on the questions [n] that are wanted; None where they cannot be judged."""
    pair, kept = contest.pairs[challenger][0], np.array(wanted)
    rows = list(pair.challenger.questions.values())
    change = kept_questions(kept, rows, evidence.weights)
    if change is None:
        return None
    pairs = {name: [change(each) for each in found] for name, found in contest.pairs.items()}
    rulings, bounds = ruled(evidence, contest, pairs, evidence.recipe.rule.margin, evidence.recipe.costs)
    mine = next(ruling for ruling in rulings if ruling.challenger == challenger)
    span = next(each for each in bounds[challenger] if each.incumbent == pair.incumbent.name)
    return Part(
        n=int(kept.sum()), clusters=len({row.cluster for row, keep in zip(rows, wanted, strict=True) if keep}),
        gain=span.gain, low=mine.lows[span.incumbent], high=span.high, call=overall(rulings),
    )  # fmt: skip
