"""Where a comparison's variance comes from: documents, training seeds, single answers; and how many samples pay.

On plain numbers (decision.md 5.3): V(K) = kept + drawn / K, where `kept` holds documents, questions and seeds.
"""

from __future__ import annotations

import math

from pydantic import BaseModel, ConfigDict, Field

TINY = 1e-15  # a variance below this is rounding, not spread
TABLE = (1, 2, 4, 8, 16, 32)  # samples a question that are told; the cards of reasoning models advise 4 to 64
LITTLE = 0.1  # of the variance that stays: where drawing adds less than this, more samples no longer pay


class Spread(BaseModel):
    """Shares of the variance of one comparison, and what other exams on the same questions would have had."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    deff: float = Field(description="Design effect: variance over that of as many independent questions")
    seed_share: float = Field(description="Share of the variance that lies between training seeds")
    samples_that_pay: int | None = Field(
        description="Answers a question beyond which drawing adds under a tenth to the variance that stays; None where "
        "its noise cannot be told (one sample a side) or nothing else stays"
    )
    drawn_to_kept: float | None = Field(
        None, description="Variance of one answer a side over the variance that stays; None where it cannot be told"
    )
    mde_by_samples: tuple[tuple[int, float], ...] = Field(
        description="(answers a question, MDE80 with them); empty where the noise of single answers cannot be told"
    )


def design_effect(variance: float, independent: float) -> float:
    """Clustered variance over that of independent questions; 1 where there is no spread at all."""
    return variance / independent if independent > TINY else 1.0


def samples_that_pay(kept: float, drawn: float) -> int | None:
    """Smallest K with drawn / K at most a tenth of `kept`; None where all spread is the luck of drawing."""
    if kept <= TINY:
        return None
    return max(1, math.ceil(round(drawn / (LITTLE * kept), 9)))


def best_samples(question: float, answer: float, drawn_to_kept: float) -> int:
    """K with the smallest variance for a fixed budget, of which each question takes `question` and each of its K
    answers `answer` (above 0): the whole number beside K* = sqrt(question / answer * drawn / kept) that is better.
    """
    found = math.sqrt(question / answer * drawn_to_kept)
    near = max(1, math.floor(found)), max(1, math.ceil(found))
    return min(near, key=lambda count: (1 + drawn_to_kept / count) * (question + answer * count))


def mde_by_samples(
    mde: float, variance: float, kept: float, drawn: float, hidden: float = 0.0
) -> tuple[tuple[int, float], ...]:
    """MDE80 with other numbers of samples: it goes with the root of the variance, degrees of freedom as they are, but
    for what tasks without spread may hide."""
    if variance <= TINY:
        return ()
    seen = max(0.0, mde - hidden)
    return tuple((count, min(1.0, hidden + seen * math.sqrt((kept + drawn / count) / variance))) for count in TABLE)
