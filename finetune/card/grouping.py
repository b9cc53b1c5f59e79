"""Groupings: what else the questions of a card share beside their cluster: a page, a filing, a company.

The verdict's cluster stays the card's `columns.cluster`; these are rows of its table of sensitivity, and change no row.
"""

import re
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from finetune.card.dates import need_group, value_of
from finetune.card.records import BadCard, Record


class Grouping(BaseModel):
    """One way to group the questions."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    column: str = Field(description="Column that holds the group's name, a.b being b of a")
    pattern: str = Field("", description="Regular expression whose first group, inside the column, is the name")

    @model_validator(mode="after")
    def _with_group(self) -> Self:
        need_group(self.pattern, "name")
        return self

    def of(self, record: Record, place: str) -> str:
        """The group's name; empty where the column is. BadCard: no such column, or a name that does not fit."""
        value = value_of(record, self.column, place, "groups")
        text = "" if value is None else str(value).strip()
        if not self.pattern or not text:
            return text
        match = re.search(self.pattern, text)
        if not match:
            raise BadCard(f"{place}: groups: {text[:40]!r} does not fit {self.pattern}; correct the card's groups")
        return match[1] or ""
