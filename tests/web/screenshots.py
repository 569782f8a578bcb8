"""`python -m pytest tests/web/screenshots.py`: a picture of every page into build/screenshots/web/, wide and narrow.

Not collected with the tests: it judges nothing, people look at what it makes.
"""

from pathlib import Path

import pytest

from tests.web.browser import chromium, needs_chromium, sign_in
from tests.web.scenes import furnish_story
from tests.web.site import Site

SHOTS = Path(__file__).parents[2] / "build" / "screenshots" / "web"
WIDTHS = {"wide": 1280, "narrow": 390}


@needs_chromium
@pytest.mark.timeout(600)
def test_screenshots(site: Site, tmp_path: Path):
    pages = furnish_story(site, tmp_path)
    SHOTS.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        for width, pixels in WIDTHS.items():
            context = browser.new_context(viewport={"width": pixels, "height": 900}, java_script_enabled=False)
            page = context.new_page()
            for name, (who, path, steps) in pages.items():
                if who:
                    sign_in(context, site.url, site.token(who))
                else:
                    context.clear_cookies()
                page.goto(site.url + path)
                for step in steps:
                    page.click(step)
                page.screenshot(path=SHOTS / f"{name}-{width}.png", full_page=True)
            context.close()
