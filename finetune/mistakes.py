"""Mistakes in what a user wrote, each said in one line: path of the key, value, reason, nearest known key."""

import difflib
import errno
import os
import sys
from collections.abc import Iterable
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

TYPES = {  # beginnings of pydantic's names of faults -> what a user writes in YAML
    "tuple": "a list, such as [a, b],", "list": "a list, such as [a, b],", "dict": "a mapping of keys",
    "model": "a mapping of keys", "string": "a text", "int": "a whole number", "float": "a number",
    "finite_number": "a finite number", "bool": "true or false", "date": "a date",
}  # fmt: skip
WANTED = {  # pydantic's names of faults, where a number or a list of words must be named
    "literal_error": "must be {expected}",
    "greater_than": "must be over {gt:g}",
    "greater_than_equal": "must be {ge:g} or more",
    "less_than": "must be under {lt:g}",
    "less_than_equal": "must be {le:g} or less",
    "too_short": "must hold {min_length} or more, holds {actual_length}",
    "string_too_short": "must not be empty",
    "union_tag_not_found": "{discriminator} is missing; it must be given",
    "union_tag_invalid": "{discriminator} is unknown; there are {expected_tags}",
}


class BadInput(ValueError):  # noqa: N818 (it names what was given, not a fault of ours)
    """Bad recipe, card, data or checkpoint: one clear sentence; the entry points exit with status 2."""


def near(name: str, known: Iterable[str]) -> str:
    """`; did you mean x?` with the nearest of the known names, else `; there are ...`."""
    names = list(known)
    found = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {found[0]}?" if found else f"; there are {', '.join(names) or 'none'}"


def explain(fault: ValidationError, model: type[BaseModel], where: str) -> str:
    """All faults of a validation, each as `where: key.path: reason`."""
    errors = fault.errors()
    broken = {error["loc"][:-1] for error in errors}  # a list that is short of its broken parts only is told by these
    told = [error for error in errors if error["type"] != "too_short" or error["loc"] not in broken]
    return "\n".join(f"{where}: {_line(error, model)}" for error in told)


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
    return f"{where}{_said(error)}, found {_shown(error['input'])}"


def _said(error: Any) -> str:
    """What is asked for, in the words of YAML where pydantic speaks of Python."""
    kind, terms = error["type"], error.get("ctx", {})
    if kind in WANTED:
        return WANTED[kind].format(**terms)
    for beginning, wanted in TYPES.items():
        if kind.startswith(beginning):
            return f"{wanted} is needed"
    return str(error["msg"])


def _shown(value: Any) -> str:
    """As it would stand in YAML, cut short."""
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    return repr(value)[:80] if isinstance(value, str | int | float) else str(value)[:80]


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


CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY, errno.EEXIST)
FULL = (errno.ENOSPC, errno.EDQUOT)


def of_the_disk(fault: Exception, *, option: str, kept: str) -> str | None:
    """The line for a place that is closed or a disk that is full; None for a fault of ours.

    `option` names another place, `kept` says what became of the work.
    """
    number = getattr(fault, "errno", None)
    if isinstance(fault, OSError) and number in CLOSED:
        return f"{_place(fault)}: {fault.strerror}; name another place with {option}, or open this one"
    if number in FULL or "os error 28" in str(fault):  # the latter from safetensors
        return f"no space left on the device; {kept}, make room or name another place with {option}"
    return None


def ended(fault: Exception, *, option: str, kept: str) -> int:
    """Exit status 2, and one line: for bad input, and for what `of_the_disk` tells; a fault of ours is raised again."""
    said = str(fault) if isinstance(fault, BadInput) else of_the_disk(fault, option=option, kept=kept)
    if said is None:
        raise fault
    return complain(said)


def complain(text: str, status: int = 2) -> int:
    """One line on standard error, with the process where a launcher started several; gives the status."""
    rank = os.environ.get("RANK", "0")
    print(f"tuneworth: {text}" if rank == "0" else f"tuneworth (process {rank}): {text}", file=sys.stderr, flush=True)
    return status


def told(fault: BadInput | OSError) -> str:
    """The line for a mistake, or for a file that cannot be read or written."""
    if isinstance(fault, BadInput) or not _place(fault):
        return str(fault)
    return f"{_place(fault)}: {fault.strerror}; name another place, or open this one"


def _place(fault: OSError) -> str:
    """What the fault is of; where something was to be renamed, the name that it was to have."""
    return str(fault.filename2 or fault.filename or "")
