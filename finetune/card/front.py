"""Front: the YAML between two lines of --- at the beginning of a card, and the prose below it."""

import re
from pathlib import Path
from typing import Any

import yaml

from finetune.card.records import BadCard


def front_matter(text: str, path: Path) -> tuple[dict[str, Any], str]:
    """(keys, prose) of a card. BadCard names the line that is no YAML."""
    parts = re.match(r"\ufeff?---[ \t]*\r?\n(.*?\r?\n)---[ \t]*(?:\r?\n|$)(.*)", text, re.DOTALL)
    if not parts:
        raise BadCard(f"{path}:1: no front matter; begin the card with YAML between two lines of ---")
    try:
        front = yaml.safe_load(parts[1])
    except yaml.YAMLError as fault:
        mark = getattr(fault, "problem_mark", None)
        where = f"{path}:{mark.line + 2}" if mark else str(path)
        raise BadCard(f"{where}: not YAML: {getattr(fault, 'problem', None) or fault}") from None
    if not isinstance(front, dict):
        raise BadCard(f"{path}:2: the front matter is no mapping of keys; write `name: ...` and so on")
    return front, parts[2]
