"""Tipping points: the nearest margin, worth of a right answer, number of queries and shift of answers at which the rule
says another word (decision.md 5.12).

Nothing here knows the rule. It is applied again, with one thing altered, and halving finds where its word turns; so a
point holds for prices and their uncertainty, losses, several rivals, guards and Holm alike. What is printed is rounded
away from what was declared: at the printed number the word has turned, one printed unit nearer it has not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from eval.money import Bill
from eval.verdict.ruling import GUARDS, Call, Reason, Ruling, headline, overall
from eval.verdict.wording import Words
from finetune.recipe import Costs

What = Literal["margin", "answers", "value", "queries"]
SAID: dict[Call, Words] = {
    "worth_it": ("worth it", "值得"), "not_worth_it": ("not worth it", "不值得"),
    "inconclusive": ("inconclusive", "尚无定论"),
}  # fmt: skip
NAMED: dict[What, Words] = {
    "margin": ("margin", "门槛"), "answers": ("number of answers, graded the other way,", "改判的答案"),
    "value": ("worth of a right answer", "答对的价值"), "queries": ("number of queries", "查询量"),
}  # fmt: skip
PARTS: dict[str, Words] = {"gain": ("gain", "增益"), "costs": ("costs", "成本"), "guards": ("guards", "护栏")}
PRICE = ("too_dear", "price_unresolved")
MOST = 10**15  # queries: as good as without end
STEPS = [1.25**k for k in range(1, 11)] + [10 * 4.0**k for k in range(14)]  # of a worth, to a thousand million times
COARSE = [4.0**k for k in range(1, 11)]  # where a wrong answer costs, so that each step is an estimate of its own


class Tipping(BaseModel):
    """Where the rule's word would turn, all else as it is: a margin, a shift of answers, a value of one right answer, a
    number of queries."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    what: What
    at: float | None = Field(description="None: nowhere. Of answers the share that is right instead of wrong")
    call: Call | None = Field(None, description="The rule's word there")
    text: str
    text_zh: str


@dataclass(frozen=True)
class Terms:
    """What the rule takes as given beside the answers; `shift`: how many more of them are right instead of wrong."""

    margin: float
    costs: Costs
    shift: float = 0.0


Again = Callable[[Terms], Sequence[Ruling]]


@dataclass(frozen=True)
class Lever:
    """One thing that is altered, from the declared number outward on `ways`; at `best` what else decides shows."""

    what: What
    declared: float
    ways: tuple[Sequence[float], ...]
    best: tuple[float, ...]
    middle: Callable[[float, float], float]
    ruled: Callable[[float], Sequence[Ruling]]

    def word(self, at: float) -> Call:
        return overall(self.ruled(at))


def tipping(again: Again, terms: Terms, bills: Sequence[Bill]) -> Iterator[Tipping]:
    """Every lever's nearest points, or why it has none; `bills` are the verdict's own."""
    call = overall(again(terms))
    for lever in _levers(again, terms, any(bill.breakeven for bill in bills)):
        if lever.word(lever.declared) != call:
            yield _unkept(lever, call)
            continue
        turns = [turn for way in lever.ways for turn in _turn(lever, call, way)]
        for near, far in turns:
            yield _told(lever, near, far, terms.costs.currency, _whose(bills))
        if not turns:
            yield _nowhere(lever, call, terms.costs, bills)


def _levers(again: Again, terms: Terms, priced: bool) -> Iterator[Lever]:
    margin, costs = terms.margin, terms.costs

    def paying(**change: float) -> Sequence[Ruling]:
        return again(Terms(margin, costs.model_copy(update=change)))

    yield Lever("margin", margin, ((-1.0,), (1.0,)), (-1.0,), _between, lambda at: again(Terms(at, costs)))
    yield Lever("answers", 0.0, ((-1.0,), (1.0,)), (1.0,), _between, lambda at: again(Terms(margin, costs, at)))
    value, queries = costs.value_per_correct, costs.queries
    if not priced or value is None:
        return
    if queries is not None:
        steps = COARSE if costs.loss_per_wrong else STEPS
        ways = [value / step for step in steps], [value * step for step in steps]
        ends = ways[0][-1], ways[1][-1]
        yield Lever("value", value, ways, ends, _scaled, lambda at: paying(value_per_correct=at))
    most = max(MOST, queries or 0)
    yield Lever("queries", queries or most, ((1,), (most,)), (most,), _whole, lambda at: paying(queries=int(at)))


def _turn(lever: Lever, call: Call, way: Sequence[float]) -> Iterator[tuple[float, float]]:
    """The last point with the declared word on one way, and the first with another beside it."""
    near = lever.declared
    for far in way:
        if lever.word(far) == call:
            near = far
            continue
        while (middle := lever.middle(near, far)) not in (near, far):
            near, far = (middle, far) if lever.word(middle) == call else (near, middle)
        yield near, far
        return


def _between(near: float, far: float) -> float:
    return (near + far) / 2 if abs(far - near) > 1e-7 else far


def _scaled(near: float, far: float) -> float:
    return math.sqrt(near * far) if abs(far / near - 1) > 1e-6 else far


def _whole(near: float, far: float) -> float:
    """By ratio where they lie far apart, else by half; one of the two where no whole number lies between."""
    middle = math.isqrt(int(near) * int(far))
    return middle if middle not in (near, far) else (int(near) + int(far)) // 2


def _told(lever: Lever, near: float, far: float, currency: str, whose: tuple[Words, Words]) -> Tipping:
    at, places = _printed(lever, near, far)
    (en, zh), (into, into_zh) = _said(lever.what, at, places, currency, whose), SAID[lever.word(at)]
    return Tipping(
        what=lever.what, at=far, call=lever.word(far), text=f"{en} it turns “{into}”.",
        text_zh=f"{zh}，转为“{into_zh}”。",
    )  # fmt: skip


def _printed(lever: Lever, near: float, far: float) -> tuple[float, int]:
    """The first number behind `near` that can be printed, and its decimals: more of them where a coarser one would lie
    beyond the next turn."""
    call, there, way = lever.word(near), lever.word(far), 1 if far > near else -1
    at, places = far, 0
    for finer in range(5 if lever.what != "queries" else 1):
        places = _places(lever.what, near) + finer
        last = way * math.floor(way * near * 10.0**places)
        for behind in (1, 2):  # the first may still lie between near and far
            at = round((last + way * behind) / 10.0**places, max(0, places))
            if (word := lever.word(at)) != call:
                break
        if word == there:
            break
    return at, places


def _places(what: What, near: float) -> int:
    """Decimals to begin with: tenths of a point, three digits of a sum, whole queries."""
    return {"queries": 0, "value": 2 - math.floor(math.log10(near)) if near > 0 else 0}.get(what, 3)


def _said(what: What, at: float, places: int, currency: str, whose: tuple[Words, Words]) -> Words:
    if what == "queries":
        return f"At {at:,.0f} queries", f"查询量为 {at:,.0f} 时"
    if what == "value":
        sum_ = f"{at:,.{max(0, places)}f} {currency}"
        return f"Where a right answer is worth {sum_}", f"每答对一题值 {sum_} 时"
    points = f"{abs(100 * at):.{places - 2}f}"
    if what == "margin":
        signed = f"{'−' if at < 0 else ''}{points}"
        return f"At a margin of {signed} points", f"门槛为 {signed} 个百分点时"
    ways = ("right instead of wrong", "由错改对") if at > 0 else ("wrong instead of right", "由对改错")
    (who, more), (who_zh, more_zh) = whose
    return f"With {points} points more{more} of {who} answers {ways[0]}", (
        f"若{who_zh}再有 {points} 个百分点{more_zh}的答案{ways[1]}"
    )


def _whose(bills: Sequence[Bill]) -> tuple[Words, Words]:
    """Whose answers, and what to add where not all may have as many to give."""
    names = list(dict.fromkeys(bill.challenger for bill in bills))
    if len(names) == 1:
        return (f"{names[0]}'s", ""), (f" {names[0]} ", "")
    return ("every challenger's", " (or all)"), ("各挑战者均", "（或全部）")


def _unkept(lever: Lever, call: Call) -> Tipping:
    """Of a number that nobody declared, so that the rule does not ask for it: even the best would turn the word."""
    (named, zh), (said, said_zh) = NAMED[lever.what], SAID[call]
    return Tipping(
        what=lever.what, at=None, text=f"Were a {named} declared, whichever, it would not be “{said}”.",
        text_zh=f"若声明了{zh}，无论多少，都不会是“{said_zh}”。",
    )  # fmt: skip


def _nowhere(lever: Lever, call: Call, costs: Costs, bills: Sequence[Bill]) -> Tipping:
    ends = [_decide(lever.ruled(at)) for at in lever.best]
    why = _alone(set.intersection(*ends) or set.union(*ends)) if call != "worth_it" else ("", "")
    if call == "worth_it" and lever.what == "value":
        why = _pays(headline(lever.ruled(lever.best[0]), call).challenger, costs, bills)
    named, zh = NAMED[lever.what]
    return Tipping(
        what=lever.what, at=None, text=f"No {named} turns it{why[0]}.", text_zh=f"{zh}无论多少，结论都不变{why[1]}。"
    )


def _pays(lead: str, costs: Costs, bills: Sequence[Bill]) -> Words:
    """Why it pays however little a right answer is worth."""
    extra = [bill.horizon + (costs.queries or 0) * (bill.extra_per_query or 0.0)
             for bill in bills if bill.challenger == lead]  # fmt: skip
    if all(each < 0 for each in extra):
        return f": {lead} is cheaper to serve, and that pays for its tuning", f"：{lead} 服务成本更低，足以抵偿微调"
    return f": what {lead} spares in wrong answers pays for it", f"：{lead} 少答错的部分足以抵偿成本"


def _decide(rulings: Sequence[Ruling]) -> set[str]:
    return {_part(reason) for ruling in rulings for reason in ruling.reasons}


def _part(reason: Reason) -> str:
    return "costs" if reason.code in PRICE else "guards" if reason.code in GUARDS else "gain"


def _alone(parts: set[str]) -> Words:
    names = [words for name, words in PARTS.items() if name in parts]
    en, zh = " and ".join(name for name, _ in names), "与".join(name for _, name in names)
    if len(names) > 1:
        return f": {en} decide", f"：由{zh}决定"
    return f": the {en} alone decide{'s' if en == 'gain' else ''}", f"：只由{zh}决定"
