"""Default prices, dated and with their source (`prices.yaml` beside this file): what a recipe takes that names a device
or a served model and gives no price of its own. What was taken is written into the recipe, so that a plan freezes it.

An exchange rate is never assumed: an offer in another currency than the recipe's needs `costs.exchange`.
"""

import datetime
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator

FROZEN = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
SHELF = Path(__file__).parent / "prices.yaml"


class Offer(BaseModel):
    """A price that somebody asked on a day."""

    model_config = FROZEN
    price: float = Field(ge=0, description="Of one `unit`; of an API a million written tokens, thought included")
    read: float | None = Field(None, ge=0, description="Of a million prompt tokens; APIs only")
    cached: float | None = Field(None, ge=0, description="Of those that the server had kept; none: as read")
    currency: str
    unit: Literal["device hour", "million tokens"]
    date: str = Field(pattern=r"^\d{4}(-\d\d(-\d\d)?)?$", description="When it was asked; a year where no day is known")
    source: str = Field(min_length=1, description="Who asked it")
    source_zh: str = Field("", description="The same in Chinese; empty in recipes kept before it was told")

    @field_validator("date", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> str:
        return str(value)

    def age(self, day: datetime.date) -> int:
        """Days until `day`, from the earliest day that its date may mean."""
        year, month, of_month = (*map(int, self.date.split("-")), 1, 1)[:3]
        return (day - datetime.date(year, month, of_month)).days


class Quote(Offer):
    """The offer that was taken, and what one unit of its currency was said to be worth in the recipe's."""

    name: str = Field(description="Its name on the shelf")
    rate: float = Field(1.0, gt=0, description="Of costs.exchange; 1 where the currencies are one")

    def told(self, price: float | None, named: str | None) -> "Quote":
        """Itself, where it says where this price is from. ValueError: it does not."""
        if price is None or not math.isclose(price, self.price * self.rate) or not named:
            raise ValueError("quote: is written where a default price is taken; leave it out")
        return self


class _Api(BaseModel):
    model_config = FROZEN
    host: str = Field("", description="Server at which the entry's name is the model's own")
    offers: tuple[Offer, ...] = Field(min_length=1)


class _Shelf(BaseModel):
    model_config = FROZEN
    devices: dict[str, tuple[Offer, ...]]
    apis: dict[str, _Api]


def shelf() -> _Shelf:
    """All default prices."""
    return _Shelf.model_validate(yaml.safe_load(SHELF.read_text("utf-8")))


def settled(raw: Any) -> Any:
    """A recipe's mapping with the default prices that it takes written in. ValueError: no such name, or no rate."""
    costs = raw.get("costs") if isinstance(raw, dict) else None
    if not isinstance(raw, dict) or not isinstance(costs, dict | None):
        return raw
    found = _device(costs or {})
    rooms = raw.get("contenders")
    if isinstance(rooms, dict):
        served = {name: _served(name, chosen, costs or {}) for name, chosen in rooms.items()}
        raw = {**raw, "contenders": served} if served != rooms else raw
    return {**raw, "costs": found} if found != (costs or {}) else raw


def _device(costs: dict[str, Any]) -> dict[str, Any]:
    named = costs.get("device")
    if not isinstance(named, str):  # the schema refuses it
        return costs
    offers, own = shelf().devices, costs.get("gpu_hour") is not None
    if named not in offers:
        remedy = "leave it out beside costs.gpu_hour" if own else "give costs.gpu_hour"
        raise ValueError(f"costs.device: no default price of {named}; there are {', '.join(offers)}; or {remedy}")
    if own:
        return costs
    quote = _quote(f"costs.device: {named}", named, offers[named], costs, "costs.gpu_hour")
    return {**costs, "gpu_hour": quote.price * quote.rate, "quote": quote.model_dump()}


def _served(name: str, chosen: Any, costs: dict[str, Any]) -> Any:
    engine = chosen.get("engine") if isinstance(chosen, dict) else None
    if not isinstance(engine, dict):
        return chosen
    apis, tariff = shelf().apis, engine.get("tariff")
    own = any(engine.get(key) is not None for key in ("price_in", "price_out"))
    where = f"contenders.{name}.engine.tariff"
    if tariff is None and not own:
        tariff = next((each for each, api in apis.items() if _is(engine, each, api)), None)
    if not isinstance(tariff, str):
        return chosen
    if tariff not in apis:
        remedy = "leave it out beside prices of your own" if own else "give price_in and price_out"
        raise ValueError(f"{where}: {tariff} is unknown; there are {', '.join(apis)}; or {remedy}")
    if own:
        return chosen
    quote = _quote(f"{where}: {tariff}", tariff, apis[tariff].offers, costs, "price_in and price_out")
    prices = {"price_in": (quote.read or 0) * quote.rate, "price_out": quote.price * quote.rate}
    if quote.cached is not None and engine.get("price_cached") is None:
        prices["price_cached"] = quote.cached * quote.rate
    return {**chosen, "engine": {**engine, **prices, "quote": quote.model_dump()}}


def _is(engine: Mapping[str, Any], name: str, api: _Api) -> bool:
    """Whether the server is the one at which this name is the model's own."""
    try:
        return bool(api.host) and urlsplit(str(engine.get("url"))).hostname == api.host and engine.get("model") == name
    except ValueError:
        return False


def _quote(where: str, name: str, offers: Sequence[Offer], costs: Mapping[str, Any], own: str) -> Quote:
    """The offer in the recipe's currency, or the first one at the rate that the recipe declares."""
    wanted = costs.get("currency", "CNY")
    offer = next((each for each in offers if each.currency == wanted), offers[0])
    if offer.currency == wanted:
        return Quote(**offer.model_dump(), name=name)
    rates = costs.get("exchange")
    rate = rates.get(offer.currency) if isinstance(rates, Mapping) else None
    try:
        rate = float(rate)  # type: ignore[arg-type]  # what is no number is refused by the next line
    except (TypeError, ValueError):
        rate = 0.0
    if not 0 < rate < 1e9:
        raise ValueError(
            f"{where} is priced in {offer.currency} ({offer.price:g} a {offer.unit}, {offer.source}, {offer.date}) and "
            f"costs.currency is {wanted}: give costs.exchange: {{{offer.currency}: {wanted} for one}}, or {own}"
        )
    return Quote(**offer.model_dump(), name=name, rate=rate)
