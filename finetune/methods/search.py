"""Knobs that are searched: a list of values for each, their product the trials (`method.search` of a recipe).

Which knobs can be searched stands with each method, as a model of lists. What is found is the method with one value for
each of them and no search left, so that whoever attaches, saves or plans meets a plain method.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from finetune.methods import AnyMethod

T = TypeVar("T")
Knobs = dict[str, int | float]  # by the method's own names
SAID = (
    "A list of values for each knob: every combination is trained on the first of train.seeds, and the one with the "
    "lowest loss on the rows that train.dev holds out trains all seeds; so many more runs, which the bill holds"
)
FROZEN = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SearchFacts(BaseModel):
    """How knobs were chosen, as a train.json says it: all trials under the first seed, the lowest dev loss wins."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    trials: int
    knobs: Knobs  # of the winner
    device_seconds: float  # of the trials that became no seed's training


def _once(values: tuple[T, ...]) -> tuple[T, ...]:
    twice = next((value for value in values if values.count(value) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice:g} stands twice; name it once")
    return values


Rates = Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1), AfterValidator(_once)]
Sizes = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1), AfterValidator(_once)]
Shares = Annotated[tuple[Annotated[float, Field(ge=0, lt=1)], ...], Field(min_length=1), AfterValidator(_once)]


def several(search: T) -> T:
    """ValueError: lists of which only one trial comes."""
    lists = [values for _, values in search if values] if search is not None else []  # type: ignore[attr-defined]
    if search is not None and all(len(values) == 1 for values in lists):
        raise ValueError("one trial only, so nothing to choose; give a knob two values or more, or leave search out")
    return search


def declared(method: AnyMethod) -> dict[str, tuple[int | float, ...]]:
    """The values of each searched knob, knobs in the order of the schema; empty where nothing is searched."""
    return {knob: values for knob, values in method.search or () if values}


def trials(method: AnyMethod) -> tuple[Knobs, ...]:
    """The product of the lists, the last knob's values following fastest; none where nothing is searched."""
    lists = declared(method)
    return tuple(dict(zip(lists, values, strict=True)) for values in product(*lists.values())) if lists else ()


def settled(method: AnyMethod, knobs: Knobs) -> AnyMethod:
    """The method with these knobs and no search; defaults that hang on another knob follow it."""
    given: dict[str, Any] = method.model_dump(exclude_unset=True, exclude={"search"})
    return type(method)(**given, **knobs)
