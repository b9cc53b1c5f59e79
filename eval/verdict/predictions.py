"""What was foretold beside what came: memory and time of tuning, tokens and time of the exam, the money of the plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from eval.money import Bill
from eval.money.defaults import runs_on
from eval.pledge import Told
from eval.verdict.evidence import Evidence
from finetune.run import Basis

Kind = Literal["memory", "tuning", "tokens", "exam", "campaign", "query"]


class Prediction(BaseModel):
    """One cost of one contender, as it was foretold before it fell due, and as it was."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    contender: str
    kind: Kind = Field(
        description="memory: peak of tuning, bytes; tuning: wall seconds of its steps; tokens: written in the exam; "
        "exam: its device-seconds; campaign, query: F and the extra cost of a query, in the recipe's currency"
    )
    predicted: float
    measured: float
    device: str = Field("", description="That ran; empty where it does not matter")
    answers: int | None = Field(None, description="Among which tokens were foretold to be written")
    basis: Basis | None = Field(None, description="What seconds of tuning were told from")
    told: Told = Field(
        "",
        description="Tokens and seconds of the exam: what the length of an answer was told from (scored: an earlier "
        "scoring; logged: answers logged before; timed: a timing; assumed: by whether it thinks; limit: every answer "
        "at its limit, an upper bound); empty in older plans",
    )

    @property
    def ratio(self) -> float | None:
        """Measured over predicted; None where one of them is not above 0."""
        return self.measured / self.predicted if min(self.measured, self.predicted) > 0 else None


def predictions(evidence: Evidence, bills: Sequence[Bill]) -> tuple[Prediction, ...]:
    """Everything that was foretold and has come, in the order in which it is paid."""
    return (*_memory(evidence), *_tuning(evidence), *_exam(evidence), *_money(evidence, bills))


def _memory(evidence: Evidence) -> Iterator[Prediction]:
    """The seed that took most: what is foretold is the same for all."""
    for name, stages in evidence.trained.items():
        known = [
            (stage.training.peak_memory_bytes, stage.training.predicted_peak_bytes, stage.hardware.device)
            for stage in stages.values()
            if stage.training and stage.training.predicted_peak_bytes
        ]
        if known:
            peak, foretold, device = max(known)
            yield Prediction(contender=name, kind="memory", predicted=foretold, measured=peak, device=device)


def _tuning(evidence: Evidence) -> Iterator[Prediction]:
    """Of all seeds together, told in each way that was at hand for all of them."""
    for name, stages in evidence.trained.items():
        made = [stage.training for stage in stages.values() if stage.training and stage.training.step_seconds]
        said = ", ".join(sorted({f"{s.hardware.devices} x {s.hardware.device}" for s in stages.values()}))
        for basis in made[0].predicted_seconds if made else ():
            told = [each.predicted_seconds[basis] for each in made if basis in each.predicted_seconds]
            if len(told) == len(stages):
                took = sum(each.step_seconds for each in made)
                yield Prediction(
                    contender=name, kind="tuning", predicted=sum(told), measured=took, device=said, basis=basis
                )


def _exam(evidence: Evidence) -> Iterator[Prediction]:
    """Of all seeds together, as the plan kept it; seconds where the named device is the one that ran."""
    for name, each in evidence.plan.foretold.items() if evidence.plan else ():
        stages = list(evidence.scored.get(name, {}).values())
        wrote = [stage.scoring.generated_tokens for stage in stages if stage.scoring]
        if each.tokens_written and wrote and None not in wrote:
            total = float(sum(tokens or 0 for tokens in wrote))
            yield Prediction(
                contender=name, kind="tokens", predicted=each.tokens_written, measured=total, answers=each.answers,
                told=each.told,
            )  # fmt: skip
        ran = {stage.hardware.device for stage in stages}
        if each.seconds and each.device and ran and all(runs_on(each.device, device) for device in ran):
            took = sum(stage.device_seconds for stage in stages)
            said = ", ".join(sorted(ran))
            yield Prediction(
                contender=name, kind="exam", predicted=each.seconds, measured=took, device=said, told=each.told
            )


def _money(evidence: Evidence, bills: Sequence[Bill]) -> Iterator[Prediction]:
    """F and dc of a margin from planned costs, against the incumbent."""
    planned, rival = evidence.recipe.costs.planned, evidence.recipe.rule.incumbent
    for bill in bills if planned else ():
        if planned and bill.rival == rival:
            yield Prediction(contender=bill.challenger, kind="campaign", predicted=planned.tuning, measured=bill.tuning)
            if bill.extra_per_query is not None:
                yield Prediction(
                    contender=bill.challenger, kind="query", predicted=planned.per_query, measured=bill.extra_per_query
                )
