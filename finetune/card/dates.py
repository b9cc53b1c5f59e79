"""Dates: when the source of an item became public, as far as a card tells.

A year or a month is an interval: whether an item is younger than a model is then told by its ends, and where a model's
date falls between them it is not told at all. Nothing is guessed: what a card does not date has no date.
"""

import calendar
import re
from datetime import date, timedelta
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from finetune.card.records import BadCard, Record

FROZEN = ConfigDict(frozen=True, extra="forbid")
FORMS = (  # year, month, day; what follows a T or a blank is the time of day
    r"(\d{4})年?",
    r"(\d{4})[-/.年](\d{1,2})月?",
    r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?(?:[T ].*)?",
    r"(\d{4})(\d{2})(\d{2})",
)
EARLIEST, LATEST = 1900, 2100  # other years are numbers of something else
KNOWN = "write 2024, 2024-03, 2024-03-05, 20240305 or 2024年3月5日"


class Interval(BaseModel):
    """Days, both ends counted; one day where the day is known."""

    model_config = FROZEN
    first: date
    last: date

    @classmethod
    def read(cls, text: str) -> Self:
        """A year, a month or a day, as it is written. ValueError: it is none."""
        match = next(filter(None, (re.fullmatch(form, text.strip(), re.DOTALL) for form in FORMS)), None)
        if match is None:
            raise ValueError(f"{text[:40]!r} is no date; {KNOWN}")
        year, *rest = map(int, match.groups())
        if not EARLIEST <= year <= LATEST:
            raise ValueError(f"{text[:40]!r} is of no year from {EARLIEST} to {LATEST}; {KNOWN}")
        try:
            first = date(year, rest[0] if rest else 1, rest[1] if len(rest) == 2 else 1)
        except ValueError as fault:
            raise ValueError(f"{text[:40]!r} is no date ({fault}); {KNOWN}") from None
        month = first.month if rest else 12
        day = first.day if len(rest) == 2 else calendar.monthrange(year, month)[1]
        return cls(first=first, last=date(year, month, day))


class Dates(BaseModel):
    """Where a card has the date of each item: one for all, a column, or the path of the file."""

    model_config = FROZEN
    every: str = Field("", description="The same for all items: such as the day on which the questions were written")
    column: str = Field(
        "", description="Column that holds it, a.b being b of a; where it is blank, the item is undated"
    )
    pattern: str = Field(
        "",
        description="Regular expression whose first group is the date, inside the column, else inside the file's path; "
        "where it does not fit, the item is undated",
    )
    later: int = Field(
        0,
        ge=0,
        le=3660,
        description="Days by which the source may have become public after that date: 365 for annual reports that are "
        "named by their year. More makes fewer items surely older than a model, and none younger",
    )

    @field_validator("every", "column", mode="before")
    @classmethod
    def _text(cls, value: Any) -> Any:
        """YAML makes numbers and dates of them."""
        return str(value) if isinstance(value, int | date) else value

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.every and (self.column or self.pattern):
            raise ValueError("every is the date of all items; leave column and pattern out, or every")
        if not (self.every or self.column or self.pattern):
            raise ValueError("say where the dates are: every, column or pattern")
        if self.every:
            Interval.read(self.every)
        need_group(self.pattern, "date")
        return self

    def of(self, record: Record, place: str, file: str) -> Interval | None:
        """When the source of a record became public; None: not told. BadCard: no such column, or no date in it."""
        text = self.every or self._written(record, place, file)
        if not text:
            return None
        try:
            found = Interval.read(text)
        except ValueError as fault:
            raise BadCard(f"{place}: dates: {fault}, or correct the card's dates") from None
        return Interval(first=found.first, last=found.last + timedelta(days=self.later))

    def _written(self, record: Record, place: str, file: str) -> str:
        """The text of the date, empty where there is none."""
        text = file.rpartition(".")[0]
        if self.column:
            value = value_of(record, self.column, place)
            text = "" if value is None else str(value).strip()
        if not self.pattern:
            return text
        match = re.search(self.pattern, text)
        return (match[1] or "") if match else ""


def need_group(pattern: str, sought: str) -> None:
    """ValueError: a pattern is given that is no regular expression, or has no group to find what is sought."""
    try:
        if pattern and not re.compile(pattern).groups:
            raise ValueError(f"pattern: {pattern!r} has no group; put the {sought} between ( and )")
    except re.error as fault:
        raise ValueError(f"pattern: {pattern!r} is no regular expression ({fault})") from None


def value_of(record: Record, name: str, place: str, asked: str = "dates") -> Any:
    """Of a column; of a key inside one, None where it is not there. BadCard: no such column (`asked`: card's key)."""
    outer, dot, inner = name.partition(".")
    known = ", ".join(map(str, record))
    if name in record or not dot:
        if name not in record:
            raise BadCard(f"{place}: {asked}: no column {name!r}; there are {known}; correct {asked}")
        return record[name]
    if outer not in record:
        raise BadCard(f"{place}: {asked}: no column {outer!r}; there are {known}; correct {asked}")
    held = record[outer]
    return held.get(inner) if isinstance(held, dict) else None
