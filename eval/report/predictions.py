"""Costs as predicted beside what they were: words and figures of each, and the drawing of one over the other."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from eval.report.canvas import Canvas, Shape, colour, fitted
from eval.report.charts import DASH, WIDTH
from eval.report.figures import number
from eval.report.words import Said, same
from eval.verdict.predictions import Prediction

KINDS = {
    "memory": Said("peak memory of tuning", "微调峰值显存"),
    "tuning": Said("seconds of its steps", "微调各步秒数"),
    "tokens": Said("tokens written in the exam", "考试输出词元"),
    "exam": Said("device-seconds of the exam", "考试设备秒"),
    "campaign": Said("F, one tuning", "F，一次微调"),
    "query": Said("Δc a query", "每次查询 Δc"),
}
BASES = {
    "shelf": Said("by device peaks", "按设备峰值"),
    "probe": Said("by a probe", "按事先探测"),
    "second step": Said("by step 2", "按第二步"),
}
TOLD = {
    "scored": Said("length of answers as scored before", "答案长度：依先前评测"),
    "logged": Said("length of answers as logged before", "答案长度：依已记录的作答"),
    "timed": Said("length of answers as timed", "答案长度：依事先计时"),
    "assumed": Said("length of answers assumed", "答案长度：假定值"),
    "limit": Said("every answer counted at its limit", "每次作答均按长度上限计"),
}
UNITS = {"memory": "GiB", "tuning": "s", "tokens": "", "exam": "s"}
TICKS = tuple(lead * 10**power for power in range(-4, 5) for lead in (1, 2, 5))


def kind(each: Prediction) -> Said:
    """What was predicted, of seconds of tuning from what, and whether it is an upper bound."""
    words, basis = KINDS[each.kind], BASES.get(each.basis or "")
    if each.told == "limit":
        return Said(f"{words.en}, at most", f"{words.zh}（至多）")
    if each.kind == "memory" and each.device == "cpu":
        return Said(words.en, "微调峰值内存")
    return Said(f"{words.en}, {basis.en}", f"{words.zh}（{basis.zh}）") if basis else words


def amount(each: Prediction, value: float, currency: str) -> str:
    """A cost with its unit."""
    unit = UNITS.get(each.kind, currency)
    return f"{number(value / 2**30 if each.kind == 'memory' else value)} {unit}".strip()


def times(each: Prediction) -> str:
    """Measured over predicted, `× 1.08`; a dash where there is no such ratio."""
    return "–" if each.ratio is None else f"× {number(each.ratio)}"


def over(name: str, shape: Shape, rows: Sequence[Prediction]) -> Markup:
    """One mark each where measured lies over predicted; on the dashed line a prediction came true."""
    slim, told = shape == "slim", [(each, each.ratio) for each in rows if each.ratio is not None]
    step, sides = (66, (6.0, 14.0)) if slim else (44, (290.0, 80.0))
    canvas = Canvas(name, (WIDTH[shape], step * len(told) + 14 + Canvas.FOOT), sides, _ends([r for _, r in told]))
    unit = Said("measured over predicted, on a log scale", "实际 ÷ 预估（对数刻度）")
    canvas.powers(unit, TICKS, lambda tick: f"× {tick:g}", 8)
    for at, (each, ratio) in enumerate(told):
        _mark(canvas, each, ratio, 14 + step * (at + 0.5) + (16 if slim else 0), slim=slim)
    return canvas.svg()


def _mark(canvas: Canvas, each: Prediction, ratio: float, y: float, *, slim: bool) -> None:
    place, said = math.log10(ratio), kind(each)
    canvas.rule(0, "ink", y - (10 if slim else 22), y + (10 if slim else 22), linestyle=DASH, linewidth=1.4)
    canvas.ax.plot([0, place], [y, y], color=colour("shade"), linewidth=3, solid_capstyle="butt")
    style = {"markerfacecolor": colour("ink"), "markeredgecolor": colour("ink"), "zorder": 5}
    canvas.ax.plot([place], [y], marker="s", markersize=9, **style)
    if slim:
        canvas.write(canvas.left, y - 38, fitted(same(each.contender), canvas.plot, 12), size=12, weight="bold")
        canvas.write(canvas.left, y - 22, fitted(said, canvas.plot - 60, 12), size=12, color=colour("muted"))
    else:
        canvas.write(0, y - 9, fitted(same(each.contender), 280), weight="bold")
        canvas.write(0, y + 9, fitted(said, 280, 12), size=12, color=colour("muted"))
    canvas.write(canvas.width - 6, y - 22 if slim else y, same(times(each)), size=13, ha="right")


def _ends(ratios: Sequence[float]) -> tuple[float, float]:
    """Powers of ten, from a half to the double at least."""
    places = [math.log10(ratio) for ratio in ratios]
    return min(*places, math.log10(0.5)) - 0.05, max(*places, math.log10(2)) + 0.05
