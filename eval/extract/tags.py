"""Sets of tags, known or free: which of them an answer names, and how far two sets agree."""

import re
from collections.abc import Sequence

from eval.extract.labels import fold, held
from eval.extract.passages import FORM, announcements, boxes, sentence

LIST = re.compile(r"[,、;|\n]")
LEADING = re.compile(r"^(?:[-*•·]|\(?[0-9]{1,2}[.、)])\s*")
NONE = {"无", "没有", "none", "n/a", "null", "[]"}


def of(text: str) -> list[str]:
    """The parts of a written list ("A，B、C", lines, bullets, JSON), folded, each once, in their order."""
    parts = [fold(LEADING.sub("", part.strip())) for part in LIST.split(text.strip().strip("[]{}"))]
    return list(dict.fromkeys(part for part in parts if part and part not in NONE))


def read(text: str, known: Sequence[str] = (), *, lenient: bool = True) -> tuple[list[str] | None, str]:
    """The tags that a text names, and the rule. With a `known` set those of it that are named, wherever they stand."""
    found = boxes(text)
    region = found[-1][2] if found else next((r for r in announcements(text) if sentence(r)), "")
    lines = [line for line in text.split("\n") if line.strip()]
    if not lenient:
        bare = found[0][2] if found and found[0][:2] == (0, len(text)) else FORM.sub("", text)
        single = len(bare.strip().split("\n")) == 1 and not re.search(r"[。!?:;]\s*\S", bare)
        tags = of(bare) if single else []
        fits = tags and (not known or set(tags) <= {fold(one) for one in known})
        return (tags, "form") if fits else (None, "none")
    if known:
        names = [fold(one) for one in known]
        said = list(dict.fromkeys(names[index] for _, _, index in held(region or text, names)))
        return (said, "named") if said else (None, "none")
    if region:
        return of(region if found else sentence(region)) or None, "boxed" if found else "announced"
    head = re.match(r"[^\n:]{2,40}:\s*", text)
    if head and text[head.end() :].strip() and (len(lines) > 1 or not LIST.search(head.group())):
        tags = of(text[head.end() :])
        return tags or None, "after colon"
    if re.search(r"[。!?]\s*\S", text):
        return None, "several"
    return of(text) or None, "list"


def shared(read: Sequence[str], gold: Sequence[str]) -> float:
    """F1 of two sets of tags, in [0, 1]: twice what they share over the sum of their sizes (van Rijsbergen 1979)."""
    said, wanted = set(read), set(gold)
    return 2 * len(said & wanted) / (len(said) + len(wanted)) if said or wanted else 1.0
