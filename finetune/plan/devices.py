"""Devices by name: memory and peaks of the vendor's data sheet (`devices.yaml` beside this file), and the dated default
price of an hour, from the shelf of prices that recipes take theirs from."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from finetune.mistakes import BadInput, explain
from finetune.recipe import prices

FROZEN = ConfigDict(frozen=True, extra="forbid")
SHELF = Path(__file__).parent / "devices.yaml"


class Price(BaseModel):
    """Of one device hour. A recipe's `costs.gpu_hour` goes before it."""

    model_config = FROZEN
    hour: float = Field(gt=0, description="Price of one device hour, in `currency`")
    currency: str
    source: str = Field(description="Who asked it")
    date: str = Field(description="When: prices move by a third in a year")

    @field_validator("date", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> str:
        return str(value)


class Device(BaseModel):
    """One kind of accelerator."""

    model_config = FROZEN
    name: str
    memory_gib: float = Field(gt=0, description="As the driver shows it; decides what fits")
    tflops: float | None = Field(None, gt=0, description="Dense bfloat16 peak; tuning time falls with it")
    bandwidth: float | None = Field(None, gt=0, description="Memory, GB/s; the time of written answers falls with it")
    drivers: tuple[str, ...] = Field((), description="What drivers call it: by these a run knows that it is on one")
    price: Price | None = Field(None, description="None: only hours are planned, unless the recipe has costs.gpu_hour")


def shelf() -> dict[str, Device]:
    """All devices of the shelf by name."""
    found, asked = yaml.safe_load(SHELF.read_text("utf-8")), prices.shelf().devices
    return {name: Device.model_validate({**raw, "price": _price(asked.get(name, ()))}) for name, raw in found.items()}


def _price(offers: Sequence[prices.Offer]) -> Price | None:
    """The first offer, in the currency in which it was asked."""
    first = offers[0] if offers else None
    return Price(hour=first.price, currency=first.currency, source=first.source, date=first.date) if first else None


def known(driver: str) -> Device | None:
    """The device of the shelf that a driver calls so, if one is."""
    return next((device for device in shelf().values() if driver in device.drivers), None)


def find(named: str) -> Device:
    """A device of the shelf, or of a YAML file with the keys of one. BadInput: neither."""
    known = shelf()
    if named in known:
        return known[named]
    path = Path(named)
    if path.suffix not in (".yaml", ".yml"):
        raise BadInput(f"--device {named}: unknown; known are {', '.join(known)}, or a YAML file with the keys of one")
    try:
        return Device.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except FileNotFoundError:
        raise BadInput(f"--device {named}: no such file") from None
    except yaml.YAMLError as fault:
        raise BadInput(f"{path}: no YAML: {str(fault).partition(chr(10))[0]}") from None
    except ValidationError as fault:
        raise BadInput(explain(fault, Device, str(path))) from None
