"""Spans: answers in the words of a text."""

import re

from eval.extract.labels import fold, held
from eval.extract.passages import HAN, announcements, boxes, clean, sentence, sentences


def read(text: str, gold: str, *, lenient: bool = True) -> tuple[str | None, str, bool]:
    """(what was read, rule, whether it is the gold) for an answer in the words of a text.

    Compared without case, punctuation and English articles (Rajpurkar et al. 2016). Leniently the gold may also begin
    what is announced, or stand once in an answer of one sentence, where it is not denied and no other is offered.
    """
    if not text:
        return None, "none", False
    found = boxes(text)
    regions = [("boxed", found[-1][2])] if found else _announced(text)
    for rule, said in [*regions, ("whole", text)]:
        if _bare(said) == _bare(gold):
            return said.strip(), rule if lenient else "form", True
    if not lenient or found:
        return (regions[0][1] if found else text), "boxed" if found else "form" if not lenient else "whole", False
    wanted = fold(gold)
    for rule, said in [*regions, ("sentence", text)]:
        if rule == "sentence" and len(sentences(text)) > 1:
            break
        places = held(said, [wanted]) if len(wanted) > 1 else []
        begins = bool(places) and (rule == "sentence" or _bare(said).startswith(_bare(gold)))
        if len(places) == 1 and begins and not re.search(r"或|还是|(?<![a-z])or(?![a-z])", said, re.I):
            return gold, rule, True
    return (regions[0][1] if regions and regions[0][1] else text), "whole", False


def _announced(text: str) -> list[tuple[str, str]]:
    """The first sentence of the last announcement, and its line: a span may hold several sentences."""
    region = next(iter(announcements(text)), "")
    return [("announced", said) for said in (sentence(region), region.strip().partition("\n")[0]) if said]


def _bare(text: str) -> str:
    text = re.sub(r"(?<![a-z])(?:an?|the)(?![a-z])", " ", clean(text).casefold())
    return re.sub(rf"[^\w{HAN}%.+-]|(?<![0-9])\.|\.(?![0-9])", "", text)
