"""Licences by name: what each asks of whoever passes on what was tuned (`terms.yaml`); no legal advice."""

import re
from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field

FROZEN = ConfigDict(frozen=True, extra="forbid")
SHELF = Path(__file__).parent / "terms.yaml"


class Rider(BaseModel):
    """What a verdict must say of a licence, in both languages."""

    model_config = FROZEN
    en: str
    zh: str


class Terms(BaseModel):
    """One licence."""

    model_config = FROZEN
    name: str
    known_by: str = Field(description="Regular expression, any case, found in how a card or a model's YAML names it")
    hub: str = Field(description="Identifier on the Hugging Face Hub; `other` where it has none")
    asks: tuple[str, ...] = Field(min_length=1, description="Duties of whoever passes it on")
    notice: str = Field("", description="Attribution that must go along in a file named NOTICE")
    rider: Rider | None = Field(None, description="None: nothing that a verdict must say")


@cache
def shelf() -> tuple[Terms, ...]:
    """All licences that are known."""
    return tuple(Terms.model_validate(raw) for raw in yaml.safe_load(SHELF.read_text("utf-8")))


def terms_of(said: str) -> tuple[Terms, ...]:
    """Those named in a text such as `MIT; base Llama 3.1 Community License`; empty where none is known."""
    return tuple(terms for terms in shelf() if re.search(terms.known_by, said, re.IGNORECASE))
