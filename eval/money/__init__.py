"""What tuning cost, what a query costs, and after how many queries the gain has paid for it (decision.md 5.5).

    NB(Q) = Q (v gain - l wrong - dc) - F (1 + R)        Q* = F (1 + R) / (v gain - l wrong - dc)

v: worth of one more right answer, l: harm of one more wrong one, dc: extra cost of serving one query, F: one tuning,
R: tunings to come, all in the recipe's currency. Net benefit over a horizon is Stinnett & Mullahy 1998.
"""

import math
from dataclasses import dataclass, replace

from pydantic import BaseModel, ConfigDict, Field

from eval.money.defaults import Taken
from eval.money.odds import Chance, fieller, odds
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
    wrong_se: float | None = None  # its standard error; None where a wrong answer costs nothing more
    odds: tuple[tuple[float, float], ...] = ()  # (value of a right answer, P(NB > 0) over the horizon's queries)
    breakeven: Breakeven | None  # None where no value, or nothing with a price, was declared, or dc is not known
    net: Net | None  # None also where no number of queries was declared


class Shelf(BaseModel):
    """How long the tuning lasts: what it adds over what one generation of bases brings, and that in months."""

    model_config = FROZEN
    generations: float | None = Field(description="tau / gamma; None: the newer base brings nothing")
    low: float | None
    high: float | None = Field(description="None: never outrun, as far as this exam can tell")
    months: float | None = Field(description="At the pace between these two releases; None where a date is not known")


class Timed(BaseModel):
    """Of the cost of a query in `planned`: that it was timed."""

    model_config = FROZEN
    questions: int = Field(description="Development questions, of the contender with the fewest")
    holds: bool = Field(description="Before the plan, and of the same state of the recipe as the scores")


class Tariff(BaseModel):
    """What a contender's tokens cost, in the recipe's currency; or its whole query, of one that was asked elsewhere."""

    model_config = FROZEN
    contender: str
    price_in: float | None = Field(None, description="Of a million prompt tokens")
    price_out: float | None = Field(None, description="Of a million written tokens, thought included")
    price_cached: float | None = Field(None, description="Of a million prompt tokens that the server had kept")
    cached_share: float = Field(0.0, description="Share of prompt tokens that the server will have kept")
    query_cost: float | None = None


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
    failed: float = 0.0
    speedup: float = 1.0
    uncertainty: float = 0.0
    planned: dict[str, float] | None = Field(None, description="What made the margin, before any score")
    timed: Timed | None = Field(None, description="None: dc of the margin was declared, or there is none")
    shelf: Shelf | None = None
    defaults: tuple[Taken, ...] = Field((), description="Prices left to the shelf, with date and source")
    tariffs: tuple[Tariff, ...] = Field((), description="Of contenders that are not paid by device hours")
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
    """Of right answers with its interval, and the difference of the rates of wrong ones.

    Where a wrong answer costs more than its missing worth, `worth` holds the bounds of gain - (l / v) wrong, both taken
    on the same clusters, since their errors go together.
    """

    low: float
    point: float
    high: float
    wrong: float = 0.0
    chance: Chance | None = None  # what the odds are drawn from
    worth: tuple[float, float] | None = None
    sure: float = 1.0  # how much further than at the plain level `low` lies: as much wider are costs that are not sure


@dataclass(frozen=True)
class Account:
    """What one contrast costs, whatever it gains."""

    parts: dict[str, float]  # of one tuning
    horizon: float  # F (1 + R)
    extra: float | None  # of one query, beyond the rival's; None where that is not known

    def priced(self, costs: Costs) -> bool:
        """Whether anything with a price was declared, and all of it is known."""
        return self.extra is not None and bool(costs.gpu_hour or self.horizon or self.extra)

    def needed(self, worth: float, half: float, costs: Costs) -> float | None:
        """What the lower bound of the worth (gain less the wrong answers' part of it) must exceed for that of the net
        benefit to exceed 0; None where no net benefit is told.

        `half`: from the worth to its lower bound at the plain level, where costs are off by `uncertainty`. At other
        levels both go further by as much, so that bound and p agree.
        """
        value, queries = costs.value_per_correct, costs.queries
        if self.extra is None or value is None or queries is None or not self.priced(costs):
            return None
        net = queries * (value * worth - self.extra) - self.horizon
        off = costs.uncertainty * math.hypot(self.horizon, queries * self.extra)
        return worth - net / math.hypot(queries * value, off / half if half else 0.0)


def device_price(seconds: float, costs: Costs) -> float:
    return seconds / 3600 * costs.gpu_hour


def per_query(seconds: float | None, costs: Costs, tokens: float | None = None) -> float | None:
    """Serving: devices are paid while they idle, so the price is divided by the share of time they answer. Whoever pays
    for `tokens` (their price) pays for nothing else. None where neither is known."""
    if tokens is not None or seconds is None:
        return tokens
    return device_price(seconds, costs) / costs.utilisation


def answer_price(seconds: float | None, costs: Costs, tokens: float | None = None) -> float | None:
    """Of one answer in the exam, which no idle device waits for; None where neither seconds nor `tokens` are known."""
    if tokens is not None or seconds is None:
        return tokens
    return device_price(seconds, costs)


def tuning_parts(effort: Effort, costs: Costs) -> dict[str, float]:
    """What one tuning campaign is made of; an adapter tuned elsewhere carries its declared cost instead."""
    evaluation = device_price(effort.evaluation, costs) + effort.tokens
    if effort.declared is not None:
        return {"declared": effort.declared, "evaluation": evaluation}
    training = device_price(effort.training, costs)
    failed = {"failed": costs.failed * training} if costs.failed else {}
    search = {"search": device_price(effort.search, costs)} if effort.search else {}
    return {
        "training": training,
        **search,
        **failed,
        "evaluation": evaluation,
        "data": costs.data,
        "people": costs.people,
    }


def account(effort: Effort, serving: Serving, costs: Costs) -> Account:
    """The bill before any gain."""
    parts = tuning_parts(effort, costs)
    ours = per_query(serving.challenger, costs, serving.challenger_tokens)
    theirs = per_query(serving.rival, costs, serving.rival_tokens)
    extra = None if ours is None or theirs is None else ours - theirs
    return Account(parts, sum(parts.values()) * (1 + costs.retunes), extra)


def bill(challenger: str, rival: str, effort: Effort, serving: Serving, gain: Gain, costs: Costs) -> Bill:
    """Everything that is said in money of one challenger against one rival."""
    due = account(effort, serving, costs)
    extra, horizon = due.extra, due.horizon
    breakeven, net = None, None
    chances: tuple[tuple[float, float], ...] = ()
    if extra is not None and due.priced(costs):
        owed = costs.loss_per_wrong * gain.wrong + extra
        if costs.value_per_correct is not None:
            worth = _worth(gain, costs.value_per_correct, owed, extra)
            told = worth, horizon, extra, costs, gain.sure
            breakeven, net = _breakeven(*told), _net(*told)
        chances = _odds(gain, horizon, extra, costs)
    return Bill(
        challenger=challenger, rival=rival, parts=due.parts, tuning=sum(due.parts.values()), horizon=horizon,
        extra_per_query=extra, wrong=gain.wrong,
        wrong_se=gain.chance.wrong_se if gain.chance and costs.loss_per_wrong else None,
        odds=chances, breakeven=breakeven, net=net,
    )  # fmt: skip


def _worth(gain: Gain, value: float, owed: float, extra: float) -> list[float]:
    """Of a query, in money: at the lower bound, at what was seen, at the upper bound."""
    low, high = (value * each - owed for each in (gain.low, gain.high))
    if gain.worth:
        low, high = (value * each - extra for each in gain.worth)
    return [low, value * gain.point - owed, high]


def _breakeven(worth: list[float], horizon: float, extra: float, costs: Costs, sure: float) -> Breakeven:
    """Fieller's bounds of horizon / worth; `worth` of a query at the lower bound of the gain, the gain, the upper."""
    low, point, high = worth
    off, own = costs.uncertainty * horizon, costs.uncertainty * extra
    _, latest = fieller(horizon, point, (sure * off, math.hypot(point - low, sure * own)))
    soonest, _ = fieller(horizon, point, (off, math.hypot(high - point, own)))
    return Breakeven(point=_queries(horizon, point), low=_counted(soonest), high=_counted(latest))


def _net(worth: list[float], horizon: float, extra: float, costs: Costs, sure: float) -> Net | None:
    """Over the horizon's queries; errors of the gain, of the tuning and of the serving add as independent ones."""
    if costs.queries is None:
        return None
    low, point, high = (costs.queries * each - horizon for each in worth)
    off = costs.uncertainty * math.hypot(horizon, costs.queries * extra)
    lower, upper = math.hypot(point - low, sure * off), math.hypot(high - point, off)
    return Net(low=point - lower, point=point, high=point + upper)


def _odds(gain: Gain, horizon: float, extra: float, costs: Costs) -> tuple[tuple[float, float], ...]:
    """Against values from a tenth to ten times of the declared one, or of the one at which it pays exactly."""
    if costs.queries is None or gain.chance is None:
        return ()
    middle = costs.value_per_correct
    if middle is None:
        needed = (
            (horizon / costs.queries + extra + costs.loss_per_wrong * gain.wrong) / gain.point if gain.point else 0.0
        )
        middle = needed if needed > 0 else None
    if middle is None:
        return ()
    values = [middle * 10 ** (step / 10) for step in range(-10, 11)]
    chance = replace(gain.chance, wrong=gain.wrong, loss=costs.loss_per_wrong)
    told = odds(chance, horizon, extra, costs.queries, costs.uncertainty, values)
    return tuple(zip(values, told.tolist(), strict=True))


def _counted(needed: float | None) -> float | None:
    return needed if needed is not None and math.isfinite(needed) else None


def _queries(horizon: float, worth: float) -> float | None:
    """Never, where a query is worth nothing or less, or too little to be counted."""
    needed = horizon / worth if worth > 0 else math.inf
    return needed if math.isfinite(needed) else None
