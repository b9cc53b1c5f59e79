"""What tuning cost, what a query costs, and after how many queries the gain has paid for it (decision.md 5.5).

    NB(Q) = Q (v gain - l wrong - dc) - F (1 + R)        Q* = F (1 + R) / (v gain - l wrong - dc)

v: worth of one more right answer, l: harm of one more wrong one, dc: extra cost of serving one query, F: one tuning,
R: tunings to come, all in the recipe's currency. Net benefit over a horizon is Stinnett & Mullahy 1998.
"""

import math
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from finetune.recipe import Costs

FROZEN = ConfigDict(frozen=True, extra="forbid")


class Breakeven(BaseModel):
    """Queries after which tuning has paid, at the gain and at its bounds; None is never."""

    model_config = FROZEN
    point: float | None
    low: float | None  # at the upper bound of the gain: the soonest
    high: float | None  # at the lower bound: the latest


class Net(BaseModel):
    """Net benefit over the horizon's queries, at the gain and at its bounds."""

    model_config = FROZEN
    low: float
    point: float
    high: float


class Bill(BaseModel):
    """One challenger against one rival, in money."""

    model_config = FROZEN
    challenger: str
    rival: str
    parts: dict[str, float]  # training, search if any, evaluation, data, people; or declared and evaluation
    tuning: float  # F, their sum
    horizon: float  # F (1 + R)
    extra_per_query: float | None  # dc; below 0 where the tuned one is cheaper to serve; None where it is not known
    wrong: float  # difference of the rates of outcome `wrong`
    breakeven: Breakeven | None  # None where no value, or nothing with a price, was declared, or dc is not known
    net: Net | None  # None also where no number of queries was declared


class Money(BaseModel):
    """The declared prices, and the bill of every challenger against every rival."""

    model_config = FROZEN
    currency: str
    gpu_hour: float
    value_per_correct: float | None
    loss_per_wrong: float
    queries: int | None
    retunes: int
    utilisation: float
    bills: tuple[Bill, ...]


@dataclass(frozen=True)
class Effort:
    """Device-seconds that one challenger took, over all its seeds; `declared` replaces the price of tuning it here."""

    training: float
    evaluation: float
    declared: float | None = None
    search: float = 0.0  # of trials that became no seed's training
    tokens: float = 0.0  # price of the tokens that evaluation bought of servers, beside the devices


@dataclass(frozen=True)
class Serving:
    """Device-seconds of one query, thought included, on either side; where its tokens are paid for, their price.

    A side without either was asked elsewhere, and nobody has said what that costs.
    """

    challenger: float | None
    rival: float | None
    challenger_tokens: float | None = None
    rival_tokens: float | None = None


@dataclass(frozen=True)
class Gain:
    """Of right answers with its interval, and the difference of the rates of wrong ones."""

    low: float
    point: float
    high: float
    wrong: float = 0.0


def device_price(seconds: float, costs: Costs) -> float:
    return seconds / 3600 * costs.gpu_hour


def per_query(seconds: float | None, costs: Costs, tokens: float | None = None) -> float | None:
    """Serving: devices are paid while they idle, so the price is divided by the share of time they answer. Whoever pays
    for `tokens` (their price) pays for nothing else. None where neither is known."""
    if tokens is not None or seconds is None:
        return tokens
    return device_price(seconds, costs) / costs.utilisation


def tuning_parts(effort: Effort, costs: Costs) -> dict[str, float]:
    """What one tuning campaign is made of; an adapter tuned elsewhere carries its declared cost instead."""
    evaluation = device_price(effort.evaluation, costs) + effort.tokens
    if effort.declared is not None:
        return {"declared": effort.declared, "evaluation": evaluation}
    training = device_price(effort.training, costs)
    search = {"search": device_price(effort.search, costs)} if effort.search else {}
    return {"training": training, **search, "evaluation": evaluation, "data": costs.data, "people": costs.people}


def bill(challenger: str, rival: str, effort: Effort, serving: Serving, gain: Gain, costs: Costs) -> Bill:
    """Everything that is said in money of one challenger against one rival."""
    parts = tuning_parts(effort, costs)
    ours = per_query(serving.challenger, costs, serving.challenger_tokens)
    theirs = per_query(serving.rival, costs, serving.rival_tokens)
    extra = None if ours is None or theirs is None else ours - theirs
    horizon = sum(parts.values()) * (1 + costs.retunes)
    breakeven, net = None, None
    if extra is not None and costs.value_per_correct is not None and (costs.gpu_hour or horizon or extra):
        low, point, high = (
            costs.value_per_correct * each - costs.loss_per_wrong * gain.wrong - extra
            for each in (gain.low, gain.point, gain.high)
        )
        breakeven = Breakeven(point=_queries(horizon, point), low=_queries(horizon, high), high=_queries(horizon, low))
        if costs.queries is not None:
            low, point, high = (costs.queries * each - horizon for each in (low, point, high))
            net = Net(low=low, point=point, high=high)
    return Bill(
        challenger=challenger, rival=rival, parts=parts, tuning=sum(parts.values()), horizon=horizon,
        extra_per_query=extra, wrong=gain.wrong, breakeven=breakeven, net=net,
    )  # fmt: skip


def _queries(horizon: float, worth: float) -> float | None:
    """Never, where a query is worth nothing or less, or too little to be counted."""
    needed = horizon / worth if worth > 0 else math.inf
    return needed if math.isfinite(needed) else None
