"""The prices of a recipe: what makes a gain worth its cost. Every number has its effect said beside it."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from finetune.recipe.prices import Quote
from finetune.recipe.timing import Timing

FROZEN = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
MOST = 10**15  # of a sum or a number: sums of more than that no float holds to the unit, and products have no end


class Planned(BaseModel):
    """What is expected of the costs before any score: they make the margin, and stay in the plan's digest."""

    model_config = FROZEN
    tuning: float = Field(ge=0, description="F: price of one tuning, all in; higher asks for a larger gain")
    per_query: float = Field(
        0, description="Cost of a query beyond the incumbent's, timed on questions not judged on; below 0: less"
    )
    timing: str | None = Field(
        None, description="Folder of the run in which `tuneworth score --timing` measured; it then tells per_query"
    )
    timed: tuple[Timing, ...] = Field((), description="What it measured; written, never given")


class Costs(BaseModel):
    model_config = FROZEN
    currency: str = Field("CNY", description="Of every price below")
    gpu_hour: float = Field(0, ge=0, le=MOST, description="Price of one device hour; goes before that of `device`")
    device: str | None = Field(
        None, description="Device whose dated default price is taken where gpu_hour is not given (prices.yaml)"
    )
    exchange: dict[str, Annotated[float, Field(gt=0)]] = Field(
        {}, description="Units of `currency` for one of another, {USD: 7.1}; a default price in it needs this"
    )
    quote: Quote | None = Field(None, description="Where gpu_hour is from; written when a default is taken")
    value_per_correct: float | None = Field(
        None, gt=0, le=MOST, description="Worth of one more right answer; none: no break-even"
    )
    loss_per_wrong: float = Field(0, ge=0, le=MOST, description="Harm of one wrong answer, beyond its missing worth")
    queries: int | None = Field(None, ge=1, le=MOST, description="Questions over the horizon")
    retunes: int = Field(0, ge=0, le=MOST, description="Tunings to come: one per new base or drift")
    question: float = Field(
        0,
        ge=0,
        le=MOST,
        description="Price of one more question of the exam (written, checked); tells how many samples pay best",
    )
    data: float = Field(0, ge=0, le=MOST, description="Price of the training data")
    people: float = Field(0, ge=0, le=MOST, description="Price of the work on one tuning")
    failed: float = Field(
        0,
        ge=0,
        le=MOST,
        description="Device time of runs that failed, as a share of the tuning that is kept; added to F",
    )
    speedup: float = Field(
        1,
        gt=0,
        description="How many times faster a server (vLLM, SGLang) answers than what is measured here; not for trained "
        "prompts (P-Tuning), which such servers do not take",
    )
    uncertainty: float = Field(
        0, ge=0, lt=1, description="F and costs of a query are off by up to this share, 95 of 100 times; widens net"
    )
    planned: Planned | None = Field(None, description="Of rule.margin: from_costs")
    utilisation: float = Field(0.5, gt=0, le=1, description="Share of paid serving time that answers queries")

    @model_validator(mode="after")
    def _told(self) -> "Costs":
        if self.quote:
            self.quote.told(self.gpu_hour, self.device)
        return self
