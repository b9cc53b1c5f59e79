"""The page in a real browser: it switches language, sorts, tells the verdict's numbers and asks nobody for anything."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from verdict_samples import curved, sample

CHROMIUM = Path("/usr/bin/chromium")
PATIENCE = 120_000  # milliseconds: a page that takes longer hangs; no measure of speed
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium: apt-get install chromium fonts-noto-cjk"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run's folder with verdict.json and report.html side by side."""
    from eval.report import render

    made, place = sample("worth_it"), tmp_path_factory.mktemp("run")
    (place / "verdict.json").write_text(made.model_dump_json(indent=1), "utf-8")
    (place / "report.html").write_text(render(made), "utf-8")
    return place


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=list(ARGUMENTS), timeout=PATIENCE)
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium, folder):
    """opened(locale, width) -> the page; afterwards: no complaint in the console, no request but the file itself."""
    noise, asked, contexts = [], [], []

    def show(locale: str = "en-GB", width: int = 1280):
        context = chromium.new_context(locale=locale, viewport={"width": width, "height": 900})
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: noise.append(message.text))
        page.on("pageerror", lambda fault: noise.append(str(fault)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto((folder / "report.html").as_uri())
        return page

    yield show
    for context in contexts:
        context.close()
    assert noise == []
    assert set(asked) == {(folder / "report.html").as_uri()}


def test_delta_on_the_page_is_that_of_the_json(opened, folder):
    verdict = json.loads((folder / "verdict.json").read_text("utf-8"))
    facts = opened().locator("#facts")
    for name in ("gain", "low", "high"):
        assert float(facts.get_attribute(f"data-delta-{name}")) == verdict["delta"][name]
    assert float(facts.get_attribute("data-margin")) == verdict["margin"]
    told = [verdict["deciding"], verdict["delta"]] if verdict["deciding"] else [verdict["delta"]]
    for each, shown in zip(told, facts.locator("dd").all_inner_texts()[::2], strict=False):  # gain, interval, gain, ...
        assert float(shown.split()[0].replace("−", "-")) == pytest.approx(100 * each["gain"], abs=0.05)


def test_the_language_follows_the_reader_and_the_switch(opened):
    page = opened("zh-CN")
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    assert page.locator("h1").inner_text().strip() == "值得"
    page.get_by_role("button", name="English").click()
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("h1").inner_text().strip() == "Worth it"
    assert page.title().startswith("Worth it")
    assert page.locator("#gains-caption").inner_text().startswith("Gains")
    assert page.locator(".en:visible").count() > 100
    assert page.locator(".zh:visible").count() == 0
    page.get_by_role("button", name="中文").click()
    assert page.locator(".en:visible").count() == 0
    assert page.get_by_role("button", name="中文").get_attribute("aria-pressed") == "true"


def test_words_in_the_drawings_switch_too(opened):
    page = opened("en-US")
    wide = page.locator("figure .wide").first
    assert "harmful" in wide.inner_text()
    page.get_by_role("button", name="中文").click()
    assert "有害" in wide.inner_text()
    assert "harmful" not in wide.inner_text()


def test_the_leaderboard_sorts_by_mouse_and_by_keyboard(opened, folder):
    verdict = json.loads((folder / "verdict.json").read_text("utf-8"))
    scores = {c["name"]: c["score"] for c in verdict["contenders"]}
    page = opened()

    def order():
        rows = page.locator("#leaderboard tbody tr")
        return [rows.nth(at).get_attribute("data-contender") for at in range(rows.count())]

    assert order() == sorted(scores, key=scores.get, reverse=True)
    page.get_by_role("button", name="Contender").click()
    assert order() == sorted(scores)
    score = page.locator("#leaderboard th").filter(has_text="Score")
    score.locator("button").click()
    assert order() == sorted(scores, key=scores.get, reverse=True)
    score.locator("button").focus()
    page.keyboard.press("Enter")
    assert order() == sorted(scores, key=scores.get)
    assert score.get_attribute("aria-sort") == "ascending"
    assert page.locator("#leaderboard th[aria-sort]").count() == 1


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_the_page_fits_its_window(opened, width):
    page = opened("zh-CN", width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    shown = "slim" if width < 672 else "wide"
    assert page.locator(f"figure .{shown}:visible").count() == 7
    assert page.locator(f"figure .{'wide' if shown == 'slim' else 'slim'}:visible").count() == 0


@pytest.mark.parametrize("names", [{}, {"newer": "qwen3_8b_analyst_zh", "demo_label": "研报情绪三分类与公告要点_gen"}])
def test_words_of_the_drawings_stay_inside_and_apart(chromium, folder, names):
    """In both languages and both shapes no word leaves its drawing or lies on another."""
    from eval.report import render
    from eval.verdict import Verdict
    from eval.verdict.predictions import Prediction

    line = (folder / "verdict.json").read_text("utf-8")
    for old, new in names.items():
        line = line.replace(f'"{old}"', f'"{new}"')
    told = [Prediction(contender=names.get("newer", "newer"), kind=kind, predicted=1, measured=ratio, basis=basis)
            for kind, basis, ratio in PREDICTED]  # fmt: skip
    for margin in (0.02, 0.0, -0.05):
        more = {"margin": margin, "predictions": told}
        made = render(Verdict.model_validate_json(line).model_copy(update=more))
        for locale in ("en-GB", "zh-CN"):
            for width in (390, 1280):
                page = chromium.new_page(locale=locale, viewport={"width": width, "height": 900})
                page.set_content(made, timeout=PATIENCE)
                assert page.evaluate(COLLISIONS) == [], (margin, locale, width)
                page.close()


@pytest.mark.parametrize("rows", [(60, 180, 600), (540, 590, 600)])
def test_words_of_the_curve_stay_inside_and_apart(chromium, rows):
    """Shares far apart and close together, one of them without a sound score, and a long name."""
    from eval.report import render
    from eval.verdict import Verdict

    for hole in ("", "lora_0.3"):
        made = curved(hole)
        spread = [p.model_copy(update={"rows": n}) for p, n in zip(made.curves[0].points, rows, strict=True)]
        curve = made.curves[0].model_copy(update={"points": tuple(spread)})
        line = made.model_copy(update={"curves": (curve,)}).model_dump_json()
        drawn = render(Verdict.model_validate_json(line.replace('"newer"', '"qwen3_8b_analyst_zh"')))
        for locale, width in (("en-GB", 390), ("zh-CN", 390), ("en-GB", 1280), ("zh-CN", 1280)):
            page = chromium.new_page(locale=locale, viewport={"width": width, "height": 900})
            page.set_content(drawn, timeout=PATIENCE)
            assert page.locator("#curve figure svg:visible").count() == 1
            assert page.get_by_role("img", name="lora").count() >= 1
            assert page.evaluate(COLLISIONS) == [], (hole, locale, width)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            page.close()


PREDICTED = [("memory", None, 1.09), ("tuning", "second step", 0.82), ("tokens", None, 0.03), ("campaign", None, 900)]
COLLISIONS = """() => {
  const faults = [];
  for (const svg of document.querySelectorAll("figure div > svg")) {
    const frame = svg.getBoundingClientRect();
    if (!frame.width) continue;
    const words = [...svg.querySelectorAll("text")].map((t) => [t.textContent, t.getBoundingClientRect()]);
    words.forEach(([said, a], i) => {
      if (a.left < frame.left - 2 || a.right > frame.right + 2) faults.push("outside: " + said);
      for (const [other, b] of words.slice(i + 1)) {
        const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (wide > 2 && high > 4) faults.push(said + " on " + other);
      }
    });
  }
  return faults;
}"""


def test_print_hides_the_controls_and_keeps_the_wide_drawings(opened):
    page = opened("en-GB", 720)
    page.emulate_media(media="print")
    assert not page.locator(".tongue").is_visible()
    assert page.locator("figure .wide:visible").count() == 7
    assert page.evaluate("document.documentElement.scrollWidth") <= 720


def test_tables_go_on_upon_the_next_sheet_under_their_head(opened):
    """What Chromium asks of a head before it repeats it: nothing in it that is a box of its own."""
    page = opened("en-GB", 720)
    page.emulate_media(media="print")
    boxes = "[...document.querySelectorAll('thead *')].filter(e => getComputedStyle(e).display.startsWith('inline-'))"
    assert page.locator("thead button").count() > 5
    assert page.evaluate(f"{boxes}.length") == 0
    assert page.evaluate("getComputedStyle(document.querySelector('tbody tr')).breakInside") == "avoid"
    assert len(re.findall(rb"/Type /Page\b", page.pdf(format="A4"))) > 4


def test_what_goes_on_beyond_an_edge_shows_it(opened):
    shaded = "getComputedStyle(document.querySelector('#leaderboard').closest('.scroll')).backgroundImage"
    assert "gradient" in opened("en-GB", 390).evaluate(shaded)
