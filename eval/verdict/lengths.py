"""How long answers were: tokens read, thought and written by each contender, and how many the limit cut."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from eval.paired import Floats
from eval.sheet import OUTCOMES, Sheet
from eval.verdict.evidence import Evidence

FROZEN = ConfigDict(frozen=True, extra="forbid")


class Spread(BaseModel):
    """Tokens an answer: below how many a share of the answers stays, every answer counted alike."""

    model_config = FROZEN
    p5: float
    p25: float
    p50: float
    p75: float
    p95: float
    most: float

    @classmethod
    def of(cls, values: Floats) -> Spread | None:
        """None where it is not known of every answer."""
        if not len(values) or not np.isfinite(values).all():
            return None
        found = np.quantile(values, (0.05, 0.25, 0.5, 0.75, 0.95, 1)).tolist()
        return cls(**dict(zip(cls.model_fields, found, strict=True)))


class Lengths(BaseModel):
    """One contender's written answers; what was chosen by likelihood or by a head has no length."""

    model_config = FROZEN
    contender: str
    answers: int
    limit: int | None = Field(description="Tokens an answer may have, thought included; None: not known")
    read: Spread | None = Field(description="Tokens of the prompt; None, here and below: not known")
    thought: Spread | None
    written: Spread | None = Field(description="Thought included")
    cut: int = Field(description="Answers that the limit ended after their thought, or without one")
    unclosed: int = Field(description="Answers that the limit ended within their thought")
    budget: int | None = Field(
        None, description="Tokens a thought may have (thinking_tokens); None: as many as an answer"
    )
    closed: int = Field(0, description="Answers whose thought that budget ended")


def lengths(evidence: Evidence) -> tuple[Lengths, ...]:
    """Of every contender that wrote."""
    found = (_lengths(evidence, name) for name in evidence.recipe.contenders)
    return tuple(each for each in found if each)


def _lengths(evidence: Evidence, name: str) -> Lengths | None:
    sheet, chosen = evidence.sheets[name], evidence.recipe.contenders[name]
    wrote = _written(sheet)
    if not wrote.any():
        return None
    outcomes = sheet.outcomes[wrote]
    read, thought, written = (
        Spread.of(sheet.numbers[each][wrote]) for each in ("tokens_in", "tokens_thinking", "tokens_out")
    )
    return Lengths(
        contender=name, answers=int(wrote.sum()), read=read, thought=thought, written=written,
        limit=None if chosen.items else chosen.model.decoding.max_new_tokens,
        budget=None if chosen.items else chosen.model.decoding.thinking_tokens,
        closed=int((sheet.numbers["given"][wrote] > 0).sum()),
        cut=int((outcomes == OUTCOMES.index("truncated")).sum()),
        unclosed=int((outcomes == OUTCOMES.index("unclosed_thinking")).sum()),
    )  # fmt: skip


def _written(sheet: Sheet) -> NDArray[np.bool_]:
    """[N]: which answers were written, and are there."""
    asked = [len(sheet.seeds) * sheet.samples[task] for task, _ in sheet.questions]
    protocol = np.array([row.protocol == "generated" for row in sheet.questions.values()])
    return np.repeat(protocol, asked) & (sheet.outcomes != OUTCOMES.index("missing"))
