"""A verdict as one offline page: template, style, script and drawings in a single file that loads nothing."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from statistics import NormalDist
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from eval.compare import Comparison
from eval.flips import Flips
from eval.membership import FLAGGED
from eval.money import defaults
from eval.report import charts, disagreements, figures, predictions, view, words
from eval.report.chances import chances
from eval.report.lengths import lengths
from eval.report.origin import origins
from eval.report.words import Said, same
from eval.scarce import EXPECTED, ITEMS
from eval.signs import minus
from eval.verdict import Verdict

HERE = Path(__file__).parent
STRIPES = {  # the drawing's hatches, for the key beside it
    "////": "M0 10L10 0M4 18L22 0M14 20L32 2M24 20L32 12",
    "||||": "M6 0V20M12 0V20M18 0V20M24 0V20",
    "----": "M0 5H32M0 10H32M0 15H32",
    "\\\\\\\\": "M0 10L10 20M4 2L22 20M14 0L32 18M24 0L32 8",
    "xxxx": "M0 10L10 0M4 18L22 0M14 20L32 2M0 10L10 20M4 2L22 20M14 0L32 18",
}


def render(verdict: Verdict, flips: Flips | None = None) -> str:
    """The page, in English and Chinese by a switch. The same verdict and flips give the same bytes."""
    return _environment().get_template("page.html").render(_context(verdict, flips)) + "\n"


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters |= {"points": figures.points, "share": figures.share, "number": figures.number, "minus": minus}
    for say in (figures.points, figures.interval, figures.share, figures.number, figures.less, figures.moment):
        made.globals[say.__name__] = say
    made.globals |= {
        "say": lambda en, zh: words.spoken(Said(str(en), str(zh))),
        "spoken": lambda said: words.spoken(said if isinstance(said, Said) else same(said)),
        "probability": figures.probability, "tiny": figures.tiny, "queries": _queries, "low": view.deciding_low,
        "reach": view.reach,
        "curve_caption": view.curve_caption, "known": _known, "count": figures.count, "option": disagreements.option,
        "predictions": predictions, "flagged": f"−{-FLAGGED:g}", "reread": lambda each: words.spoken(view.reread(each)),
        "default": lambda *each: Said(*defaults.said(*each)), "samples": view.samples,
        "FEW": {"questions": ITEMS, "expected": EXPECTED},
    }  # fmt: skip
    return made


def _context(v: Verdict, flips: Flips | None) -> dict[str, Any]:
    lead = view.lead(v)
    turned = disagreements.shown(flips, v.flips) if flips and flips.contrasts and v.flips else {"flips": None}
    names = ("page", "flips") if turned["flips"] else ("page",)
    script, style = ("".join((HERE / f"{name}.{kind}").read_text("utf-8") for name in names) for kind in ("js", "css"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    parts = view.parts(v, lead) if lead else []
    shared, own = origins(v)
    return {
        "v": v, "words": words, "word": view.word(v), "asides": view.asides(v), "faults": view.faults(v),
        "odds": view.lead_bill(v),
        "wide": NormalDist().inv_cdf((1 + v.confidence) / 2),  # standard errors to each side
        "calls": v.outcome not in ("invalid", "exploratory"), "lead": lead, "parts": parts, "board": view.board(v),
        "gates": view.gates(v), "proof": view.proof(v), "exit_status": view.exit_status(v),
        "shared": shared, "origins": own,
        "contents": view.contents(v, bool(turned["flips"])), "drawn": _drawn(v, parts), "swatches": _swatches(),
        "style": Markup(style), "script": Markup(script), "script_hash": digest, **_holm(v, lead), **turned,
    }  # fmt: skip


def _swatches() -> list[tuple[Said, str, str | None]]:
    """Words, colour and stripes of each outcome of an answer, for the key beside the drawing."""
    return [(words.ANSWERS[o], fill, STRIPES[hatch] if hatch else None) for o, (fill, hatch) in charts.PATTERNS.items()]


def _drawn(v: Verdict, parts: Sequence[view.Part]) -> dict[str, dict[str, Markup]]:
    """Every drawing in both shapes."""
    found = {"answers": charts.both("answers", charts.answers, {c.name: c.outcomes for c in v.contenders})}
    if parts:
        found["gains"] = charts.both("gains", charts.gains, view.judged_bars(v), view.other_bars(v), v.margin)
        found["forest"] = charts.both("forest", charts.forest, view.part_bars(parts), v.margin)
    if v.atlas:
        found["atlas"] = charts.both("atlas", charts.forest, view.atlas_bars(v.atlas), v.margin)
    if v.guards:
        found["guards"] = charts.both("guards", charts.forest, view.guard_bars(v), -v.guards[0].margin)
    for at, each in enumerate(v.curves):
        facts = each.incumbent, view.curve_spots(each), v.margin
        found[f"curve{at}"] = charts.both(f"curve{at}", charts.curve, *facts)
    bill = view.lead_bill(v)
    if v.money and bill:
        found["odds"] = charts.both("odds", chances, bill.odds, v.money.currency, v.money.value_per_correct)
    if v.lengths:
        found["lengths"] = charts.both("lengths", lengths, v.lengths)
    if any(each.ratio is not None for each in v.predictions):
        found["predictions"] = charts.both("predictions", predictions.over, v.predictions)
    if v.power:
        found["sight"] = charts.both("sight", charts.sight, v.margin, v.power.mde)
    return found


def _holm(v: Verdict, lead: Comparison | None) -> dict[str, str]:
    """Says that the lower end is Holm's where it is not the plain interval's."""
    if v.delta is None or lead is None or math.isclose(v.delta.low, lead.low, abs_tol=1e-9):
        return {"holm_en": "", "holm_zh": ""}
    count = len(v.rulings)
    return {
        "holm_en": f" The lower end of Δ is the bound that Holm tests for {count} challengers.",
        "holm_zh": f"Δ 的下端是对 {count} 个挑战者做 Holm 校正后的界。",
    }


def _known(value: float | None) -> Said:
    """A measure of answers that may have been given where nobody measured."""
    return Said("unknown", "未知") if value is None else same(figures.number(value))


def _queries(value: float | None) -> Said:
    return Said("never", "永不") if value is None else same(figures.number(value))
