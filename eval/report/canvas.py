"""A figure that speaks two languages: drawn once by matplotlib, its words put in afterwards.

Words are drawn as short marks and replaced in the finished SVG by both languages, escaped; so one drawing serves
both, no font of this machine has to know Chinese, and text stays text. Colours are replaced by the page's CSS
variables, so that the drawing follows the page into print and into the dark. Lengths are CSS pixels, y runs down.
"""

from __future__ import annotations

import io
import math
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from markupsafe import Markup

from eval.report.words import Said, spoken

Shape = Literal["wide", "slim"]  # for a page's width, and for a phone's
COLOURS = ("ink", "muted", "line", "paper", "accent", "good-wash", "bad-wash", "even-wash", "shade")
STYLE = {
    "svg.fonttype": "none",
    "axes.spines.top": False,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "hatch.linewidth": 0.7,
}


def colour(name: str) -> str:
    """A stand-in for the CSS variable `--name`; never black, which matplotlib does not write out."""
    return f"#0000{COLOURS.index(name) + 1:02x}"


class Canvas:
    """One drawing with one horizontal scale. `name` is unique on the page: it leads every id of the drawing.

    The plot spans the whole height but for the scale's line at the bottom; its y values are pixels from the top.
    """

    FOOT = 44  # pixels under the plot, for the numbers of the scale

    def __init__(self, name: str, size: tuple[float, float], sides: tuple[float, float], ends: tuple[float, float]):
        from matplotlib.figure import Figure
        from matplotlib.style import context

        self.name, (self.width, self.height), self.ends = name, size, ends
        self.left, self.plot = sides[0], self.width - sum(sides)
        self.depth = self.height - self.FOOT
        self._words: list[Said] = []
        with context(["default", STYLE]):
            self.figure = Figure(figsize=(self.width / 72, self.height / 72), dpi=72)
            box = (self.left / self.width, self.FOOT / self.height, self.plot / self.width, self.depth / self.height)
            self.ax: Any = self.figure.add_axes(box)
        self.ax.set(xlim=ends, ylim=(self.depth, 0), yticks=[])
        self.ax.spines["bottom"].set_color(colour("line"))
        self.ax.tick_params(axis="x", length=0, pad=7, labelsize=12, labelcolor=colour("muted"))

    def x(self, value: float) -> float:
        """Pixels from the left edge of a value on the scale."""
        return self.left + (value - self.ends[0]) / (self.ends[1] - self.ends[0]) * self.plot

    def write(self, x: float, y: float, words: Said, *, size: float = 13, **style: Any) -> None:
        """Words at pixels from the upper left corner; `ha` is left unless given."""
        self._words.append(words)
        style = {"color": colour("ink"), "va": "center", "fontsize": size, **style}
        self.figure.text(x / self.width, 1 - y / self.height, f"Q{len(self._words) - 1}Q", **style)

    def rule(self, value: float, name: str, top: float = 0, bottom: float | None = None, **style: Any) -> None:
        """A vertical line at a value of the scale, from pixel to pixel."""
        bottom = self.depth if bottom is None else bottom
        self.ax.plot([value, value], [top, bottom], color=colour(name), **({"linewidth": 1} | style))

    def scale(self, unit: Said, ticks: Sequence[float], *, signed: bool = True) -> None:
        """Numbers under the plot, with faint lines up from them, and their unit."""
        form = "+g" if signed else "g"
        self._lines(unit, {tick: f"{tick:{form}}".replace("-", "−") if tick else "0" for tick in ticks})

    def powers(self, unit: Said, ticks: Sequence[float], said: Callable[[float], str], most: int) -> None:
        """A scale of logarithms, whose ends are powers of ten: those of the ticks that lie on it, where they are more
        than `most` the powers of ten alone; faint lines up from them, and their unit."""
        there = [tick for tick in ticks if self.ends[0] <= math.log10(tick) <= self.ends[1]]
        there = [tick for tick in there if len(there) <= most or math.log10(tick) == round(math.log10(tick))]
        self._lines(unit, {math.log10(tick): said(tick) for tick in there})

    def _lines(self, unit: Said, told: Mapping[float, str]) -> None:
        self.marks([*told], [*told.values()])
        for place in told:
            self.rule(place, "line", zorder=0)
        self.write(self.left + self.plot / 2, self.height - 8, unit, size=12, color=colour("muted"), ha="center")

    def marks(self, places: Sequence[float], said: Sequence[str]) -> None:
        """Numbers under the plot at these places of the scale; one that would leave the drawing is drawn back in."""
        self.ax.set_xticks(list(places), list(said))
        for label, place, text in zip(self.ax.get_xticklabels(), places, said, strict=True):
            at, half = self.x(place), text_width(text, 12) / 2
            label.set_ha("left" if at < half else "right" if at > self.width - half else "center")

    def svg(self) -> Markup:
        """The finished drawing; same input, same bytes. `gains-wide` is named by the element `gains-caption`."""
        from matplotlib.style import context

        with context(["default", STYLE | {"svg.hashsalt": self.name}]), io.StringIO() as out:
            self.figure.savefig(out, format="svg", metadata={"Date": None})
            drawn = out.getvalue()
        body = drawn[drawn.index("</metadata>") + len("</metadata>") : drawn.rindex("</svg>")]
        body = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", body, count=1, flags=re.DOTALL)
        body = re.sub(r">Q(\d+)Q<", lambda f: f">{spoken(self._words[int(f[1])], 'tspan')}<", _local(body, self.name))
        size = f'viewBox="0 0 {self.width:g} {self.height:g}"'
        space = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
        caption = f"{self.name.rpartition('-')[0]}-caption"
        return Markup(f'<svg {space} {size} role="img" aria-labelledby="{caption}">{body}</svg>')


def text_width(text: str, size: float) -> float:
    """Pixels that a line takes at most, whatever the reader's font: wide for Chinese, less for Latin letters."""
    return size * sum(1.05 if unicodedata.east_asian_width(letter) in "WF" else 0.68 for letter in text)


def fitted(words: Said, width: float, size: float = 13) -> Said:
    """Words cut to a width; the tables hold them whole."""
    return Said(*(_cut(text, width, size) for text in words))


def wrapped(words: Said, width: float, size: float = 13) -> list[Said]:
    """Words whole, in as many lines of a width as they take: broken at spaces, and within a word longer than a line.
    Of the language that takes fewer the first are empty."""
    lines = [_broken(text, width, size) for text in words]
    most = max(map(len, lines))
    return [Said(*both) for both in zip(*([""] * (most - len(each)) + each for each in lines), strict=True)]


def _broken(text: str, width: float, size: float) -> list[str]:
    found = [""]
    for word in text.split():
        longer = f"{found[-1]} {word}".strip()
        if text_width(longer, size) <= width:
            found[-1] = longer
            continue
        found += [""] if found[-1] else []
        for letter in word:
            found += [""] if found[-1] and text_width(found[-1] + letter, size) > width else []
            found[-1] += letter
    return found


def _cut(text: str, width: float, size: float) -> str:
    if text_width(text, size) <= width:
        return text
    while text and text_width(text + "…", size) > width:
        text = text[:-1]
    return text.rstrip() + "…"


def _local(body: str, name: str) -> str:
    """Ids led by the drawing's name, those that nothing refers to left out; fonts and colours the page's own."""
    used = set(re.findall(r'(?:url\(#|xlink:href="#)(\w+)', body))
    body = re.sub(r' id="([\w.]+)"', lambda f: f' id="{name}-{f[1]}"' if f[1] in used else "", body)
    body = re.sub(r'(url\(#|xlink:href="#)', rf"\g<1>{name}-", body)
    body = re.sub(r" font-family: [^;\"]*;?", "", body)
    body = re.sub(r' transform="rotate\(-0 [^"]*"', "", body)
    body = re.sub(r"#0000([0-9a-f]{2})\b", lambda f: f"var(--{COLOURS[int(f[1], 16) - 1]})", body)
    return re.sub(r"\s*\n\s*", " ", body)
