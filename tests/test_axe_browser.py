"""axe-core finds no serious violation on page and leaderboard, in both languages, wide and narrow, light and dark."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from small_board import command, made, studies  # noqa: F401 (fixtures)
from test_flips_browser import made as study  # noqa: F401 (fixture)
from test_report_browser import PATIENCE, chromium, pytestmark  # noqa: F401 (fixture and marks)
from verdict_samples import curved, sample

from eval.report import render
from eval.report.words import OUTCOMES

VIEWS = [("en-GB", 1366, "light"), ("zh-CN", 820, "dark")]


def faults(chromium, address: str, view: tuple[str, int, str], ready: str = "main") -> list[str]:  # noqa: F811
    """What axe-core calls serious or critical: rule, place and reason."""
    locale, width, scheme = view
    page = chromium.new_page(locale=locale, viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.set_default_timeout(PATIENCE)
    page.goto(address)
    page.wait_for_selector(ready)
    found = Axe().run(page).response
    page.close()
    assert len(found["passes"]) > 15, "the rules were run"
    return [
        f"{fault['id']}: {node['target']} {node['failureSummary']}"
        for fault in found["violations"] if fault["impact"] in ("serious", "critical") for node in fault["nodes"]
    ]  # fmt: skip


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: f"{view[0]} {view[1]} {view[2]}")
def test_the_page_with_flips_is_accessible(chromium, study, view):  # noqa: F811
    assert faults(chromium, study.run.report.resolve().as_uri(), view, "#flips-browser:not([hidden])") == []


@pytest.mark.parametrize("name", ["curve", "invalid", "plumbing"])
def test_pages_with_other_sections_are_accessible(chromium, tmp_path, name):  # noqa: F811
    path = tmp_path / "page.html"
    path.write_text(render(curved() if name == "curve" else sample(name)), "utf-8")
    assert faults(chromium, path.as_uri(), VIEWS[0]) == []


def test_the_colours_of_every_outcome_can_be_read(chromium, study):  # noqa: F811
    page = chromium.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(study.run.report.resolve().as_uri())
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for outcome in OUTCOMES:
            page.evaluate("(name) => { document.documentElement.className = name; }", outcome)
            found = Axe().run(page, "#banner", {"runOnly": ["color-contrast"]}).response
            assert (found["violations"], len(found["passes"])) == ([], 1), (scheme, outcome)
    page.close()


def test_a_fault_would_be_found(chromium, tmp_path):  # noqa: F811
    path = tmp_path / "page.html"
    planted = '<main><button></button><p style="color: #bbb">pale</p>'
    path.write_text(render(sample("invalid")).replace("<main>", planted), "utf-8")
    assert {fault.partition(":")[0] for fault in faults(chromium, path.as_uri(), VIEWS[0])} == {
        "button-name", "color-contrast",
    }  # fmt: skip


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: f"{view[0]} {view[1]} {view[2]}")
def test_the_leaderboard_is_accessible(chromium, made, view):  # noqa: F811
    assert faults(chromium, (made[0] / "leaderboard.html").as_uri(), view) == []
