"""Which default prices a recipe took, how old they were when it was promised, and in what currency they were asked."""

import re
from collections.abc import Collection
from datetime import UTC, date, datetime

from pydantic import BaseModel, ConfigDict, Field

from finetune import plan
from finetune.recipe import Recipe
from finetune.recipe.prices import Quote

STALE = 90  # days: a price moves by a third in a year, so in a quarter by a tenth


class Taken(BaseModel):
    """One default price, for whom it was taken and where it is from."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    contender: str | None = Field(description="None: the device hour, of all that is run here")
    quote: Quote
    age: int | None = Field(description="Days from its date to the plan; None where no plan stands")
    stale: bool = Field(description="Older than 90 days: look it up again")
    ran: str = Field("", description="Device whose seconds are priced, where it is another than the one that is named")


def taken(recipe: Recipe, at: float | None, devices: Collection[str] = ()) -> tuple[Taken, ...]:
    """All that a recipe took; `at` is when it was promised, seconds since the epoch, `devices` are those that ran."""
    day = datetime.fromtimestamp(at, UTC).date() if at else None
    quotes: list[tuple[str | None, Quote | None]] = [(None, recipe.costs.quote)]
    quotes += [(name, chosen.served.quote) for name, chosen in recipe.contenders.items() if chosen.served]
    return tuple(
        _taken(name, quote, day, "" if name else _others(quote.name, devices)) for name, quote in quotes if quote
    )


def runs_on(named: str, device: str) -> bool:
    """Whether a device is the one of this name: by what drivers call it where the shelf of devices knows that, so that
    `a100-40g` is no A100 of 80 GB; else by the chip: `b200` is an "NVIDIA B200", no "NVIDIA GB200" and no cpu."""
    shelved, found = plan.shelf().get(named), plan.known(device)
    if found or (shelved and shelved.drivers):
        return found == shelved
    chip = r"(?<![a-z0-9])" + r"\s*".join(map(re.escape, named.split("-")[0])) + r"(?![0-9])"
    return re.search(chip, device.lower()) is not None


def _others(named: str, devices: Collection[str]) -> str:
    """Devices that are not the one of this name on the shelf."""
    return ", ".join(sorted({each for each in devices if not runs_on(named, each)}))


def _taken(name: str | None, quote: Quote, day: date | None, ran: str) -> Taken:
    age = quote.age(day) if day else None
    return Taken(contender=name, quote=quote, age=age, stale=age is not None and age > STALE, ran=ran)


def said(each: Taken, currency: str) -> tuple[str, str]:
    """In words: what was taken, at which rate, from whom, of when."""
    quote = each.quote
    who, who_zh = (f" of {each.contender}", f"{each.contender} 的") if each.contender else ("", "")
    amount = f"{quote.price:g} {quote.currency}"
    if quote.read is not None:
        amount = f"{quote.read:g} / {amount}"
    rate = f", at {quote.rate:g} {currency} for one {quote.currency}" if quote.currency != currency else ""
    rate_zh = f"，按 1 {quote.currency} = {quote.rate:g} {currency}" if rate else ""
    most, most_zh = ("", "已过") if len(quote.date) == len("2026-01-01") else ("up to ", "最多已过")  # of no day
    old = f", {most}{each.age} days old: look it up again" if each.stale else ""
    old_zh = f"，{most_zh} {each.age} 天，请重新查价" if each.stale else ""
    ran, ran_zh = (
        (f" Its seconds are another device's: {each.ran}.", f"计时来自另一设备：{each.ran}。") if each.ran else ("", "")
    )
    units = {"device hour": ("a device hour", "每设备小时"),
             "million tokens": ("a million tokens read / written", "每百万词元（读入/输出）")}  # fmt: skip
    unit, unit_zh = units[quote.unit]
    return (
        f"Default price{who}: {quote.name}, {amount} {unit}{rate} ({quote.source}; {quote.date}{old}).{ran}",
        f"{who_zh}默认价格：{quote.name}，{unit_zh} {amount}{rate_zh}"
        f"（{quote.source_zh or quote.source}；{quote.date}{old_zh}）。{ran_zh}",
    )
