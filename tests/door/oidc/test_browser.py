"""The same with Chromium: cookies, redirects between two sites and the pages as people meet them."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.door.oidc.house import House, needs_provider
from tests.web.browser import chromium, needs_chromium
from tre.people import identities, terminal
from tre.people.signin import actor_of_token

pytestmark = [needs_provider, needs_chromium]


@pytest.fixture
def page() -> Iterator[Page]:
    with chromium() as browser, browser.new_context() as context:
        yield context.new_page()


def there(page: Page, person: str) -> None:
    page.fill("#person", person)
    page.click("#go")


def test_from_the_sign_in_page_to_the_projects_and_a_terminal(house: House, page: Page):
    begun = terminal.begin(house.people.db, scope="all")
    page.goto(f"{house.url}/tre/terminal")
    page.click("text=Sign in at Example University")
    there(page, "s-alice")
    page.wait_for_url(f"{house.url}/tre/terminal")
    page.fill("#code", begun.code)
    page.click("text=Sign it in")
    page.wait_for_selector("text=The terminal is signed in as you")
    token, *_ = terminal.take(house.people.db, secret=begun.secret)
    assert actor_of_token(house.people.db, token, writes=True).username == "alice"


def test_an_invitation_from_the_page_that_asks_for_it(house: House, page: Page):
    """The cookie that holds who signed in goes to our own form alone, and does arrive there."""
    code, _ = identities.invite(house.people.db, house.people.admin, username="bob")
    page.goto(f"{house.url}/hub/login")
    page.click("text=Sign in at Example University")
    there(page, "s-bob")
    page.wait_for_selector("text=not known here")
    page.fill("#code", code)
    page.click("text=Link this account")
    page.click("text=Sign in at Example University")
    there(page, "s-bob")
    page.wait_for_url(f"{house.url}/hub/home")
    assert re.search(r"\bbob\b", page.inner_text("header"))
