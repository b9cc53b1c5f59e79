"""The drawings of the page: gains with their intervals, and against training rows, what the exam could see, answers.

Patterns and words carry what colours carry. On a phone's width labels stand above the bars, else beside them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from eval.report.canvas import Canvas, Shape, colour, fitted, text_width, wrapped
from eval.report.figures import interval, points
from eval.report.words import Said, same

PATTERNS: dict[str, tuple[str, str | None]] = {  # outcome of an answer -> colour, hatch
    "correct": ("muted", None),
    "wrong": ("even-wash", None),
    "unparsed": ("bad-wash", "////"),
    "truncated": ("even-wash", "||||"),
    "unclosed_thinking": ("bad-wash", "----"),
    "refused": ("good-wash", "\\\\\\\\"),
    "missing": ("paper", "xxxx"),
}
ZONES = ("bad-wash", "even-wash", "good-wash")
DASH = (0, (4, 3))  # of the margin, wherever it stands
UNIT = {
    "wide": Said("points: right answers per hundred questions, the difference", "百分点：每百题答对数之差"),
    "slim": Said("points, of a hundred questions", "百分点（每百题）"),
}
WIDTH = {"wide": 920.0, "slim": 345.0}
NUMBERS = 168.0  # pixels for a gain and its interval
LINE = 16.0  # pixels from one line of a label to the next


@dataclass(frozen=True)
class Bar:
    """One gain with its interval, as shares of a point; no bounds where no interval can be told."""

    label: Said
    note: Said
    value: float
    low: float | None
    high: float | None
    weight: float = 1.0
    strong: bool = False


def both(name: str, draw: Callable[..., Markup], *facts: Any) -> dict[str, Markup]:
    """One drawing in its two shapes; the style sheet shows the one that fits."""
    return {shape: draw(f"{name}-{shape}", shape, *facts) for shape in ("wide", "slim")}


def gains(name: str, shape: Shape, judged: Sequence[Bar], others: Sequence[Bar], margin: float) -> Markup:
    """Every gain that decides, in the shaded zones of the margin; the others below, on the same scale."""
    slim, heights = shape == "slim", [92.0] + [46.0] * len(judged[1:])
    gap, step = (38, 62) if slim else (8, 52)
    rest = sum(heights) + gap * len(heights) + 46
    ends = _ends([*judged, *others], margin)
    size = (WIDTH[shape], rest + step * len(others) + Canvas.FOOT)
    canvas = Canvas(name, size, _sides(shape, [*judged, *others]), ends)
    canvas.scale(UNIT[shape], _ticks(canvas.ends, 5 if slim else 9))
    top = 0.0
    for number, (bar, height) in enumerate(zip(judged, heights, strict=True)):
        top += gap
        _zones(canvas, top, height, 100 * margin)
        thick, large = (5, 13) if number else (10, 15)
        _gain(canvas, bar, top + height / 2, thick=thick, label_y=top - 18 if slim else None, size=large)
        top += height
    _zone_words(canvas, top + 14, 100 * margin)
    for number, bar in enumerate(others):
        y, half = rest + step * (number + 0.5) + (8 if slim else 0), 14 if slim else step / 2
        canvas.rule(0, "ink", y - half, y + half)
        _gain(canvas, bar, y, thick=5, label_y=y - 26 if slim else None)
    return canvas.svg()


def forest(name: str, shape: Shape, bars: Sequence[Bar], margin: float) -> Markup:
    """One row for each part of the exam, its mark as large as its weight; zero and the margin are lines."""
    slim, sides = shape == "slim", _sides(shape, bars)
    room = WIDTH[shape] - sum(sides) - NUMBERS if slim else sides[0] - 10
    more = LINE * (max(len(wrapped(bar.label, room)) for bar in bars) - 1)  # of labels that take several lines
    step, top = (60 + more, 6) if slim else (46 + more, 20)
    size = (WIDTH[shape], top + step * len(bars) + Canvas.FOOT)
    canvas = Canvas(name, size, sides, _ends(bars, margin))
    canvas.scale(UNIT[shape], _ticks(canvas.ends, 5 if slim else 9))
    for number, bar in enumerate(bars):
        y, half = top + step * (number + 0.5) + (10 + more / 2 if slim else 0), 14 if slim else step / 2
        canvas.rule(0, "ink", y - half, y + half)
        canvas.rule(100 * margin, "ink", y - half, y + half, linestyle=DASH)
        _gain(canvas, bar, y, thick=3, label_y=y - 26 if slim else None)
    return canvas.svg()


def sight(name: str, shape: Shape, margin: float, mde: float) -> Markup:
    """True gains: which would not pay, which this exam would often miss, which it would find."""
    span = max(abs(margin), mde, 0.01)
    low, high = 0.0 if margin > 0 else margin - span / 2, margin + mde + 0.8 * span
    edges = [100 * low, 100 * margin, 100 * (margin + mde), 100 * high]
    canvas = Canvas(name, (WIDTH[shape], 186), (16, 16), (edges[0], edges[-1]))
    canvas.scale(Said("true gain, in points", "真实增益（百分点）"), _ticks(canvas.ends, 5 if shape == "slim" else 9))
    for start, end, fill, hatch in zip(edges, edges[1:], ZONES, (None, "////", None), strict=False):
        style = {"facecolor": colour(fill), "edgecolor": colour("shade"), "hatch": hatch, "linewidth": 0}
        canvas.ax.fill_between([start, end], 52, 96, **style)
    signs = (Said("margin", "门槛"), margin, 14), (Said("margin + MDE₈₀", "门槛 + MDE₈₀"), margin + mde, 34)
    for words, value, y in signs:
        canvas.rule(100 * value, "ink", y + 8, 96, linestyle="-" if value > margin else DASH, linewidth=1.6)
        full = Said(f"{words.en} {points(value)}", f"{words.zh} {points(value)}")
        canvas.write(canvas.x(100 * value), y, full, ha=_side(canvas, 100 * value), weight="bold")
    missed = Said("pays, but often missed", "划算，却常被错过")
    said = (missed, Said("found in 80 of 100 or more", "百场中至少八十场能发现"))
    for words, start, end, y in zip(said, edges[1:], edges[2:], (112, 130), strict=False):
        middle = (start + end) / 2
        canvas.write(canvas.x(middle), y, words, ha=_side(canvas, middle), color=colour("muted"))
    return canvas.svg()


def answers(name: str, shape: Shape, shares: Mapping[str, Mapping[str, float]]) -> Markup:
    """What became of each contender's answers: one bar each, right ones first."""
    slim = shape == "slim"
    step = 50 if slim else 36
    sides = (6.0, 14.0) if slim else (170.0, 20.0)
    canvas = Canvas(name, (WIDTH[shape], step * len(shares) + 8 + Canvas.FOOT), sides, (0, 100))
    canvas.scale(Said("answers in per cent", "占全部回答的百分比"), range(0, 101, 25), signed=False)
    for number, (who, found) in enumerate(shares.items()):
        y, start = 8 + step * (number + 0.5) + (8 if slim else 0), 0.0
        label = fitted(same(who), 300 if slim else sides[0] - 10)
        canvas.write(canvas.left if slim else 0, y - 20 if slim else y, label)
        for outcome, (fill, hatch) in PATTERNS.items():
            part = 100 * found.get(outcome, 0.0)
            if part:
                style = {"facecolor": colour(fill), "edgecolor": colour("shade"), "linewidth": 0.6}
                canvas.ax.barh(y, part, left=start, height=18, hatch=hatch, **style)
            start += part
    return canvas.svg()


def curve(name: str, shape: Shape, incumbent: str, spots: Sequence[tuple[int, Bar | None]], margin: float) -> Markup:
    """Gains over the incumbent against training rows, on a log scale; a cross at the foot where scores do not stand."""
    places = [math.log10(rows) for rows, _ in spots]
    room = max(0.12 * (places[-1] - places[0]), 0.1)
    canvas = Canvas(name, (WIDTH[shape], 330), (46, 88), (places[0] - room, places[-1] + room))
    bottom, top = _ends([bar for _, bar in spots if bar], margin)

    def y(gain: float) -> float:
        return 44 + (top - gain) / (top - bottom) * (canvas.depth - 44 - 16)

    _levels(canvas, y, _ticks((bottom, top), 6), margin, incumbent)
    _row_counts(canvas, places, [rows for rows, _ in spots])
    line = [y(100 * bar.value) if bar else math.nan for _, bar in spots]  # it breaks where nothing is known
    canvas.ax.plot(places, line, color=colour("shade"), linewidth=1.4)
    for place, bar in zip(places, (bar for _, bar in spots), strict=True):
        if bar is None:
            canvas.ax.plot([place], [canvas.depth - 6], marker="x", markersize=9, color=colour("muted"))
        else:
            _upright(canvas, place, bar, y)
    return canvas.svg()


def _levels(canvas: Canvas, y: Callable[[float], float], ticks: Sequence[float], margin: float, incumbent: str) -> None:
    """Gains along the left edge; zero and the margin are lines, the margin with its name at the right edge."""
    for tick in ticks:
        style = {"color": colour("ink" if tick == 0 else "line"), "linewidth": 1, "zorder": 0}
        canvas.ax.plot(canvas.ends, [y(tick), y(tick)], **style)
        canvas.write(canvas.left - 6, y(tick), same(points(tick / 100)), size=12, color=colour("muted"), ha="right")
    if margin:
        canvas.ax.plot(canvas.ends, [y(100 * margin)] * 2, color=colour("ink"), linestyle=DASH, linewidth=1.4)
    words = Said(f"margin {points(margin)}", f"门槛 {points(margin)}")
    canvas.write(canvas.left + canvas.plot + 4, y(100 * margin), words, size=12, color=colour("muted"))
    unit = Said(f"points over {incumbent}", f"相对 {incumbent} 的百分点")
    canvas.write(0, 10, fitted(unit, canvas.width - 10, 12), size=12, color=colour("muted"))


def _row_counts(canvas: Canvas, places: Sequence[float], rows: Sequence[int]) -> None:
    """Counts of rows under the plot, the largest first; one that would lie on another is left to the table."""
    shown: dict[float, str] = {}
    for place, count in sorted(zip(places, rows, strict=True), reverse=True):
        width = text_width(f"{count:,}", 12)
        if all(abs(canvas.x(place) - canvas.x(other)) > width for other in shown):
            shown[place] = f"{count:,}"
    canvas.ax.set_xticks(list(shown), list(shown.values()))
    words = Said("training rows, on a log scale", "训练数据行数（对数刻度）")
    canvas.write(canvas.left + canvas.plot / 2, canvas.height - 8, words, size=12, color=colour("muted"), ha="center")


def _upright(canvas: Canvas, place: float, bar: Bar, y: Callable[[float], float]) -> None:
    """One estimate on its upright interval."""
    name, low, high = "accent" if bar.strong else "ink", bar.low or 0.0, bar.high or 0.0
    canvas.rule(place, name, y(100 * high), y(100 * low), linewidth=3, solid_capstyle="butt")
    for end in (low, high):
        canvas.ax.plot([place], [y(100 * end)], marker="_", markersize=14, color=colour(name))
    style = {"markerfacecolor": colour("paper" if bar.strong else name), "markeredgecolor": colour(name)}
    mark = {"marker": "D" if bar.strong else "s", "markersize": 10, "markeredgewidth": 2, "zorder": 5}
    canvas.ax.plot([place], [y(100 * bar.value)], **mark, **style)


def _zones(canvas: Canvas, top: float, height: float, margin: float) -> None:
    """Harmful, equivalent, worth it: by tint and by pattern. A margin at or below 0 leaves two zones."""
    edges = (canvas.ends[0], -margin if margin > 0 else margin, margin, canvas.ends[1])
    for start, end, fill, hatch in zip(edges, edges[1:], ZONES, ("////", None, None), strict=False):
        style = {"facecolor": colour(fill), "edgecolor": colour("shade"), "hatch": hatch, "linewidth": 0}
        canvas.ax.fill_between([start, end], top, top + height, zorder=0.5, **style)
    canvas.rule(0, "ink", top, top + height)
    canvas.rule(margin, "ink", top, top + height, linestyle=DASH, linewidth=1.4)


def _zone_words(canvas: Canvas, y: float, margin: float) -> None:
    """The zones by name, under the last of them."""
    muted = colour("muted")
    left = Said("← harmful", "← 有害") if margin > 0 else Said("← not worth it", "← 不值得")
    canvas.write(canvas.left, y, left, size=12, color=muted)
    canvas.write(canvas.left + canvas.plot, y, Said("worth it →", "值得 →"), size=12, color=muted, ha="right")
    size, at = points(margin / 100, signed=margin <= 0), 0 if margin > 0 else margin
    words = Said(f"equivalent, within ±{size}", f"相当，±{size} 以内")
    words = words if margin > 0 else Said(f"margin {size}", f"门槛 {size}")
    canvas.write(canvas.x(at), y + 17, words, size=12, color=muted, ha=_side(canvas, at))


def _gain(canvas: Canvas, bar: Bar, y: float, *, thick: float, label_y: float | None, size: float = 13) -> None:
    """One interval with its estimate, its label and its numbers."""
    name = "accent" if bar.strong else "ink"
    numbers = points(bar.value)
    if bar.low is not None and bar.high is not None:
        numbers += f" {interval(bar.low, bar.high)}"
        line = {"color": colour(name), "linewidth": thick, "solid_capstyle": "butt"}
        canvas.ax.plot([100 * bar.low, 100 * bar.high], [y, y], **line)
        for end in (bar.low, bar.high):
            canvas.rule(100 * end, name, y - thick, y + thick, linewidth=1.6)
    area = 11.0 if bar.strong else 5 + 9 * math.sqrt(bar.weight)
    style = {"markerfacecolor": colour("paper" if bar.strong else name), "markeredgecolor": colour(name)}
    mark = {"marker": "D" if bar.strong else "s", "markersize": area, "markeredgewidth": 2, "zorder": 5}
    canvas.ax.plot([100 * bar.value], [y], **mark, **style)
    canvas.write(canvas.width - 6, y if label_y is None else label_y, same(numbers), size=min(size, 14), ha="right")
    if label_y is not None:
        for at, words in enumerate(reversed(wrapped(bar.label, canvas.plot - NUMBERS, size))):
            canvas.write(canvas.left, label_y - LINE * at, words, size=size, weight="bold")
    else:
        lines = wrapped(bar.label, canvas.left - 10, size)
        first = y - 9 - LINE * (len(lines) - 1) / 2
        for at, words in enumerate(lines):
            canvas.write(0, first + LINE * at, words, size=size, weight="bold")
        canvas.write(0, first + LINE * (len(lines) - 1) + 19, bar.note, size=12, color=colour("muted"))


def _sides(shape: Shape, bars: Sequence[Bar]) -> tuple[float, float]:
    """Pixels left and right of the plot: labels take what they need, up to a third of the width."""
    if shape == "slim":
        return 6.0, 6.0
    needed = max(max(text_width(bar.label.en, 15), text_width(bar.note.en, 12)) for bar in bars)
    return min(max(needed + 12, 170.0), WIDTH[shape] / 3), NUMBERS


def _side(canvas: Canvas, value: float) -> str:
    """Which side of a word stands at its value, so that it stays in the drawing."""
    place = (canvas.x(value) - canvas.left) / canvas.plot
    return "left" if place < 0.2 else "right" if place > 0.8 else "center"


def _ends(bars: Sequence[Bar], margin: float) -> tuple[float, float]:
    """Ends of the scale in points: every interval, zero, and the margin with room beyond it."""
    ends = [end for bar in bars for end in (bar.value, bar.low, bar.high) if end is not None]
    low, high = min(*ends, 0, -1.6 * abs(margin)), max(*ends, 0, 1.6 * abs(margin))
    room = max(0.06 * (high - low), 0.005)
    return 100 * (low - room), 100 * (high + room)


def _ticks(ends: tuple[float, float], most: int) -> list[float]:
    """Round numbers within the scale, zero among them where it lies there."""
    rough = (ends[1] - ends[0]) / most
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * k for k in (1, 2, 5, 10) if power * k >= rough)
    first = math.ceil(ends[0] / step)
    return [round(number * step, 9) for number in range(first, math.floor(ends[1] / step) + 1)]
