"""Reads a page as a test does: whether its tags close in order, and what stands in each."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "img", "input", "hr"}
CJK = re.compile(r"[\u4e00-\u9fff]")


class Reader(HTMLParser):
    """Checks that tags close in order; keeps elements as (tag, attributes, text directly in them, parent)."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[int] = []
        self.elements: list[tuple[str, dict[str, str | None], list[str], int]] = []
        self.faults: list[str] = []
        self.feed(text)
        self.faults += [self.elements[at][0] for at in self.open]

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs), [], self.open[-1] if self.open else -1))
        if tag not in VOID:
            self.open.append(len(self.elements) - 1)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs), [], self.open[-1] if self.open else -1))

    def handle_endtag(self, tag):
        if not self.open or self.elements[self.open[-1]][0] != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")
        else:
            self.open.pop()

    def handle_data(self, data):
        if self.open:
            self.elements[self.open[-1]][2].append(data)

    def text(self) -> str:
        return " ".join("".join(found) for tag, _, found, _ in self.elements if tag not in ("script", "style"))


def refuse_lone_words(text: str) -> None:
    """Every text stands in both languages, side by side under one parent, each in its own script."""
    read = Reader(text)
    named = [(at, attrs.get("class")) for at, (_, attrs, _, _) in enumerate(read.elements)]
    spoken = [(at, name) for at, name in named if name in ("en", "zh")]
    assert len(spoken) > 100
    assert [name for _, name in spoken] == ["en", "zh"] * (len(spoken) // 2)
    for (en, _), (zh, _) in zip(spoken[::2], spoken[1::2], strict=True):
        assert read.elements[en][3] == read.elements[zh][3], "the two languages of one text have one parent"
        assert read.elements[en][1]["lang"] == "en"
        assert read.elements[zh][1]["lang"] == "zh-CN"
        english, chinese = ("".join(read.elements[at][2]).strip() for at in (en, zh))
        assert english or chinese
        assert not CJK.search(english), english
        assert CJK.search(chinese) or not re.search(r"[A-Za-z]{4}", chinese), chinese
