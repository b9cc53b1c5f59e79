"""The leaderboard's page in a real browser: it switches language, filters, sorts, and asks nobody for anything."""

from __future__ import annotations

import json
import re

import pytest
from small_board import command, made, studies  # noqa: F401 (fixtures)
from test_report_browser import PATIENCE, chromium, pytestmark  # noqa: F401 (fixtures and marks)

from eval.leaderboard import Board
from eval.leaderboard.page import render


@pytest.fixture
def page(chromium, made):  # noqa: F811
    """The open page; afterwards: no complaint in the console, no request but the file itself."""
    noise, asked = [], []
    context = chromium.new_context(locale="en-GB", viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE)
    shown = context.new_page()
    shown.on("console", lambda message: noise.append(message.text))
    shown.on("pageerror", lambda fault: noise.append(str(fault)))
    shown.on("request", lambda request: asked.append(request.url))
    address = (made[0] / "leaderboard.html").as_uri()
    shown.goto(address)
    yield shown
    context.close()
    assert noise == []
    assert asked == [address]


def rows(page):
    return page.locator(".slice:not([hidden]) .tiers tbody tr:not([hidden])")


def test_filters_hide_rows_and_change_the_part_of_the_exam(page):
    assert rows(page).count() == 10
    page.select_option('[data-facet="method"]', "lora")
    assert rows(page).count() == 2
    assert page.locator("#shown").inner_text() == "2"
    page.select_option('[data-facet="method"]', "")
    page.select_option("#slice", label="letters")
    assert "letters" in page.locator(".slice:not([hidden]) h3").inner_text()
    assert rows(page).count() == 10


def test_any_two_can_be_laid_side_by_side(page):
    duels = page.locator(".slice:not([hidden]) .duels tbody tr:not([hidden])")
    assert duels.count() == 45
    page.select_option("#one", "first/lora")
    assert duels.count() == 9
    page.select_option("#other", "second/newer")
    assert duels.count() == 1


def test_languages_switch_and_heads_sort(page):
    page.get_by_role("button", name="中文").click()
    assert page.title() == "排行榜 · tuneworth"
    assert page.locator("h1").inner_text() == "排行榜"
    page.locator(".slice:not([hidden]) .tiers th button").nth(3).click()
    page.locator(".slice:not([hidden]) .tiers th button").nth(3).click()
    scores = [float(cell.get_attribute("data-value")) for cell in rows(page).locator("td:nth-child(4)").all()]
    assert scores == sorted(scores)


NAMED = re.compile("old|lora|prefix|newer|prompted")


def test_names_beside_their_marks_cover_nothing(chromium, made):  # noqa: F811
    """Ten contenders of nearly one price: no name lies on another, on a mark or on an interval, nor leaves the plot."""
    found = json.loads((made[0] / "leaderboard.json").read_text("utf-8"))
    for at, card in enumerate(found["contenders"]):
        card["cost"] = 1 + 0.02 * (at % 5) + 0.4 * (at // 5)
    text = json.dumps(found).replace("second/", "qwen3_8b_analyst/")
    drawn = render(Board.model_validate_json(text))
    for width in (390, 1280):
        page = chromium.new_page(locale="en-GB", viewport={"width": width, "height": 900})
        page.set_content(drawn, timeout=PATIENCE)
        assert page.locator("#cost svg:visible text").filter(has_text=NAMED).count() == 10
        assert page.evaluate(COVERED) == [], width
        page.close()


COVERED = """() => {
  const svg = [...document.querySelectorAll("#cost div > svg")].find((each) => each.getBoundingClientRect().width);
  const frame = svg.getBoundingClientRect(), faults = [];
  const names = [...svg.querySelectorAll("text")].filter((t) => /old|lora|prefix|newer|prompted/.test(t.textContent));
  const lines = [...svg.querySelectorAll("path")].map((p) => p.getBoundingClientRect());
  const bars = lines.filter((r) => r.width < 4 && r.height > 4);
  const ink = [...bars, ...[...svg.querySelectorAll("use")].map((u) => u.getBoundingClientRect())];
  if (bars.length < 10 || ink.length < 20) faults.push("no marks: " + ink.length);
  const boxes = names.map((t) => t.getBoundingClientRect());
  const over = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 &&
    Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3;
  boxes.forEach((a, i) => {
    if (a.left < frame.left - 1 || a.right > frame.right + 1) faults.push("outside: " + names[i].textContent);
    for (const b of [...boxes.slice(i + 1), ...ink]) if (over(a, b)) faults.push(names[i].textContent);
  });
  return faults;
}"""
