"""The rule (decision.md 5.4 and 5.8) on numbers: Holm over challengers, every rival to be beaten, costs to be paid.

Worth it is an intersection-union claim over rivals (incumbent and alternatives), guards and, where prices stand, the
net benefit, so each is tested without correction; several challengers are several claims, so Holm corrects them, each
by its worst p over all of these: a challenger that harms or does not pay is as false a call as one that gains nothing.
"None is worth it" needs no correction either.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict

from eval.money import Bill
from eval.pairing import Estimated
from eval.significance import holm
from eval.signs import minus
from eval.signs import points as signed

FROZEN = ConfigDict(frozen=True, extra="forbid")
Call = Literal["worth_it", "not_worth_it", "inconclusive"]
Code = Literal[
    "above", "pays", "harmful", "equivalent", "not_enough", "below_margin", "too_dear", "unresolved",
    "price_unresolved", "forgets", "loses_language", "loosens", "guard_unresolved",
]  # fmt: skip

GUARDS: tuple[Code, ...] = ("forgets", "loses_language", "loosens", "guard_unresolved")


class Contrasted(Protocol):
    """What the rule asks of a contrast."""

    @property
    def challenger(self) -> str: ...
    @property
    def incumbent(self) -> str: ...
    @property
    def gain(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def margin(self) -> float: ...


class Guarded(Protocol):
    """What the rule asks of a guard."""

    @property
    def status(self) -> str: ...
    @property
    def reason(self) -> "Reason": ...


class Tested(Protocol):
    """What Holm asks of a guard."""

    @property
    def p(self) -> float: ...


class Reason(BaseModel):
    """Why a challenger was ruled so, against one rival."""

    model_config = FROZEN
    code: Code
    rival: str
    text: str
    text_zh: str


class Ruling(BaseModel):
    """What the rule says of one challenger, before gates. `lows` are the bounds that Holm tests, by rival."""

    model_config = FROZEN
    challenger: str
    call: Call
    reasons: tuple[Reason, ...]
    low: float  # the smallest of `lows`
    lows: dict[str, float]
    holm_p: float  # two-sided, for a gain at the margin or a harm at its limit; at most 1 - confidence where `rejected`
    rejected: bool  # the truth lies above the margin against every rival, it pays where priced, and harms no guard


@dataclass(frozen=True)
class Standing:
    """Where Holm leaves one challenger."""

    lows: dict[str, float]
    holm_p: float
    rejected: bool
    level: float  # one-sided error of `lows`, and of its guards' lower ends


def stand(
    contests: Mapping[str, Sequence[Estimated]], confidence: float, margin: float,
    guards: Mapping[str, Sequence[Tested]], unpaid: Mapping[str, Sequence[float]],
) -> dict[str, Standing]:  # fmt: skip
    """Holm over challengers, each with its worst p over rivals, guards and what is `unpaid` (p of a net benefit at or
    below 0, by challenger); bounds are taken at Holm's own levels."""
    alpha = (1 - confidence) / 2
    gains = {name: [pair.estimate(level=alpha, margin=margin).p for pair in pairs] for name, pairs in contests.items()}
    worst = [max([0.0, *found, *(each.p for each in guards[name]), *unpaid[name]]) for name, found in gains.items()]
    found = {}
    for (name, pairs), step in zip(contests.items(), holm(worst, alpha), strict=True):
        lows = {p.incumbent.name: max(-1.0, p.estimate(level=step.level, margin=margin).low) for p in pairs}
        found[name] = Standing(lows, min(1.0, 2 * step.adjusted_p), step.rejected, step.level)
    return found


def rule(
    standing: Standing,
    contests: Sequence[Contrasted],
    bills: Sequence[Bill],
    currency: str,
    guards: Sequence[Guarded] = (),
) -> Ruling:
    """Apply the rule to one challenger's comparisons (incumbent first, then alternatives), their bills, its guards."""
    margin, nets = contests[0].margin, [(bill, bill.net) for bill in bills if bill.net is not None]
    against = [_against(c, standing, margin) for c in contests if c.high < margin]
    against += [_dear(bill, currency) for bill, net in nets if net.high < 0]
    against += [each.reason for each in guards if each.status == "failed"]
    open_guards = [each.reason for each in guards if each.status == "unresolved"]
    beaten = standing.rejected and all(low > margin for low in standing.lows.values())
    call: Call = "inconclusive"
    if against:
        call, reasons = "not_worth_it", against
    elif beaten and all(net.low > 0 for _, net in nets) and not open_guards:
        call, reasons = "worth_it", [_above(c, standing) for c in contests]
        reasons += [_pays(bill, currency) for bill, _ in nets]
    else:
        reasons = [_open(c, standing, margin) for c in contests if not beaten and standing.lows[c.incumbent] <= margin]
        reasons += [_price_open(bill, currency) for bill, net in nets if net.low <= 0]
        reasons += open_guards
    return Ruling(
        challenger=contests[0].challenger, call=call, reasons=tuple(reasons), low=min(standing.lows.values()),
        lows=standing.lows, holm_p=standing.holm_p, rejected=standing.rejected,
    )  # fmt: skip


def overall(rulings: Sequence[Ruling]) -> Call:
    """One worth it is enough; not worth it needs all."""
    calls = {ruling.call for ruling in rulings}
    if "worth_it" in calls:
        return "worth_it"
    return "not_worth_it" if calls == {"not_worth_it"} else "inconclusive"


def headline(rulings: Sequence[Ruling], call: Call) -> Ruling:
    """The challenger that the verdict speaks of: of those ruled so, the one with the highest bound."""
    return max((r for r in rulings if r.call == call), key=lambda r: r.low)


def decisive(ruling: Ruling, incumbent: str) -> str:
    """The rival on whom a ruling turns: of one that is worth it the one most narrowly beaten, else the one of the first
    reason; the incumbent where guards alone decide."""
    if ruling.call == "worth_it":
        return min(ruling.lows, key=lambda name: ruling.lows[name])
    return next((reason.rival for reason in ruling.reasons if reason.code not in GUARDS), incumbent)


def points(value: float) -> str:
    """A share as points, as prose says it: without a plus."""
    return signed(value, signed=False)


def amount(value: float, currency: str) -> str:
    """Whole units from a hundred on; below it three digits, so that a small sum is not nothing."""
    digits = max(0, 2 - math.floor(math.log10(abs(value)))) if 0 < abs(value) < 100 else 0
    text = f"{value:,.{min(digits, 9)}f}"
    return f"{minus(text.rstrip('0').rstrip('.') if digits else text)} {currency}"


def _against(found: Contrasted, standing: Standing, margin: float) -> Reason:
    """By the bounds of the rule: the lower end is the one that Holm tests."""
    who, rival, bound = found.challenger, found.incumbent, standing.lows[found.incumbent]
    high, low = points(found.high), points(bound)
    code: Code = "harmful" if found.high < 0 else "not_enough" if bound > 0 else "below_margin"
    if code == "below_margin" and bound > -margin:
        code = "equivalent"
    en, zh = {
        "harmful": (f"{who} is worse than {rival}, by at least {points(-found.high)} points",
                    f"{who} 不如 {rival}，至少差 {points(-found.high)} 个百分点"),
        "not_enough": (f"{who} is better than {rival}, but by at most {high} points and not by the margin",
                       f"{who} 优于 {rival}，但至多高 {high} 个百分点，达不到门槛"),
        "equivalent": (f"{who} and {rival} are equivalent: {low} to {high} points, within the margin either way",
                       f"{who} 与 {rival} 相当：差距在 {low} 至 {high} 个百分点之间，未出门槛"),
        "below_margin": (f"{who} gains at most {high} points over {rival}, less than the margin",
                         f"{who} 比 {rival} 至多高 {high} 个百分点，低于门槛"),
    }[code]  # fmt: skip
    return Reason(code=code, rival=rival, text=en, text_zh=zh)


def _dear(bill: Bill, currency: str) -> Reason:
    most = amount(bill.net.high, currency) if bill.net else ""
    return Reason(
        code="too_dear", rival=bill.rival,
        text=f"{bill.challenger} is too dear: its net benefit over {bill.rival} is at most {most}",
        text_zh=f"{bill.challenger} 太贵：相对 {bill.rival} 的净收益至多 {most}",
    )  # fmt: skip


def _above(found: Contrasted, standing: Standing) -> Reason:
    who, rival, bound = found.challenger, found.incumbent, standing.lows[found.incumbent]
    low = points(bound)
    text, text_zh = (
        (f"{who} gains at least {low} points over {rival}, more than the margin",
         f"{who} 比 {rival} 至少高 {low} 个百分点，超过门槛")
        if bound > 0 else borne(who, rival, bound)
    )  # fmt: skip
    return Reason(code="above", rival=rival, text=text, text_zh=text_zh)


def borne(who: str, rival: str, low: float) -> tuple[str, str]:
    """Of a lower bound above a margin that is below 0 itself: no gain is shown, and none is needed."""
    least = points(-low)
    return (f"{who} loses at most {least} points to {rival}, which the margin bears",
            f"{who} 至多比 {rival} 低 {least} 个百分点，在门槛容许之内")  # fmt: skip


def _pays(bill: Bill, currency: str) -> Reason:
    least = amount(bill.net.low, currency) if bill.net else ""
    return Reason(
        code="pays", rival=bill.rival, text=f"its net benefit over {bill.rival} is at least {least}",
        text_zh=f"相对 {bill.rival} 的净收益至少 {least}",
    )  # fmt: skip


def _open(found: Contrasted, standing: Standing, margin: float) -> Reason:
    low, high = points(standing.lows[found.incumbent]), points(found.high)
    who, rival = found.challenger, found.incumbent
    return Reason(
        code="unresolved", rival=rival,
        text=f"{who} against {rival} lies between {low} and {high} points, which holds the margin of {points(margin)}",
        text_zh=f"{who} 对 {rival} 在 {low} 至 {high} 个百分点之间，门槛 {points(margin)} 落在其中",
    )  # fmt: skip


def _price_open(bill: Bill, currency: str) -> Reason:
    low, high = (amount(v, currency) for v in ((bill.net.low, bill.net.high) if bill.net else (0.0, 0.0)))
    return Reason(
        code="price_unresolved", rival=bill.rival,
        text=f"the net benefit of {bill.challenger} over {bill.rival} lies between {low} and {high}",
        text_zh=f"{bill.challenger} 相对 {bill.rival} 的净收益在 {low} 至 {high} 之间",
    )  # fmt: skip
