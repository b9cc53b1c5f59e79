"""Mistakes in what a user wrote, each said in one line: path of the key, value, reason, nearest known key."""

import difflib
from collections.abc import Iterable
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError


class BadInput(ValueError):  # noqa: N818 (it names what was given, not a fault of ours)
    """Bad recipe, card, data or checkpoint: one clear sentence; the entry points exit with status 2."""


def near(name: str, known: Iterable[str]) -> str:
    """`; did you mean x?` with the nearest of the known names, else `; there are ...`."""
    names = list(known)
    found = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {found[0]}?" if found else f"; there are {', '.join(names) or 'none'}"


def explain(fault: ValidationError, model: type[BaseModel], where: str) -> str:
    """All faults of a validation, each as `where: key.path: reason`."""
    return "\n".join(f"{where}: {_line(error, model)}" for error in fault.errors())


def _line(error: Any, model: type[BaseModel]) -> str:
    path, owner = _walk(model, error["loc"])
    where = ".".join(path) + ": " if path else ""
    if error["type"] == "extra_forbidden":
        known = [field.alias or name for name, field in owner.model_fields.items()] if owner else []
        near = difflib.get_close_matches(path[-1], known, n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}" if owner else ""
        return f"{where}unknown{hint}"
    if error["type"] == "value_error":
        return f"{where}{error['ctx']['error']}"
    if error["type"] == "missing":
        return f"{where}missing; it must be given"
    return f"{where}{error['msg']} (found {str(error['input'])[:80]!r})"


def _walk(model: type[BaseModel], loc: tuple[Any, ...]) -> tuple[list[str], type[BaseModel] | None]:
    """The path as a user writes it (union tags left out) and the model that owns its last key."""
    path: list[str] = []
    owner: type[BaseModel] | None = None
    here: Any = model
    for step in loc:
        if step == "[key]":  # pydantic's word for a fault of a mapping's key, which stands before it
            continue
        tagged = _tagged(here, step)
        if tagged is not None:
            here = tagged
            continue
        path.append(str(step))
        owner = _model_in(here) if not isinstance(step, int) else owner
        if owner is not None and step in owner.model_fields:
            here = owner.model_fields[step].annotation
        elif get_origin(here) in (dict, tuple, list):
            here = get_args(here)[-1 if get_origin(here) is dict else 0]
    return path, owner


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in get_args(annotation) for found in _models(part)]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    found = _models(annotation)
    return found[0] if found else None


def _tagged(annotation: Any, step: Any) -> type[BaseModel] | None:
    """The member of a discriminated union that `step` is the tag of, if it is one."""
    members = _models(annotation)
    if len(members) < 2:
        return None
    for member in members:
        kind = member.model_fields.get("kind")
        if kind is not None and step in get_args(kind.annotation):
            return member
    return None
