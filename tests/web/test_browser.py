"""Real Chromium, without JavaScript and with the keyboard alone: proposing, deciding, reviewing; and a workspace's
script in the same origin that tries to use the pages.
"""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from fastapi.responses import HTMLResponse
from playwright.sync_api import Browser, BrowserContext, Page

from tests.web.browser import chromium, needs_chromium, sign_in
from tests.web.desk import Desk
from tests.web.site import Site
from tre.outputs.views import show_request
from tre.projects.service import get

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def plain(browser: Browser) -> Iterator[BrowserContext]:
    """A browser whose scripts are switched off."""
    with browser.new_context(java_script_enabled=False, viewport={"width": 1280, "height": 900}) as context:
        yield context


@pytest.fixture
def scripted(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context() as context:
        yield context


class Keys:
    """Somebody who has only a keyboard. `to` tabs until the wanted element has the focus."""

    def __init__(self, context: BrowserContext, site: Site, who: str, path: str) -> None:
        sign_in(context, site.url, site.token(who))
        self.page: Page = context.new_page()
        self.page.goto(site.url + path)

    def to(self, selector: str, most: int = 120) -> "Keys":
        wanted = self.page.locator(selector).first
        for _ in range(most):
            self.page.keyboard.press("Tab")
            if wanted.and_(self.page.locator(":focus")).count():
                return self
        raise AssertionError(f"{selector} is not reached with the Tab key")

    def press(self, *keys: str) -> "Keys":
        for key in keys:
            self.page.keyboard.press(key)
        return self

    def type(self, text: str) -> "Keys":
        self.page.keyboard.type(text)
        return self

    def enter(self) -> "Keys":
        """Presses the focused link or button and waits for the next page."""
        with self.page.expect_navigation():
            self.page.keyboard.press("Enter")
        return self

    @property
    def heading(self) -> str:
        return self.page.locator("h1").inner_text()


def test_a_researcher_proposes_with_the_keyboard(site: Site, plain: BrowserContext):
    keys = Keys(plain, site, "rita", "/tre/")
    keys.to("text=Skip to main content").press("Enter")
    keys.page.wait_for_url("**#main-content")
    keys.page.goto(site.url + "/tre/projects")
    keys.to("main >> text=Propose a project").enter()
    keys.to("input[value=visits]").press("Space")
    keys.to("text=Continue").enter()
    assert keys.heading == "Describe the project"
    keys.to("#title").type("What care costs")
    keys.to("#slug").type("care-costs")
    keys.to("#purpose").type("To learn what care costs.")
    keys.to("#public_benefit").type("Cheaper care.")
    keys.to("#legal_basis").type("Article 6(1)(e)")
    keys.to("input[value=age]").press("Space")
    keys.to("#risk_of_sharing").type("Small cells.")
    end = site.people.clock().date() + timedelta(days=200)
    keys.to("#end_date").type(f"{end:%m%d%Y}")
    keys.to("text=Propose the project").enter()
    assert keys.heading == "Describe the project"
    keys.to("main >> text=Cost of withholding: This must be filled in.").press("Enter")
    assert keys.page.url.endswith("#cost_of_withholding")
    keys.type("Nobody learns.") if keys.page.locator("#cost_of_withholding:focus").count() else keys.to(
        "#cost_of_withholding"
    ).type("Nobody learns.")
    keys.to("text=Propose the project").enter()
    assert keys.heading == "What care costs"
    with site.platform.db.read() as session:
        found = get(session, "care-costs")
        assert (found.state, found.end_date, found.asks[0].columns) == ("proposed", end, ["age"])


def test_an_administrator_decides_with_the_keyboard(site: Site, plain: BrowserContext):
    site.project(approve=False)
    keys = Keys(plain, site, "ada", "/tre/")
    keys.to("text=Decide on the proposal").enter()
    keys.to("input[value=approve]").press("ArrowDown", "Space")
    keys.to("#reason").type("No statistician.")
    keys.to("#code").type("team not")
    keys.to("#would_change").type("One in the team.")
    keys.to("main >> button >> text=Decide").enter()
    assert "The project is refused." in keys.page.inner_text("main")
    with site.platform.db.read() as session:
        decision = get(session, "care-costs").decisions[0]
        assert (decision.code, decision.would_change) == ("team", "One in the team.")


def test_an_output_checker_reviews_with_the_keyboard(site: Site, plain: BrowserContext):
    site.project()
    request = Desk(site).submit()
    keys = Keys(plain, site, "cora", "/tre/")
    keys.to("nav >> text=Review").enter()
    keys.to("text=Visits by sex").enter()
    keys.to("input[value=approve]").press("Space")
    keys.to("text=Keep my votes").enter()
    assert "Your vote is kept." in keys.page.inner_text("main")
    view = show_request(site.platform.db, site.actors["cora"], request)
    assert view.files[0].mine.choice == "approve"


def test_the_focus_is_seen_on_everything_that_takes_it(site: Site, scripted: BrowserContext):
    site.project()
    request = Desk(site).submit()
    for who, path in (
        ("ada", "/tre/projects/care-costs"),
        ("rita", "/tre/propose?dataset=visits"),
        ("cora", f"/tre/requests/{request}"),
    ):
        keys = Keys(scripted, site, who, path)
        seen = 0
        for _ in range(60):
            keys.press("Tab")
            look = keys.page.evaluate(
                """() => { const e = document.activeElement; if (e === document.body) return null;
                    const near = [e, e.nextElementSibling, e.parentElement].filter(Boolean);
                    const styles = near.flatMap(n => [getComputedStyle(n), getComputedStyle(n, '::before')]);
                    return [e.outerHTML.slice(0, 120), styles.some(s =>
                        (s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2) || s.boxShadow !== 'none')]; }"""
            )
            if look is None:
                break
            seen += 1
            assert look[1], look[0]
        assert seen > 5


@pytest.mark.parametrize("width", [320, 1280])
def test_nothing_scrolls_sideways(site: Site, plain: BrowserContext, width: int):
    """WCAG 2.2 success criterion 1.4.10: reflow at 320 pixels."""
    site.project()
    request = Desk(site).submit()
    sign_in(plain, site.url, site.token("cora"))
    page = plain.new_page()
    page.set_viewport_size({"width": width, "height": 800})
    for path in (
        "/tre/",
        "/tre/projects",
        "/tre/projects/care-costs",
        f"/tre/requests/{request}",
        "/tre/datasets/visits",
    ):
        page.goto(site.url + path)
        box = page.locator("html").bounding_box()
        assert box["width"] <= width
        assert page.locator("main").bounding_box()["width"] <= width, path


WORKSPACE = """<!doctype html><title>lab</title><script>
const out = {};
(async () => {
  for (const mode of ['cors', 'same-origin', 'no-cors']) {
    const answer = await fetch('/tre/me', {mode, credentials: 'include'});
    out['fetch ' + mode] = answer.status + ' ' + (await answer.text()).includes('csrf');
  }
  const frame = document.createElement('iframe'); frame.src = '/tre/me'; document.body.append(frame);
  await new Promise(done => { frame.onload = done; setTimeout(done, 2000); });
  try { out.frame = String(frame.contentDocument && frame.contentDocument.body.innerHTML.includes('csrf')); }
  catch (error) { out.frame = 'closed'; }
  const opened = window.open('/tre/me');
  await new Promise(done => setTimeout(done, 1500));
  try { out.opened = String(opened && !opened.closed && opened.document.body.innerHTML.includes('csrf')); }
  catch (error) { out.opened = 'closed'; }
  const body = new URLSearchParams({reason: 'x'});
  const post = await fetch('/tre/projects/care-costs/suspend', {method: 'POST', body});
  out.post = String(post.status);
  document.cookie = 'tre-session=planted; path=/tre/me';
  out.cookie = String(document.cookie.includes('tre-session'));
  document.title = 'done';
  window.found = out;
})();
</script><body>"""


def test_a_workspaces_script_in_the_same_origin_reads_and_changes_nothing(site: Site, scripted: BrowserContext):
    """Notebook outputs run as the person who opened them, on the same host as the pages."""
    site.project()
    site.app.add_api_route("/user/ada/care-costs/lab", lambda: HTMLResponse(WORKSPACE))
    site.app.router.routes.insert(0, site.app.router.routes.pop())
    sign_in(scripted, site.url, site.token("ada"))
    page = scripted.new_page()
    page.goto(f"{site.url}/user/ada/care-costs/lab")
    page.wait_for_function("document.title === 'done'", timeout=20_000)
    found = page.evaluate("window.found")
    assert found == {
        "fetch cors": "403 false",
        "fetch same-origin": "403 false",
        "fetch no-cors": "403 false",
        "frame": found["frame"],
        "opened": found["opened"],
        "post": "403",
        "cookie": "false",
    }
    assert found["frame"] in ("false", "closed", "null")
    assert found["opened"] in ("false", "closed", "null")
    with site.platform.db.read() as session:
        assert get(session, "care-costs").state == "approved"
    # The planted second cookie signs nobody in as somebody else, says so, and is gone after it was seen once.
    page.goto(f"{site.url}/tre/me")
    assert "something on this site planted one" in page.inner_text("main")
    names = [(cookie["name"], cookie["path"]) for cookie in scripted.cookies(f"{site.url}/tre/me")]
    assert ("tre-session", "/tre/me") not in names


def test_the_policy_lets_no_stored_script_run(site: Site, scripted: BrowserContext):
    """Even if a template forgot to escape."""
    site.project()
    sign_in(scripted, site.url, site.token("ada"))
    page = scripted.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("dialog", lambda dialog: (said.append("DIALOG"), dialog.dismiss()))
    page.goto(f"{site.url}/tre/projects/care-costs")
    page.evaluate(
        """() => { const d = document.createElement('div'); d.innerHTML = '<img src=x onerror=alert(1)>';
            document.body.append(d); const s = document.createElement('script'); s.textContent = 'alert(2)';
            document.body.append(s); const i = new Image(); i.src = 'http://127.0.0.1:9/x';
            document.body.append(i); }"""
    )
    page.wait_for_timeout(500)
    assert "DIALOG" not in said
    assert sum("Content Security Policy" in text for text in said) >= 3, said
