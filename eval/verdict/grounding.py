"""What is invented: answers where the evidence was taken away, and figures that stand nowhere. Decides nothing."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from eval.sheet import Sheet
from eval.verdict.evidence import Evidence
from eval.verdict.twins import Answer, Pair, Rate, TwinCount, counted, documents, paired, rate, shares

FROZEN = ConfigDict(frozen=True, extra="forbid")


class RefusalRow(BaseModel):
    """One contender on questions without their evidence; what is neither stated no answer at all."""

    model_config = FROZEN
    contender: str
    n: int
    clusters: int
    refused: Rate
    invented: Rate  # something was answered, wrongly
    known: Rate = Field(description="Right all the same: known from elsewhere, or by heart")


class FigureRow(BaseModel):
    """One contender's figures on open-book questions."""

    model_config = FROZEN
    contender: str
    n: int
    clusters: int
    figures: float  # quoted in an answer, on average
    unsupported: Rate = Field(description="Share of them that stand nowhere in what was shown (a ratio of means)")


class Grounding(BaseModel):
    """All of it."""

    model_config = FROZEN
    counts: tuple[TwinCount, ...]
    refusals: tuple[RefusalRow, ...]
    figures: tuple[FigureRow, ...]


def grounding(evidence: Evidence) -> Grounding | None:
    """None where nothing was taken away, and no open-book answer quotes a figure."""
    level = evidence.recipe.rule.confidence
    refusals = [
        _refusals(name, pairs, level)
        for name, sheet in evidence.twins.items()
        if (pairs := paired(evidence.sheets[name], sheet, "evidence"))
    ]
    written = [task for task in evidence.benchmark.tasks if task.protocol == "generated"]
    tasks = {task.name for task in written if any(row.context for row in task.rows)}
    figures = [row for name, sheet in evidence.sheets.items() if (row := _figures(name, sheet, tasks, level))]
    if not (refusals or figures):
        return None
    counts = counted(evidence.benchmark, turned=False) if refusals else ()
    return Grounding(counts=counts, refusals=tuple(refusals), figures=tuple(figures))


def _refusals(name: str, pairs: list[Pair], level: float) -> RefusalRow:
    def share(outcome: str) -> Rate:
        def ended(_: Pair, __: Answer, twin: Answer) -> bool:
            return twin[1] == outcome

        return rate(shares(pairs, ended), documents(pairs), level)

    return RefusalRow(
        contender=name, n=len(pairs), clusters=len(set(documents(pairs))),
        refused=share("refused"), invented=share("wrong"), known=share("correct"),
    )  # fmt: skip


def _figures(name: str, sheet: Sheet, tasks: set[str], level: float) -> FigureRow | None:
    """The ratio's interval is that of its linear part: u - R f over the mean of f (delta method)."""
    asked = np.array([task in tasks for task, _ in sheet.questions])
    clusters = [row.cluster for row in sheet.questions.values() if row.task in tasks]
    quoted, nowhere = (sheet.values(each)[:, asked] for each in ("figures", "unsupported"))
    if not clusters or not quoted.sum():
        return None
    mean = float(quoted.mean())
    share = float(nowhere.mean()) / mean
    told = rate(share + (nowhere - share * quoted) / mean, clusters, level)
    return FigureRow(contender=name, n=len(clusters), clusters=len(set(clusters)), figures=mean, unsupported=told)
