"""Real Chromium for the pages' tests, and the same for screenshots."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

CHROMIUM = Path(os.environ.get("TRE_CHROMIUM", "/usr/bin/chromium"))
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
needs_chromium = pytest.mark.skipif(not CHROMIUM.exists(), reason="NOT RUN: chromium is missing")


@contextmanager
def chromium() -> Iterator[Browser]:
    """One browser; `with browser.new_context(…)` is one person's, with cookies of its own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


def sign_in(context: BrowserContext, url: str, token: str) -> None:
    """As after the Hub's answer: the session cookie and nothing else."""
    context.clear_cookies()
    context.add_cookies(
        [{"name": "tre-session", "value": token, "url": f"{url}/tre", "httpOnly": True, "sameSite": "Lax"}]
    )
