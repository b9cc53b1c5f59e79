"""A picture of the top of a page of ours, for the README: `python -m tests.picture PAGE.html PICTURE.png`.

Chromium draws it as a reader in English sees it, 1,200 pixels wide; 64 colours keep it small.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

CHROMIUM, WIDTH = "/usr/bin/chromium", 1200


def taken(page: Path, height: int) -> bytes:
    """PNG of the first `height` pixels."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        shown = browser.new_page(locale="en-GB", viewport={"width": WIDTH, "height": height})
        shown.goto(page.resolve().as_uri())
        drawn = shown.screenshot()
        browser.close()
    out = io.BytesIO()
    Image.open(io.BytesIO(drawn)).convert("RGB").quantize(64).save(out, "PNG", optimize=True)
    return out.getvalue()


def main() -> None:
    told = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    told.add_argument("page", type=Path)
    told.add_argument("picture", type=Path)
    told.add_argument("--height", type=int, default=1500)
    given = told.parse_args()
    given.picture.write_bytes(taken(given.page, given.height))


if __name__ == "__main__":
    main()
