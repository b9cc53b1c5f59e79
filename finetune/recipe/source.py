"""Where a recipe comes from: YAML files, changes given on the command line, the folder of the data."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationInfo

from finetune.mistakes import BadInput

PATH = {"type": "string", "description": "a path relative to this file"}


def beside(value: Any, info: ValidationInfo) -> Any:
    """A path in a recipe is relative to the file that holds it, which validators learn from the context's `folder`."""
    folder = (info.context or {}).get("folder")
    return str((folder / Path(value).expanduser()).resolve()) if folder and isinstance(value, str) else value


def data_root() -> Path | None:
    """Where cards look for their files: TUNEWORTH_DATA, which `--data-root` sets; several are separated as in PATH.

    BadInput: there is none of them; cards would quietly take what lies beside them.
    """
    named = os.environ.get("TUNEWORTH_DATA")
    if named and not any(Path(each).expanduser().is_dir() for each in named.split(os.pathsep) if each):
        raise BadInput(f"{named}: no such folder (--data-root or TUNEWORTH_DATA); correct it, or leave it out")
    return Path(named).expanduser() if named else None


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping. BadInput names the file and line of a fault."""
    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file") from None
    except OSError as fault:
        raise BadInput(f"{path}: {fault.strerror}; a YAML file is needed") from None
    except (yaml.YAMLError, UnicodeDecodeError) as fault:
        mark = getattr(fault, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise BadInput(f"{where}: not YAML: {getattr(fault, 'problem', None) or fault}") from None
    if not isinstance(found, dict):
        raise BadInput(f"{path}: a mapping of keys is needed, found {type(found).__name__}")
    return found


def apply_change(raw: dict[str, Any], change: str) -> None:
    """Apply one `--set key.path=value` in place; the value is YAML (numbers, lists, null).

    The mappings on the way are copied: two contenders that share one by a YAML anchor are not both changed.
    """
    path, equals, value = change.partition("=")
    if not equals or not path:
        raise BadInput(f"--set {change}: write key.path=value")
    *parents, last = path.split(".")
    for key in parents:
        inner = raw.get(key, {})
        if not isinstance(inner, dict):
            raise BadInput(f"--set {change}: {key} is not a mapping in the recipe")
        raw[key] = dict(inner)
        raw = raw[key]
    try:
        raw[last] = yaml.safe_load(value)
    except yaml.YAMLError:
        raise BadInput(f"--set {change}: its value is not YAML; close brackets and quotes") from None


def switches(raw: Any, found: Any, path: str = "") -> Iterator[str]:
    """A line for each key where `true` or `false` (in YAML `yes`, `on`, `off` too) was read as the number 1 or 0."""
    if isinstance(raw, bool) and isinstance(found, int | float) and not isinstance(found, bool):
        yield f"{path}: a number is needed, found {str(raw).lower()}"
    parts = raw.items() if isinstance(raw, dict) else enumerate(raw) if isinstance(raw, list) else ()
    for key, part in parts:
        yield from switches(part, _part(found, key), f"{path}.{key}" if path else str(key))


def _part(found: Any, key: Any) -> Any:
    """What became of a key or place; None where it has another name by now."""
    if isinstance(found, BaseModel):
        return getattr(found, key, None)
    try:
        return found[key]
    except (KeyError, IndexError, TypeError):
        return None
