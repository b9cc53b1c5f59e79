"""The hours in which training may have the machine, such as one beside an exchange that trades by day."""

import re
from datetime import datetime, time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _clock(value: Any) -> Any:
    """A time of day. YAML reads 15:30 without quotes as the number 930, which would be another time."""
    if isinstance(value, str) and re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
        return time.fromisoformat(value)
    if isinstance(value, time):
        return value
    raise ValueError(f'{value} is no time of day; write hours and minutes in quotes, "09:00"')


ClockTime = Annotated[time, BeforeValidator(_clock)]


class Window(BaseModel):
    """Open from `from` to `to` on each of `days`, and all day long on the other days.

    `{from: "15:30", to: "09:00", days: mon-fri}` is closed from 09:00 to 15:30, Monday to Friday, and open at every
    other time: from Friday 15:30 on through the weekend until Monday 09:00. Holidays are not known to it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)
    opens: ClockTime = Field(alias="from", description='Training may run from this time of day on, "15:30" (in quotes)')
    closes: ClockTime = Field(
        alias="to",
        description='It ends at this time, "09:00". The step at hand is finished and saved first: leave room for that. '
        "Earlier than `from`: the window passes midnight",
    )
    days: str = Field(
        "mon-sun",
        description="Days on which these hours hold: mon-fri, or mon,wed,sat; on other days it is open all day",
    )
    tz: str = Field(description="Time zone of the hours, as Asia/Shanghai")

    @field_validator("days")
    @classmethod
    def _days_are_known(cls, value: str) -> str:
        weekdays(value)
        return value

    @field_validator("tz")
    @classmethod
    def _zone_is_known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(
                f"{value} is no known time zone; name one as Asia/Shanghai (`pip install tzdata`)"
            ) from None
        return value

    @model_validator(mode="after")
    def _is_a_span(self) -> "Window":
        if self.opens == self.closes:
            raise ValueError("from and to are the same time; leave the window out to train at any time")
        return self

    def open(self, moment: datetime) -> bool:
        """Whether training may run at a moment (aware of its zone)."""
        local = moment.astimezone(ZoneInfo(self.tz))
        if local.weekday() not in weekdays(self.days):
            return True
        now = local.time()
        if self.opens < self.closes:
            return self.opens <= now < self.closes
        return now >= self.opens or now < self.closes

    def next(self, moment: datetime) -> datetime:
        """The first moment after a closed one at which it is open, in the window's own zone."""
        local = moment.astimezone(ZoneInfo(self.tz))
        days = (local.date() + timedelta(days=ahead) for ahead in range(9))
        edges = (datetime.combine(day, edge, local.tzinfo) for day in days for edge in (time.min, self.opens))
        return next(edge for edge in edges if edge > local and self.open(edge))

    def __str__(self) -> str:
        return f"{self.opens:%H:%M} to {self.closes:%H:%M}, {self.days}, {self.tz}"


def weekdays(text: str) -> frozenset[int]:
    """`mon-fri`, `sat,sun` or `fri-mon` as numbers, Monday 0."""
    found: set[int] = set()
    for part in text.lower().replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise ValueError(f"{part or 'nothing'} is no day; write {', '.join(DAYS)}, or a span as mon-fri")
        start, end = DAYS.index(first), DAYS.index(last or first)
        found |= {day % 7 for day in range(start, end + 1 + 7 * (end < start))}
    return frozenset(found)
