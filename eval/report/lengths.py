"""The drawing of answer lengths: tokens written and thought by each contender, on a log scale, beside the limit."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from eval.report.canvas import Canvas, Shape, colour, fitted
from eval.report.charts import DASH, WIDTH
from eval.report.figures import number, share
from eval.report.words import Said, same
from eval.verdict.lengths import Lengths, Spread

ENDED = 190.0  # pixels for what the limit cut
TICKS = tuple(lead * 10**power for power in range(7) for lead in (1, 3))


def cut_share(each: Lengths) -> Said:
    """How many answers the limit ended, in a few characters."""
    cut, unclosed = each.cut / each.answers, each.unclosed / each.answers
    return Said(f"cut {share(cut)} · in thought {share(unclosed)}", f"截断 {share(cut)} · 思考中 {share(unclosed)}")


def lengths(name: str, shape: Shape, rows: Sequence[Lengths]) -> Markup:
    """A box each: the middle half of all answers, whiskers to 5 and 95 of a hundred, a bar at the median, a cross at
    the longest; the thought alone in a hatched box below it; the limit a dashed line."""
    slim = shape == "slim"
    step, sides = (74, (6.0, 14.0)) if slim else (52, (170.0, ENDED))
    canvas = Canvas(name, (WIDTH[shape], step * len(rows) + 10 + Canvas.FOOT), sides, _ends(rows))
    canvas.powers(Said("tokens an answer, on a log scale", "每次作答的词元数（对数刻度）"), TICKS, number, 7)
    for at, each in enumerate(rows):
        top = 10 + step * at + (26 if slim else 0)
        _row(canvas, each, top)
        label_y = top - 14 if slim else top + 17
        canvas.write(canvas.left if slim else 0, label_y, fitted(same(each.contender), 140 if slim else 160))
        canvas.write(canvas.width - 6, label_y, cut_share(each), size=12, color=colour("muted"), ha="right")
    return canvas.svg()


def _row(canvas: Canvas, each: Lengths, top: float) -> None:
    if each.written:
        _box(canvas, each.written, top + 11, 16, None)
    if each.thought and each.thought.most:
        _box(canvas, each.thought, top + 31, 10, "////")
    if each.limit:
        canvas.rule(math.log10(each.limit), "ink", top, top + 38, linestyle=DASH, linewidth=1.4)


def _box(canvas: Canvas, found: Spread, y: float, height: float, hatch: str | None) -> None:
    low, first, middle, last, high, most = (
        math.log10(max(1.0, getattr(found, each))) for each in type(found).model_fields
    )
    canvas.ax.plot([low, high], [y, y], color=colour("ink"), linewidth=1.4, solid_capstyle="butt")
    style = {"facecolor": colour("even-wash"), "edgecolor": colour("shade"), "hatch": hatch, "linewidth": 1.2}
    canvas.ax.barh(y, last - first, left=first, height=height, zorder=3, **style)
    for end in (low, high):
        canvas.rule(end, "ink", y - height / 3, y + height / 3, linewidth=1.4)
    canvas.rule(middle, "ink", y - height / 2, y + height / 2, linewidth=2.6, zorder=4, solid_capstyle="butt")
    canvas.ax.plot([most], [y], marker="x", markersize=6, color=colour("ink"))


def _ends(rows: Sequence[Lengths]) -> tuple[float, float]:
    """The scale in powers of ten: every box, the longest answer and the limit, with a little room."""
    spans = [span for each in rows for span in (each.written, each.thought) if span and span.most]
    least = min((max(1.0, span.p5) for span in spans), default=1.0)
    most = max([span.most for span in spans] + [float(each.limit or 1) for each in rows])
    room = max(0.04 * math.log10(most / least), 0.06)
    return math.log10(least) - room, math.log10(max(most, least * 3)) + room
