"""The drawing of the odds that tuning pays, against what a right answer is worth (the acceptability curve)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from eval.report.canvas import Canvas, Shape, colour
from eval.report.charts import DASH, WIDTH
from eval.report.figures import number
from eval.report.words import Said, same


def chances(
    name: str, shape: Shape, spots: Sequence[tuple[float, float]], currency: str, declared: float | None
) -> Markup:
    """P(NB > 0) in per cent, values on a log scale; a dashed line at the value that the recipe declares."""
    places = [math.log10(value) for value, _ in spots]
    canvas = Canvas(name, (WIDTH[shape], 250), (46, 16), (places[0], places[-1]))

    def y(odds: float) -> float:
        return 30 + (1 - odds) * (canvas.depth - 40)

    for odds in (0.0, 0.5, 1.0):
        canvas.ax.plot(canvas.ends, [y(odds)] * 2, color=colour("line"), linewidth=1, zorder=0)
        words = same(f"{100 * odds:g}%")
        canvas.write(canvas.left - 6, y(odds), words, size=12, color=colour("muted"), ha="right")
    canvas.ax.plot(places, [y(odds) for _, odds in spots], color=colour("accent"), linewidth=2.2)
    ticks = [places[0], (places[0] + places[-1]) / 2, places[-1]]
    canvas.ax.set_xticks(ticks, [number(10**tick) for tick in ticks])
    for label, side in zip(canvas.ax.get_xticklabels(), ("left", "center", "right"), strict=True):
        label.set_ha(side)
    if declared is not None:
        canvas.rule(math.log10(declared), "ink", y(1), y(0), linestyle=DASH, linewidth=1.4)
        at = Said(f"declared: {number(declared)}", f"声明值 {number(declared)}")
        canvas.write(canvas.x(math.log10(declared)), 12, at, size=12, ha="center")
    unit = Said(f"worth of a right answer, {currency}, on a log scale", f"每答对一题的价值（{currency}，对数刻度）")
    canvas.write(canvas.left + canvas.plot / 2, canvas.height - 8, unit, size=12, color=colour("muted"), ha="center")
    return canvas.svg()
