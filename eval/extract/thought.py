"""Thought: what of a text that was written by some other template was thought, and what was answered."""

import re

OPEN, CLOSE = "<think>", "</think>"


def split(text: str) -> tuple[str, str, bool]:
    """(thought, answer, closed) of a text that a server's own template produced, where the opening tag may have been
    part of the prompt."""
    thoughts = re.findall(f"{OPEN}(.*?){CLOSE}", text, flags=re.S)
    before, closing, answer = re.sub(f"{OPEN}.*?{CLOSE}", "", text, flags=re.S).rpartition(CLOSE)
    answer, opening, rest = answer.partition(OPEN)
    thinking = "".join([before if closing else "", *thoughts, rest]).strip("\n")
    return thinking, "" if opening else answer.strip("\n"), not opening
