"""Signing in at a real identity provider, through the real Hub; and every way to come in as somebody else."""

import time
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.door.oidc.house import REFRESH, SECOND_FACTOR, House, at_the_provider, hidden, needs_provider, sign_in
from tests.door.parts import wait_for
from tests.fixtures.people import PASSWORD
from tre.people import identities
from tre.people.signin import SignedIn, issue_token

pytestmark = needs_provider


def last_refusal(house: House) -> tuple[str, str]:
    refused = [event for event in house.events("person.sign_in") if event["outcome"] == "refused"]
    return refused[-1]["detail"]["code"], refused[-1]["detail"]["message"]


def steps(browser: httpx.Client, url: str) -> list[httpx.Response]:
    """Each redirect by itself, up to the first page."""
    found = [browser.get(url, follow_redirects=False)]
    while found[-1].is_redirect:
        found.append(browser.get(found[-1].headers["location"], follow_redirects=False))
    return found


def stopped_before_callback(house: House, browser: httpx.Client, person: str = "s-alice") -> str:
    """A sign-in up to the address that the provider sends the browser back to, which is not opened."""
    page = browser.get("/hub/oauth_login")
    browser.follow_redirects = False
    try:
        answer = at_the_provider(page, browser, person, SECOND_FACTOR)
        while "/hub/oauth_callback" not in answer.headers["location"]:
            answer = browser.get(answer.headers["location"])
        return str(answer.headers["location"])
    finally:
        browser.follow_redirects = True


def signed_in(browser: httpx.Client) -> bool:
    return browser.get("/hub/home").url.path == "/hub/home"


def test_a_person_signs_in_at_the_provider(house: House):
    browser = house.browser()
    page = browser.get("/hub/home")
    assert "Sign in at Example University" in page.text
    landed = sign_in(browser)
    assert (landed.status_code, landed.url.path) == (200, "/hub/home"), landed.text + house.log()
    assert "Your workspaces" in landed.text
    assert house.events("person.sign_in")[-1]["actor"] == "alice"
    # The pages of the control plane ask the Hub, and so are open as well.
    assert ">alice</a>" in browser.get("/tre/sign-in").text


def test_the_way_there_carries_state_nonce_and_challenge(house: House):
    browser = house.browser()
    (begun, *_) = steps(browser, "/hub/oauth_login?next=/hub/home")
    question = parse_qs(urlsplit(begun.headers["location"]).query)
    assert question["response_type"] == ["code"]
    assert question["code_challenge_method"] == ["S256"]
    assert question["redirect_uri"] == [f"{house.url}/hub/oauth_callback"]
    assert len(question["nonce"][0]) >= 43
    (cookie,) = [value for value in begun.headers.get_list("set-cookie") if value.startswith("oauthenticator-state")]
    for flag in ("HttpOnly", "SameSite=Lax", "Path=/hub/oauth_callback"):
        assert flag in cookie
    assert question["nonce"][0] not in cookie or "|" in cookie, "signed, not free to write"
    again = steps(house.browser(), "/hub/oauth_login")[0]
    other = parse_qs(urlsplit(again.headers["location"]).query)
    assert all(question[name] != other[name] for name in ("state", "nonce", "code_challenge"))


@pytest.mark.parametrize("wanted", ["https://e.example/", "//e.example", "/\\e.example", "javascript:alert(1)"])
def test_nobody_is_sent_elsewhere_afterwards(house: House, wanted: str):
    landed = sign_in(house.browser(), next=wanted)
    assert str(landed.url).startswith(house.url), landed.url


def test_an_identity_of_nobody_stays_outside_whatever_it_is_called(house: House):
    """The provider says of everybody: e-mail bob@uni.example, user name bob, group administrator."""
    browser = house.browser()
    page = sign_in(browser, "s-nobody")
    assert (page.status_code, "s-nobody" in page.text) == (403, True)
    assert last_refusal(house)[0] == "identity_unknown"
    assert not signed_in(browser)
    roles = sign_in(house.browser(), "s-alice")
    assert roles.status_code == 200
    assert house.people.actor("alice").roles == {"researcher"}


@pytest.mark.parametrize("amr", ["pwd", "", "OTP", "otpx", "pwd-otp"])
def test_without_a_second_factor_nobody_comes_in(house: House, amr: str):
    browser = house.browser()
    page = sign_in(browser, amr=amr)
    assert (page.status_code, "without a second factor" in page.text) == (403, True)
    assert last_refusal(house)[0] == "second_factor"
    assert not signed_in(browser)


def test_a_callback_that_this_browser_did_not_begin_is_refused(house: House):
    """Login CSRF and code injection: the victim's browser opens the attacker's callback."""
    house.link("bob", "s-bob")
    attacker, victim = house.browser(), house.browser()
    planted = stopped_before_callback(house, attacker, "s-bob")
    answer = victim.get(planted)
    assert (answer.status_code, "not begun in this browser" in answer.text) == (403, True)
    assert last_refusal(house)[0] == "state"
    # The victim has an attempt of their own, too: its state, the attacker's code.
    own = stopped_before_callback(house, victim)
    code = parse_qs(urlsplit(planted).query)["code"][0]
    mixed = httpx.URL(own).copy_set_param("code", code)
    answer = victim.get(str(mixed))
    assert answer.status_code == 403
    assert last_refusal(house)[0] == "provider_refused", "the challenge of one browser does not open another's code"
    assert not signed_in(victim)


def test_a_callback_is_taken_once(house: House):
    browser = house.browser()
    back = stopped_before_callback(house, browser)
    kept = dict(browser.cookies)
    assert browser.get(back).url.path == "/hub/home"
    assert browser.get(back).status_code == 403
    assert last_refusal(house)[0] == "state"
    thief = house.browser()
    for name, value in kept.items():
        if name == "oauthenticator-state":
            thief.cookies.set(name, value, domain="127.0.0.1", path="/hub/oauth_callback")
    assert thief.get(back).status_code == 403, "the code is used up"
    assert not signed_in(thief)


@pytest.mark.parametrize(
    "query", ["", "?code=x", "?state=", "?code=x&state=e30=", "?error=a&error_description=b&state=%00"]
)
def test_callbacks_out_of_nowhere(house: House, query: str):
    answer = house.browser().get(f"/hub/oauth_callback{query}")
    assert (answer.status_code, "not begun in this browser" in answer.text) == (403, True)


def test_nothing_that_a_link_wrote_is_shown(house: House):
    browser = house.browser()
    (begun, *_) = steps(browser, "/hub/oauth_login")
    state = parse_qs(urlsplit(begun.headers["location"]).query)["state"][0]
    words = {
        "state": state,
        "error": "access_denied",
        "error_description": "Call 0900 12345",
        "iss": house.provider.issuer,
    }
    answer = browser.get("/hub/oauth_callback", params=words)
    assert (answer.status_code, "0900" in answer.text) == (403, False)


@pytest.mark.parametrize("issuer", ["", "https://evil.example"])
def test_an_answer_of_another_provider_is_refused(house: House, issuer: str):
    """Mix-up (RFC 9207): the provider always says who answers."""
    browser = house.browser()
    back = httpx.URL(stopped_before_callback(house, browser)).copy_set_param("iss", issuer)
    assert browser.get(str(back)).status_code == 403
    assert last_refusal(house)[0] == "issuer"


def test_who_has_an_identity_does_not_come_in_by_password(house: House):
    browser = house.browser()
    form = browser.get("/hub/login")
    fields = {"_xsrf": hidden(form), "username": "alice", "password": PASSWORD, "totp": house.people.code("alice")}
    answer = browser.post("/hub/login", data=fields)
    assert (answer.status_code, "through the identity provider" in answer.text) == (403, True)
    # The administrator has none, and is the one who links.
    fields |= {"_xsrf": hidden(answer), "username": "ada", "totp": house.people.code("ada")}
    assert browser.post("/hub/login", data=fields).url.path == "/hub/home"


def test_an_invitation_is_shown_after_signing_in_there(house: House):
    code, _ = identities.invite(house.people.db, house.people.admin, username="bob")
    browser = house.browser()
    page = sign_in(browser, "s-bob")
    wrong = browser.post("/hub/invitation", data={"_xsrf": hidden(page), "code": "x" * 32})
    assert (wrong.status_code, "unknown, used, or too old" in wrong.text) == (403, True)
    linked = browser.post("/hub/invitation", data={"_xsrf": hidden(wrong), "code": code})
    assert "Your account is linked" in linked.text
    landed = sign_in(browser, "s-bob")
    assert landed.url.path == "/hub/home", landed.text
    assert house.events("person.sign_in")[-1]["actor"] == "bob"
    # Nobody else, and not without having signed in there.
    assert house.browser().post("/hub/invitation", data={"code": code}).status_code == 403


def test_a_provider_that_is_down_is_named(house: House):
    house.provider.control(down=True)
    answer = house.browser().get("/hub/oauth_login")
    assert answer.status_code in (502, 503)
    house.provider.control(down=False)


def session_of(house: House, username: str = "alice") -> str:
    who = SignedIn(username, username.title(), frozenset(), 0)
    return issue_token(house.people.db, who, scope="all", via="cli")[0]


def api(house: House, token: str) -> int:
    url = f"{house.url}/tre/api/v1/me"
    return httpx.get(url, headers={"Authorization": f"Bearer {token}"}).status_code


def test_who_leaves_the_provider_is_out_within_the_refresh_time(house: House):
    browser = house.browser()
    assert sign_in(browser).url.path == "/hub/home"
    token = session_of(house)
    assert api(house, token) == 200
    house.provider.control(people=["s-bob", "s-nobody"])
    wait_for(lambda: house.events("identity.lose"), "the loss: " + house.log(), REFRESH + 3)
    assert api(house, token) == 401
    wait_for(lambda: not signed_in(browser), "the Hub's session to end", 15)
    assert browser.get("/tre/me").url.path != "/tre/me"
    (lost,) = house.events("identity.lose")
    assert (lost["subject"], lost["outcome"]) == ("person:alice", "done")
    assert "no longer confirms" in lost["detail"]["reason"]
    with house.people.db.read() as session:
        (closed,) = identities.obstacles(session, "alice", house.people.clock())
        assert closed.code == "sign_in_lapsed"


def test_who_stays_is_asked_about_again_and_again_and_notices_nothing(house: House):
    browser = house.browser()
    sign_in(browser)
    for _ in range(2):
        house.people.clock.advance(seconds=30)
        wanted = house.people.clock().timestamp() + REFRESH + 60
        wait_for(lambda wanted=wanted: until(house) == wanted, "a confirmation: " + house.log(), REFRESH + 5)
    assert signed_in(browser)
    assert not house.events("identity.lose") + house.events("identity.unconfirmed")


def until(house: House) -> float:
    from tre.people.service import get_person

    with house.people.db.read() as session:
        found = get_person(session, "alice").confirmed_until
        return found.timestamp() if found else 0


def test_a_provider_that_is_away_ends_nobody_before_the_grace_and_everybody_after(house: House):
    browser = house.browser()
    sign_in(browser)
    token = session_of(house)
    house.provider.control(down=True)
    wait_for(lambda: house.events("identity.unconfirmed"), "the absence: " + house.log(), REFRESH + 5)
    held = until(house)
    assert api(house, token) == 200
    assert "hold until" in browser.get("/hub/home").text
    house.people.clock.advance(seconds=REFRESH + 60 + 1)
    assert api(house, token) == 401
    wait_for(lambda: not signed_in(browser), "the Hub's session to be closed", 15)
    assert until(house) == held
    # It is back: what was open is open again, unasked.
    house.provider.control(down=False)
    wait_for(lambda: api(house, token) == 200, "the provider's word", REFRESH + 10)
    assert not house.events("identity.lose")


def test_a_removed_identity_is_not_asked_about_any_more(house: House):
    browser = house.browser()
    sign_in(browser)
    gone = {"issuer": house.provider.issuer, "subject": "s-alice"}
    identities.remove_identity(house.people.db, house.people.admin, username="alice", **gone)
    wait_for(lambda: not signed_in(browser), "the Hub's session to end", 20)
    # The provider may be asked once more; then the control plane knows nothing of it, and the token is forgotten.
    wait_for(lambda: questions(house), "the last question", 2 * REFRESH)
    time.sleep(2 * REFRESH)
    assert questions(house) == ["refused"]


def questions(house: House) -> list[str]:
    """What came of asking about alice; the Hub may still hold somebody of an earlier test."""
    return [event["outcome"] for event in house.events("identity.confirm") if event["subject"] == "person:alice"]


def test_the_refresh_token_lies_encrypted_and_nowhere_else(house: House):
    browser = house.browser()
    sign_in(browser)
    stored = (house.door.settings.state / "hub.sqlite").read_bytes()
    log = (house.door.settings.state / "hub.log").read_text(errors="replace")
    for word in (b"refresh_token", b"s-alice"):
        assert word not in stored
    assert "code_verifier" not in log
    assert "secret-of-tre" not in log
