"""The curve of more training rows: as its verdict tells it, in both languages, drawn on logarithms."""

from __future__ import annotations

import io
import math
import re
from functools import cache
from xml.etree import ElementTree

import pytest
from reader import Reader, refuse_lone_words
from rich.console import Console
from verdict_samples import curved

from eval.report import charts, render, table
from eval.report.figures import interval, number, points
from eval.report.words import same
from eval.verdict import Verdict

CURVES = {"curve": "", "a curve with a hole": "lora_0.3"}


@cache
def verdict(name: str) -> Verdict:
    return curved(CURVES[name])


@cache
def page(outcome: str) -> str:
    return render(verdict(outcome))


@pytest.mark.parametrize("name", CURVES)
def test_the_curve_tells_the_figures_of_its_verdict(name):
    (curve,), made = verdict(name).curves, page(name)
    read = Reader(made)
    assert read.faults == []
    for svg in re.findall(r"<svg.*?</svg>", made, re.DOTALL):
        ElementTree.fromstring(svg)
    shown = made[made.index('<section id="curve"') :]
    alt = re.search(r'<figcaption id="curve0-caption">.*?</figcaption>', shown, re.DOTALL)[0]
    assert shown.count('role="img" aria-labelledby="curve0-caption"') == 2
    assert curve.sentence in read.text()
    assert curve.sentence_zh in read.text()
    rows = [(f'data-point="{p.contender}" data-rows="{p.rows}"', p) for p in curve.points]
    for head, each in [*rows, (f'data-step="{curve.step.more}-{curve.step.fewer}"', curve.step)]:
        row = re.search(rf"<tr {head}.*?</tr>", shown, re.DOTALL)[0]
        if each.gain is None:
            assert "data-gain" not in row
            assert "×" in row
            continue
        exact = tuple(float(re.search(rf'data-{end}="([^"]+)"', row)[1]) for end in ("gain", "low", "high"))
        assert exact == (each.gain.gain, each.gain.low, each.gain.high)
        assert points(each.gain.gain) in row
        assert interval(each.gain.low, each.gain.high) in row
    for p in curve.points:
        gain = f"{points(p.gain.gain)} {interval(p.gain.low, p.gain.high)}" if p.gain else "×"
        assert f"{number(p.rows)}: {gain}" in alt
        assert p.fault in read.text()
        assert p.fault_zh in read.text()
    out = io.StringIO()
    Console(file=out, width=2000).print(table(verdict(name)))
    (line,) = [line for line in out.getvalue().splitlines() if line.startswith("more data? 加数据？ lora, ")]
    told = interval(curve.step.gain.low, curve.step.gain.high) if curve.step.gain else curve.step.fault
    assert told in line


def test_places_on_the_curve_are_logarithms_of_rows_and_gains():
    found = {60: 0.0, 180: 0.1, 600: 0.3}
    spots = [(rows, charts.Bar(same("x"), same(""), gain, gain - 0.05, gain + 0.05)) for rows, gain in found.items()]
    drawn = charts.curve("c-wide", "wide", "newer", spots, 0.02)
    marks = re.findall(r'<use [^>]*x="([\d.]+)" y="([\d.]+)"[^>]*stroke-width: 2;[^>]*/>', drawn)
    (x1, y1), (x2, y2), (x3, y3) = [(float(x), float(y)) for x, y in marks]
    assert (x2 - x1) / (x3 - x1) == pytest.approx(math.log(3) / math.log(10), abs=1e-4)
    assert (y1 - y2) / (y1 - y3) == pytest.approx(1 / 3, abs=1e-4)
    assert y1 > y3, "more is higher"


@pytest.mark.parametrize("name", CURVES)
def test_the_curve_speaks_both_languages_and_is_linked(name):
    refuse_lone_words(page(name))
    assert 'href="#curve"' in page(name)
