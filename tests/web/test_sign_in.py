"""Signing in through the real Hub and proxy, with the real internal API behind them; and every way to cheat at it."""

import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.door.parts import door_settings, wait_for
from tests.door.platform import Platform as Door
from tests.fixtures.people import PASSWORD
from tests.web.browser import chromium, needs_chromium
from tests.web.site import Page, Site, Visitor, build_site, serving
from tre.api.app import internal_app
from tre.door.places import Places
from tre.door.proxy import write_traefik_static
from tre.people import service
from tre.people.model import Role
from tre.people.signin import revoke_tokens
from tre.web.headers import ANSWER_HEADERS
from tre.web.hub import Hub

CALLBACK = "/tre/oauth_callback"


class Nothing:
    """The door's tests bring a stand-in for the control plane; here it is the real one."""

    def start(self) -> None: ...
    def stop(self) -> None: ...


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    """Traefik and JupyterHub as `tre up` configures them."""
    settings = door_settings("tre-web-")
    found = Door(settings, Nothing())  # type: ignore[arg-type]
    found.places.prepare()
    url_file = found.places.hub_database_url
    url_file.touch(mode=0o600)
    url_file.write_text(f"sqlite:///{settings.state / 'hub.sqlite'}")
    try:
        for name in ("traefik", "hub"):
            found.start_one(name)
        yield found
    finally:
        for name in ("hub", "traefik"):
            if name in found.processes:
                found.processes[name].stop()
        shutil.rmtree(settings.state.parent, ignore_errors=True)


@dataclass
class Whole:
    """The site behind the door."""

    site: Site
    door: Door

    def visitor(self) -> Visitor:
        return Visitor(self.door.url)

    def at_the_hub(self, visitor: Visitor, page: Page, username: str) -> Page:
        """From our redirect through the Hub's sign-in page back to our callback's address, which is not yet opened."""
        page = visitor.open(page.headers["location"])
        if urlsplit(page.headers["location"]).path.endswith("/hub/login"):
            login = page.headers["location"]
            form = visitor.open(login)
            fields = {
                "username": username,
                "password": PASSWORD,
                "totp": self.site.people.code(username),
            }
            hidden = {field["name"]: field["value"] for field in form.soup.select("form input[type=hidden]")}
            page = visitor.post(login, {**hidden, **fields})
            self.site.people.clock.advance(seconds=90)
            assert page.status == 302, page.words
            page = visitor.open(page.headers["location"])
        assert page.status == 302, page.words
        assert urlsplit(page.headers["location"]).path == CALLBACK
        return page

    def sign_in(self, username: str, path: str = "/tre/") -> tuple[Visitor, Page]:
        visitor = self.visitor()
        begun = visitor.open(f"/tre/sign-in?next={path}")
        back = self.at_the_hub(visitor, begun, username)
        return visitor, visitor.open(back.headers["location"])


@pytest.fixture
def whole(door: Door, bare_site: Site) -> Iterator[Whole]:
    site = build_site(door.settings, bare_site.people, bare_site.projects, bare_site.places)
    site.actors = bare_site.actors
    # The people's clock stands in 2026; the Hub's cookies do not read it.
    with (
        serving(site.app, Places(door.settings).web_port),
        serving(internal_app(site.platform), path=door.settings.internal_socket),
    ):
        yield Whole(site, door)


def test_a_person_signs_in_through_the_hub_and_out_of_both(whole: Whole):
    visitor = whole.visitor()
    asked = visitor.open("/tre/projects")
    assert (asked.status, asked.headers["location"]) == (303, "/tre/sign-in?next=/tre/projects")
    begun = visitor.follow(asked)
    question = parse_qs(urlsplit(begun.headers["location"]).query)
    assert question["code_challenge_method"] == ["S256"]
    assert len(question["state"][0]) >= 43
    landed = visitor.open(whole.at_the_hub(visitor, begun, "rita").headers["location"])
    assert (landed.status, landed.headers["location"]) == (303, "/tre/projects")
    assert "Signed in as rita" in visitor.follow(landed).words
    out = visitor.post("/tre/sign-out", {"csrf": visitor.open("/tre/me").soup.find(attrs={"name": "csrf"})["value"]})
    assert (out.status, out.headers["location"]) == (303, "/hub/logout")
    assert "Signed in" not in visitor.open("/tre/").words
    visitor.open("/hub/logout")
    again = visitor.open(visitor.open("/tre/sign-in").headers["location"])
    assert urlsplit(again.headers["location"]).path == "/hub/login"


def test_cookies_are_strict_about_where_they_go(whole: Whole):
    visitor = whole.visitor()
    begun = visitor.open("/tre/sign-in")
    (attempt,) = begun.cookies
    assert attempt.startswith("tre-sign-in=")
    for flag in ("HttpOnly", "SameSite=lax", "Path=/tre/oauth_callback", "Max-Age=900"):
        assert flag in attempt, flag
    landed = visitor.open(whole.at_the_hub(visitor, begun, "rita").headers["location"])
    session = next(cookie for cookie in landed.cookies if cookie.startswith("tre-session="))
    for flag in ("HttpOnly", "SameSite=lax", "Path=/tre;", "Max-Age=28800"):
        assert flag in session + ";", flag
    assert "Secure" not in session
    secured = Visitor(whole.door.url).open("/tre/sign-in", x_forwarded_proto="https")
    direct = Visitor(Places(whole.door.settings).web_url).open("/tre/sign-in", x_forwarded_proto="https")
    assert "Secure" in direct.cookies[0]
    assert "Secure" not in secured.cookies[0], "the proxy must not believe a browser about its own scheme"


def test_where_people_come_over_https_cookies_are_for_that_alone(whole: Whole, monkeypatch: pytest.MonkeyPatch):
    """TLS ends before our proxy: what the installation says counts, and is told to the parts behind it."""

    def secure() -> set[bool]:
        return {"Secure" in cookie for cookie in whole.visitor().open("/tre/sign-in").cookies}

    assert secure() == {False}
    for said, seen in (("1", {True}), ("0", {False})):
        monkeypatch.setenv("TRE_HTTPS", said)
        write_traefik_static(Places(whole.door.settings))
        wait_for(lambda seen=seen: secure() == seen, "the proxy to read its rules")


def test_a_callback_that_this_browser_did_not_ask_for_is_refused(whole: Whole):
    """Login CSRF: the victim's browser opens the attacker's callback."""
    attacker, victim = whole.visitor(), whole.visitor()
    back = whole.at_the_hub(attacker, attacker.open("/tre/sign-in"), "rob").headers["location"]
    for prepare in (lambda: None, lambda: victim.open("/tre/sign-in")):
        prepare()
        refused = victim.open(back)
        assert (refused.status, refused.heading) == (401, "Sign in")
        assert "not begun in this browser" in refused.words
        assert "tre-session" not in victim.cookies
        assert "Signed in" not in victim.open("/tre/").words


def test_a_code_works_once_and_only_with_its_verifier(whole: Whole):
    visitor = whole.visitor()
    back = whole.at_the_hub(visitor, visitor.open("/tre/sign-in"), "rita").headers["location"]
    attempt = visitor.cookies["tre-sign-in"]
    first = visitor.open(back)
    assert first.status == 303
    replay = Visitor(whole.door.url, {"tre-sign-in": attempt}).open(back)
    assert replay.status == 401
    # The same code with another browser's verifier: PKCE.
    thief = whole.visitor()
    stolen = whole.at_the_hub(visitor, visitor.open("/tre/sign-in"), "rita").headers["location"]
    thief.open("/tre/sign-in")
    state = parse_qs(urlsplit(thief.open("/tre/sign-in").headers["location"]).query)["state"][0]
    code = parse_qs(urlsplit(stolen).query)["code"][0]
    assert thief.open(f"{CALLBACK}?code={code}&state={state}").status == 401


def test_what_a_browser_brings_along_is_never_taken_over(whole: Whole):
    """Session fixation."""
    visitor = whole.visitor()
    planted = whole.site.token("rob")
    visitor.cookies["tre-session"] = planted
    begun = visitor.open("/tre/sign-in")
    visitor.open(whole.at_the_hub(visitor, begun, "rita").headers["location"])
    assert visitor.cookies["tre-session"] != planted
    assert "Signed in as rita" in visitor.open("/tre/").words


def test_nobody_without_an_active_account_gets_in(whole: Whole):
    visitor = whole.visitor()
    back = whole.at_the_hub(visitor, visitor.open("/tre/sign-in"), "rob").headers["location"]
    service.end_account(whole.site.platform.db, whole.site.actors["ada"], username="rob", reason="left")
    refused = visitor.open(back)
    assert (refused.status, "has ended meanwhile" in refused.words) == (401, True)
    assert "Signed in" not in visitor.open("/tre/").words


@pytest.mark.parametrize("owner_is_back", [False, True])
def test_a_callback_from_before_everything_ended_opens_no_session(whole: Whole, owner_is_back: bool):
    """A thief keeps callbacks of a stolen session ready, and opens one when the owner has signed out everywhere."""
    thief = whole.visitor()
    back = whole.at_the_hub(thief, thief.open("/tre/sign-in"), "rob").headers["location"]
    revoke_tokens(whole.site.platform.db, whole.site.actors["rob"], username="rob")
    if owner_is_back:
        whole.sign_in("rob")
    refused = thief.open(back)
    assert (refused.status, "tre-session" in thief.cookies) == (401, False)
    assert "Signed in" not in thief.open("/tre/").words


def sign_out(site: Site) -> None:
    revoke_tokens(site.platform.db, site.actors["rob"], username="rob")


def end_account(site: Site) -> None:
    service.end_account(site.platform.db, site.actors["ada"], username="rob", reason="left")


@pytest.mark.parametrize(
    ("end", "status", "told"), [(sign_out, 401, "was ended meanwhile"), (end_account, 403, "This account has ended.")]
)
def test_what_ends_while_the_hub_answers_ends_this_too(
    whole: Whole, monkeypatch: pytest.MonkeyPatch, end: Callable[[Site], None], status: int, told: str
):
    visitor, asked = whole.visitor(), Hub.session

    def then_everything_ends(*arguments: object) -> object:
        answer = asked(*arguments)
        end(whole.site)
        return answer

    monkeypatch.setattr(Hub, "session", then_everything_ends)
    back = whole.at_the_hub(visitor, visitor.open("/tre/sign-in"), "rob").headers["location"]
    refused = visitor.open(back)
    assert (refused.status, told in refused.words) == (status, True)
    assert "tre-session" not in visitor.cookies


def test_roles_come_from_our_database_at_every_request(whole: Whole):
    visitor, _ = whole.sign_in("cora")
    assert "Review" in [a.get_text(strip=True) for a in visitor.open("/tre/").soup.nav.find_all("a")]
    service.take_role(whole.site.platform.db, whole.site.actors["ada"], username="cora", role=Role.checker)
    assert "Review" not in [a.get_text(strip=True) for a in visitor.open("/tre/").soup.nav.find_all("a")]


@pytest.mark.parametrize("query", ["", "?code=x", "?state=x", "?code=x&state=x", "?error=access_denied&state=x"])
def test_broken_callbacks_are_refused_in_words(whole: Whole, query: str):
    refused = whole.visitor().open(CALLBACK + query)
    assert (refused.status, refused.heading) == (401, "Sign in")
    assert "not begun in this browser" in refused.words


@needs_chromium
def test_a_real_browser_signs_in_and_out(whole: Whole):
    with chromium() as browser, browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{whole.door.url}/tre/projects")
        page.fill("input[name=username]", "rita")
        page.fill("input[name=password]", PASSWORD)
        page.fill("input[name=totp]", whole.site.people.code("rita"))
        page.keyboard.press("Enter")
        page.wait_for_url("**/tre/projects")
        assert page.locator("h1").inner_text() == "Projects"
        (cookie,) = [cookie for cookie in context.cookies() if cookie["name"] == "tre-session"]
        assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Lax", "/tre")
        page.click("text=Sign out")
        page.wait_for_url("**/hub/log*")
        page.goto(f"{whole.door.url}/tre/me")
        page.wait_for_url("**/hub/login**")


def test_a_part_that_does_not_answer_is_told_on_a_page_of_ours(whole: Whole):
    """Last: the Hub stays down."""
    whole.door.processes["hub"].stop(signal.SIGKILL)
    for path in ("/hub/home", "/nonsense"):
        page = whole.visitor().open(path)
        assert (page.status, page.heading) == (502, "Not available just now"), path
        assert {name: page.headers.get(name) for name in ANSWER_HEADERS} == ANSWER_HEADERS, path
        assert page.headers["x-frame-options"] == "DENY"
    assert whole.visitor().open("/tre/").status == 200
