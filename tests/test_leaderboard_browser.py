"""The leaderboard's page in a real browser: it switches language, filters, sorts, and asks nobody for anything."""

from __future__ import annotations

import pytest
from small_board import command, made, studies  # noqa: F401 (fixtures)
from test_report_browser import chromium, pytestmark  # noqa: F401 (fixtures and marks)


@pytest.fixture
def page(chromium, made):  # noqa: F811
    """The open page; afterwards: no complaint in the console, no request but the file itself."""
    noise, asked = [], []
    context = chromium.new_context(locale="en-GB", viewport={"width": 1280, "height": 900})
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
