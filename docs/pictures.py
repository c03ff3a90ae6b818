"""Take the pictures of the map that the documentation shows: ``make demo``, then ``python docs/pictures.py``."""

# ruff: noqa: INP001

from __future__ import annotations

import io
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
MAP = ROOT / "runs" / "demo" / "map.html"
SITE = "S007"


def open_map(page: Page) -> None:
    """Show the demo's map."""
    page.goto(MAP.as_uri())
    page.wait_for_timeout(2000)


def keep(page: Page, name: str) -> None:
    """Write what is seen, in 256 colours: a third of the bytes."""
    seen = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    seen.quantize(256, dither=Image.Dither.NONE).save(ROOT / "docs" / "images" / name, optimize=True)


def main() -> None:
    """Write ``docs/images/map.png`` and ``docs/images/map-phone.png``."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 860}, offline=True)
        open_map(page)
        page.get_by_placeholder("Find a site").fill(SITE)
        page.get_by_role("row").filter(has_text=SITE).click()
        page.get_by_placeholder("Find a site").fill("")
        page.evaluate("document.activeElement.blur()")
        page.wait_for_timeout(1500)
        keep(page, "map.png")

        page = browser.new_page(viewport={"width": 360, "height": 740}, color_scheme="dark", offline=True)
        open_map(page)
        keep(page, "map-phone.png")
        browser.close()


if __name__ == "__main__":
    main()
