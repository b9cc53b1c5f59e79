"""The flips of a page in a real browser: filtered, paged, linked to, by mouse and keyboard; hostile texts stay text."""

from __future__ import annotations

from urllib.parse import quote, unquote

import pytest
from playwright.sync_api import expect
from small_flips import NOTE, ODD, SCRIPT, command, study
from test_report_browser import PATIENCE, chromium, pytestmark  # noqa: F401 (fixture and marks)

from eval.flips import Flips

CHANGES = ("--set", "rule.alternatives=[prompted]")
LICENCE = {"name": "CC-BY-NC-SA-4.0", "url": "https://example.org/by-nc-sa", "commercial": False}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A study with its page, whose letters come from a non-commercial card."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNEWORTH_CARDS", "")
        source = {"repository": "https://example.org/exam"}
        found = study(tmp_path_factory.mktemp("flips"), CHANGES[1], licence=LICENCE, source=source)
        command(found, "judge", *CHANGES)
        command(found, "report", *CHANGES)
    return found


@pytest.fixture
def opened(chromium, made):  # noqa: F811
    """opened(fragment, locale, width) -> the page, unpacked; afterwards: no complaint, no request but the file."""
    noise, asked, contexts = [], [], []
    address = made.run.report.resolve().as_uri()

    def show(fragment: str = "", locale: str = "en-GB", width: int = 1280, before: str = ""):
        context = chromium.new_context(locale=locale, viewport={"width": width, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda message: noise.append(message.text))
        page.on("pageerror", lambda fault: noise.append(str(fault)))
        page.on("request", lambda request: asked.append(request.url.partition("#")[0]))
        if before:
            page.add_init_script(before)
        page.goto(address + fragment)
        page.wait_for_selector("#flips-unable:not([hidden])" if before else "#flips-browser:not([hidden])")
        return page

    yield show
    for context in contexts:
        context.close()
    assert noise == []
    assert set(asked) == {address}


def lead(made) -> list:
    found = Flips.unpacked(made.run.flips)
    return list(found.found(found.contrasts[0]))


def tally(page) -> tuple[int, int, int]:
    told = (page.locator(f"#flips-{name}").inner_text() for name in ("gained", "lost", "net"))
    return tuple(int(text.replace("−", "-").replace("+", "").replace(",", "")) for text in told)


def count(flips) -> tuple[int, int, int]:
    gained = sum(flip.gained for flip in flips)
    return gained, len(flips) - gained, 2 * gained - len(flips)


def title(page) -> str:
    return page.locator("#flips-title").inner_text()


def test_the_figures_are_those_of_the_file(opened, made):
    page, found = opened(), Flips.unpacked(made.run.flips)
    for at, balance in enumerate(found.contrasts):
        page.select_option('[data-sift="contrast"]', str(at))
        assert tally(page) == (balance.gained, balance.lost, balance.net)
        row = page.locator(f'[data-balance="{balance.challenger}-{balance.incumbent}"] td').all_inner_texts()
        assert [int(text.replace("−", "-").replace("+", "")) for text in row] == [
            balance.n, balance.gained, balance.lost, balance.net,
        ]  # fmt: skip
        assert int(page.locator("#flips-count").inner_text()) == balance.gained + balance.lost


def test_filters_leave_what_fits(opened, made):
    page, every = opened(), lead(made)
    chosen = {
        "task": ("numbers", lambda flip: flip.item.task == "numbers"),
        "lang": ("zh", lambda flip: flip.item.lang == "zh"),
        "cause": ("truncated", lambda flip: flip.cause == "truncated"),
        "way": ("lost", lambda flip: not flip.gained),
    }
    for name, (value, fits) in chosen.items():
        page.select_option(f'[data-sift="{name}"]', value)
        assert tally(page) == count([flip for flip in every if fits(flip)]), name
        page.select_option(f'[data-sift="{name}"]', "")
    page.select_option('[data-sift="cause"]', "refused")
    page.select_option('[data-sift="task"]', "letters")
    both = [flip for flip in every if flip.cause == "refused" and flip.item.task == "letters"]
    assert tally(page) == count(both)
    assert title(page) == both[0].item.id
    page.fill("#flips-search", "no such words")
    expect(page.locator("#flips-count")).to_have_text("0", timeout=PATIENCE)
    assert not page.locator("#flips-shown").is_visible()
    page.select_option('[data-sift="cause"]', "")
    page.fill("#flips-search", "WINDOW.hit")
    expect(page.locator("#flips-count")).to_have_text("1", timeout=PATIENCE)
    assert title(page) == ODD


def test_keys_and_pages_go_through_all_of_them(opened, made):
    page, ids = opened(), [flip.item.id for flip in lead(made)]
    rows = page.locator("#flips-list button")
    assert rows.count() == 10
    rows.nth(2).click()
    assert title(page) == ids[2]
    for key, at in (("ArrowDown", 3), ("ArrowUp", 2), ("PageDown", 12), ("End", len(ids) - 1), ("Home", 0)):
        page.keyboard.press(key)
        assert title(page) == ids[at], key
        assert page.evaluate("document.activeElement.getAttribute('aria-current')") == "true"
        assert page.evaluate("decodeURIComponent(location.hash)").endswith(f"/{ids[at]}")
    page.get_by_role("button", name="Next", exact=True).click()
    assert title(page) == ids[10]
    assert page.locator("#flips-page").inner_text() == f"2 / {-(-len(ids) // 10)}"
    page.get_by_role("button", name="Previous", exact=True).click()
    assert title(page) == ids[0]
    assert page.get_by_role("button", name="Previous", exact=True).is_disabled()


def test_a_deep_link_opens_its_question(opened, made):
    link = f"#flip=letters/{quote(ODD, safe='')}"
    page = opened(link, "zh-CN")
    assert title(page) == ODD
    assert page.locator("#flips-list [aria-current]").count() == 1
    assert unquote(page.locator("[data-put=link]").get_attribute("href")) == unquote(link)
    page.evaluate("location.hash = '#flip=letters/nowhere'")
    page.wait_for_selector("#flips-absent:not([hidden])")
    assert "letters/nowhere" in page.locator("#flips-absent").inner_text()
    found = Flips.unpacked(made.run.flips)
    flip = next(flip for flip in found.found(found.contrasts[1]) if "newer" not in flip.item.answers)
    page.evaluate(f"location.hash = '#flip={flip.item.task}/{flip.item.id}&of=lora&against=prompted'")
    page.wait_for_selector("#flips-absent", state="hidden")
    assert title(page) == flip.item.id
    assert page.locator('[data-sift="contrast"]').input_value() == "1"
    assert page.locator(".sides h4 bdi").all_inner_texts() == ["lora", "prompted"]


def test_hostile_questions_and_answers_are_text(opened):
    page = opened(f"#flip=letters/{quote(ODD, safe='')}")
    assert page.evaluate("window.hit") is None
    assert page.locator("#flips script, #flips img, #flips-shown b, #flips-shown strong").count() == 0
    assert page.locator("#flips-shown a").count() == 1
    shown = page.locator("#flips-shown")
    assert shown.locator("[data-put=question]").inner_text().startswith(SCRIPT)
    assert "**bold** [a link](javascript:alert(1))" in shown.locator("[data-put=question]").inner_text()
    assert shown.locator("[data-put=context]").inner_text() == NOTE
    assert shown.locator(".options li").nth(0).inner_text() == SCRIPT
    assert shown.locator("[data-put=question] .sign").all_inner_texts() == ["U+202E", "U+2066", "U+200B"]
    assert not {"\u202e", "\u2066"} & set(page.locator("#flips-browser").inner_text())
    thought = shown.locator("details [data-put=thinking]").first
    assert not thought.is_visible(), "folded"
    shown.locator("summary").first.click()
    assert thought.inner_text() == SCRIPT
    assert page.evaluate("window.hit") is None
    origin = shown.locator("[data-put=origin]").inner_text()
    for words in ("CC-BY-NC-SA-4.0", "https://example.org/exam", "https://example.org/by-nc-sa", "no commercial use"):
        assert words in origin


@pytest.mark.parametrize("width", [390, 820, 1366])
def test_the_browser_fits_its_window_in_both_languages(opened, width):
    for locale, word in (("en-GB", "Right answer"), ("zh-CN", "标准答案")):
        page = opened(f"#flip=letters/{quote(ODD, safe='')}", locale, width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert word in page.locator("#flips-shown").inner_text()
        hidden = ".zh" if locale == "en-GB" else ".en"
        assert page.locator(f"#flips {hidden}:visible").count() == 0
        choices = page.locator('[data-sift="way"] option').all_inner_texts()
        assert choices == (["all", "gained", "lost"] if locale == "en-GB" else ["全部", "得", "失"])


def test_paper_gets_the_figures_and_a_browser_that_cannot_unpack_is_told(opened):
    page = opened()
    page.emulate_media(media="print")
    assert not page.locator("#flips-browser").is_visible()
    assert page.locator("#balances").is_visible()
    assert page.locator("#flips .paper").is_visible()
    page = opened(before="delete window.DecompressionStream")
    assert "cannot be unpacked" in page.locator("#flips-unable").inner_text()
    assert page.locator("#balances").is_visible()
