"""Signing in, starting, reaching and stopping a workspace through Traefik, the Hub and the guard."""

import json
import signal
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.door.conftest import LONG
from tests.door.parts import wait_for
from tests.door.platform import PASSWORD, Person, Platform, hidden
from tre.door.hub import SERVER_SCOPES, USER_SCOPES, WEB_CLIENT_ID, WEB_REDIRECT, hub_settings
from tre.door.internal_api import read_secret
from tre.door.places import Places
from tre.door.proxy import HEADERS, rules, traefik_static
from tre.settings import Settings

#: Seconds: `Spawner.http_timeout`.
ANSWERS_WITHIN = 30


@pytest.fixture
def alice(platform: Platform) -> Person:
    person = Person(platform, "alice")
    assert "Your workspaces" in person.sign_in().text
    return person


def events(platform: Platform) -> list[str]:
    return [call[2]["event"] for call in platform.api.calls if call[1].endswith("/events")]


def test_journey(platform: Platform, alice: Person):
    """Start, work, stop; each step told to the control plane, no token of the Hub in the workspace."""
    if "jupyter-config-data" in alice.http.get("/user/alice/heart/lab").text:
        alice.stop("heart")  # another module's tests share this platform and may have left it running
    page = alice.start("heart")
    assert "jupyter-config-data" in page.text, platform.log("hub")
    assert page.url.path == "/user/alice/heart/lab"
    assert events(platform)[-1] == "running"
    (platform.home("alice", "heart") / "a.txt").write_text("hello")
    answer = alice.api("heart", "GET", "api/contents/a.txt")
    assert answer.json()["content"] == "hello", platform.log("guard")
    inside = platform.runtime.exec_in(platform.plans[-1], ["/bin/sh", "-c", "cat /proc/*/environ; env"]).stdout
    route = json.loads(platform.places.routes_file.read_text())[-1]
    assert route["hub_api_token"].encode() not in inside
    assert b"JUPYTERHUB" not in inside
    alice.stop("heart")
    assert events(platform)[-1] == "stopped"
    assert alice.api("heart", "GET", "api/contents/a.txt").status_code in {404, 424}
    assert not platform.places.routes_file.read_text().count("/user/alice/heart/")


def test_no_log_shows_a_cookie_or_a_password(platform: Platform, alice: Person):
    alice.http.get("/hub/home")
    told = "".join((platform.settings.state / f"{name}.log").read_text(errors="replace") for name in platform.processes)
    values = {cookie.name: cookie.value for cookie in alice.http.cookies.jar}
    assert {"jupyterhub-session-id", "jupyterhub-hub-login", "_xsrf"} <= set(values)
    assert not [name for name, value in values.items() if value in told]
    assert PASSWORD not in told


def test_refusals_of_the_sign_in_are_told(platform: Platform):
    person = Person(platform, "alice")
    answer = person.sign_in(totp="000000")
    assert "The name, the password or the code is wrong." in answer.text
    assert person.http.get("/hub/home").url.path == "/hub/login"
    assert "script" not in answer.text


def test_headers_of_hub_pages(platform: Platform):
    answer = httpx.get(f"{platform.url}/hub/login")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "script" not in policy
    assert answer.headers["x-frame-options"] == "DENY"
    cookies = answer.headers.get_list("set-cookie")
    assert all("SameSite=" in cookie and "HttpOnly" in cookie for cookie in cookies), cookies


def test_nobody_else_gets_in(platform: Platform, alice: Person):
    """Another person of the same project, signed in, is refused at the Hub's OAuth and at the guard."""
    alice.start("heart")
    bob = Person(platform, "bob")
    bob.sign_in()
    answer = bob.http.get("/user/alice/heart/lab")
    assert answer.status_code == 403, answer.text
    assert "jupyter-config-data" not in answer.text
    page = bob.http.get("/hub/home")
    form = {"_xsrf": hidden(page)} if 'name="_xsrf"' in page.text else {}
    assert bob.http.post("/hub/stop/alice/heart", data=form).status_code in {403, 404}
    assert bob.http.post("/hub/spawn/alice/lung", data=form).status_code in {403, 404}
    alice.stop("heart")


def test_what_does_not_exist(platform: Platform, alice: Person):
    assert alice.http.get("/hub/token").status_code == 404
    assert alice.http.get("/hub/admin").status_code == 404
    assert alice.http.get("/hub/spawn").url.path == "/hub/home"
    assert alice.http.get("/hub/spawn/alice").url.path == "/hub/home"
    page = alice.http.get("/hub/home")
    answer = alice.http.post("/hub/api/users/alice/tokens", headers={"X-XSRFToken": hidden(page)}, json={})
    assert answer.status_code == 403
    answer = alice.http.post("/hub/api/users/alice/server", headers={"X-XSRFToken": hidden(page)})
    assert answer.status_code == 403


def test_a_link_starts_nothing(platform: Platform, alice: Person):
    """A page elsewhere may lead a signed-in person anywhere; only our own form, with its token, starts a workspace."""
    plans = len(platform.plans)
    for address in (
        "/hub/spawn/alice/heart",
        "/hub/spawn/alice/heart?opt-x=1",
        "/hub/spawn/alice/heart?next=/hub/home",
    ):
        page = alice.http.get(address)
        assert (page.status_code, 'method="post"' in page.text) == (200, True), page.text
    assert alice.http.post("/hub/spawn/alice/heart").status_code == 403
    assert alice.http.post("/hub/spawn/alice/heart", data={"_xsrf": "x"}).status_code == 403
    assert alice.http.get("/hub/spawn/alice/nowhere").status_code == 404
    assert alice.http.get("/hub/spawn/bob/heart").status_code == 404
    assert len(platform.plans) == plans
    assert "Not running" in alice.http.get("/hub/home").text


def test_the_proxys_own_answers_carry_our_headers(platform: Platform):
    """Nothing listens where the pages should be: the proxy itself answers for them."""
    for path in ("/tre/", "/tre/api/v1/health", "/tre"):
        answer = httpx.get(platform.url + path)
        assert answer.status_code == 502
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS, path


def test_the_inactive_are_signed_out(platform: Platform):
    platform.add_person("carol", "heart")
    carol = Person(platform, "carol")
    carol.sign_in()
    assert carol.http.get("/hub/home").url.path == "/hub/home"
    platform.api.people["carol"]["active"] = False
    wait_for(lambda: carol.http.get("/hub/home").url.path == "/hub/login", "carol to be signed out", 60)


def test_what_was_signed_in_before_a_new_round_ends_everywhere_and_the_workspace_goes_on(platform: Platform):
    platform.add_person("dora", "heart")
    before, beside = Person(platform, "dora"), Person(platform, "dora")
    for dora in (before, beside):
        dora.sign_in()
    before.start("heart")
    assert before.api("heart", "GET", "api/status").status_code == 200
    platform.api.people["dora"]["session_round"] = 1
    # Whoever holds an old cookie gets no new session out of it, not even at once.
    asked = beside.http.get("/hub/api/oauth2/authorize", params={"client_id": "x", "response_type": "code"})
    assert asked.url.path == "/hub/login"
    for dora in (before, beside):
        assert dora.http.get("/hub/home").url.path == "/hub/login"
    wait_for(lambda: before.api("heart", "GET", "api/status").status_code == 403, "the guard to hear of it", 60)
    after = Person(platform, "dora")
    after.sign_in()
    assert "Running" in after.http.get("/hub/home").text
    assert before.http.get("/hub/home").url.path == "/hub/login"
    after.stop("heart")
    # The Hub's own way of sending people back to its sign-in page is no error of ours.
    log = (platform.settings.state / "hub.log").read_text(errors="replace")
    assert [line for line in log.splitlines() if "AttributeError" in line] == []


def code_for_the_pages(person: Person) -> str:
    """What the Hub gives a signed-in browser on the way to the pages; it never arrives there."""
    question = {"client_id": WEB_CLIENT_ID, "redirect_uri": WEB_REDIRECT, "response_type": "code", "state": "x"}
    answer = person.http.get("/hub/api/oauth2/authorize", params=question, follow_redirects=False)
    assert answer.status_code == 302, answer.text
    return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]


def session_for(platform: Platform, code: str) -> dict | int:
    """What the pages learn of the code; a status where they learn nothing."""
    secret = read_secret(platform.places.secret("tre-web.secret"))
    form = {"client_id": WEB_CLIENT_ID, "client_secret": secret, "grant_type": "authorization_code", "code": code}
    answer = httpx.post(f"{platform.places.hub_api_url}/oauth2/token", data={**form, "redirect_uri": WEB_REDIRECT})
    if answer.status_code != 200:
        return answer.status_code
    bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    asked = httpx.get(f"{platform.places.hub_api_url}/session", headers=bearer)
    return asked.json() if asked.status_code == 200 else asked.status_code


def test_a_code_from_before_a_new_round_opens_nothing_in_it(platform: Platform):
    """Whoever had a stolen session has its codes ready: neither at once nor after the owner signed in again do they
    count.
    """
    platform.add_person("edda", "heart")
    thief = Person(platform, "edda")
    thief.sign_in()
    assert session_for(platform, code_for_the_pages(thief)) == {"kind": "user", "name": "edda", "session_round": 0}
    early, late = code_for_the_pages(thief), code_for_the_pages(thief)
    platform.api.people["edda"]["session_round"] = 1
    assert session_for(platform, early) == 403
    owner = Person(platform, "edda")
    owner.sign_in()
    assert session_for(platform, late) == 400
    assert session_for(platform, code_for_the_pages(owner)) == {"kind": "user", "name": "edda", "session_round": 1}


def test_who_was_let_in_just_before_a_new_round_is_not_in_it(platform: Platform):
    platform.add_person("finn", "heart")
    platform.api.people["finn"]["session_round"] = 1
    platform.api.judged["finn"] = 0
    late = Person(platform, "finn")
    assert "was ended meanwhile" in late.sign_in().text
    assert late.http.get("/hub/home").url.path == "/hub/login"
    del platform.api.judged["finn"]
    assert "Your workspaces" in late.sign_in().text


def test_while_nobody_can_say_who_is_who_nobodys_session_ends(platform: Platform):
    """Neither where the Hub asks at once, nor where guards ask it about pages and websockets."""
    platform.add_person("gail", "heart")
    gail = Person(platform, "gail")
    gail.sign_in()
    gail.start("heart")
    platform.api.silent = True
    try:
        asked = gail.http.get("/hub/api/oauth2/authorize", params={"client_id": "x", "response_type": "code"})
        assert (asked.status_code, asked.url.path) == (503, "/hub/api/oauth2/authorize")
        assert "do not answer" in asked.text
        wait_for(lambda: gail.api("heart", "GET", "api/status").status_code == 503, "the guard to ask again", 60)
    finally:
        platform.api.silent = False
    # The guard, which cannot count what goes out meanwhile, opens again by itself: in the same session.
    wait_for(lambda: gail.api("heart", "GET", "api/status").status_code == 200, "the guard to hear of it", 60)
    assert gail.http.get("/hub/home").url.path == "/hub/home"
    gail.stop("heart")


def test_the_hub_may_die(platform: Platform, alice: Person):
    """After kill -9 of the Hub the workspace still answers, and the new Hub knows it and stops it."""
    alice.start("lung")
    platform.processes["hub"].stop(signal.SIGKILL)
    assert alice.api("lung", "GET", "api/status").status_code == 200
    platform.start_one("hub")
    assert alice.api("lung", "GET", "api/status").status_code == 200
    assert "Running" in alice.http.get("/hub/home").text
    alice.stop("lung")
    assert platform.runtime.poll(platform.plans[-1]) is not None
    assert events(platform)[-1] == "stopped"


def test_a_hub_that_begins_while_no_guard_is_there_ends_nothing(platform: Platform, alice: Person):
    """The Hub of its own ends what does not answer within half a minute."""
    alice.start("lung")
    before = events(platform)
    for name in ("hub", "guard"):
        platform.processes[name].stop(signal.SIGKILL)
    platform.start_one("hub")
    time.sleep(ANSWERS_WITHIN + 5)
    assert events(platform) == before
    platform.start_one("guard")
    wait_for(lambda: "still running" in platform.log("hub"), "the Hub to see that it answers", 30)
    assert alice.api("lung", "GET", "api/status").status_code == 200
    alice.stop("lung")
    assert events(platform)[len(before) :] == ["stopped"]


@pytest.mark.skipif(not LONG, reason="TRE_TEST_LONG: guard and intake killed under a running workspace")
def test_guard_and_intake_may_die(platform: Platform, alice: Person):
    alice.start("lung")
    for name in ("guard", "intake"):
        platform.processes[name].stop(signal.SIGKILL)
        platform.start_one(name)
    assert alice.api("lung", "GET", "api/status").status_code == 200
    assert (platform.settings.intake_sockets / platform.plans[-1]["workspace_id"] / "intake.sock").is_socket()
    alice.stop("lung")


def test_a_workspace_that_ends_by_itself(platform: Platform, alice: Person):
    alice.start("lung")
    platform.runtime.stop(platform.plans[-1])
    wait_for(lambda: events(platform)[-1] in {"failed", "stopped"}, "the end to be told", 30)
    wait_for(lambda: alice.api("lung", "GET", "api/status").status_code in {404, 424}, "the route to go", 10)


# Whole objects.

PLACES = Places(Settings(state=Path("/s"), run=Path("/r"), port=9000))


def test_traefik_is_on_loopback_with_one_port_for_people():
    found = traefik_static(PLACES)
    assert found["entryPoints"]["http"]["address"] == "127.0.0.1:9000"
    assert found["entryPoints"]["auth_api"] == {"address": "127.0.0.1:9004"}
    assert found["providers"]["file"] == {"filename": "/s/door/rules.toml", "watch": True}
    assert found["global"] == {"checkNewVersion": False, "sendAnonymousUsage": False}
    assert found["entryPoints"]["http"]["http"]["middlewares"] == ["tre-headers@file", "tre-away@file"]
    assert rules("http://127.0.0.1:9003", https=True)["http"]["middlewares"]["tre-headers"] == {
        "headers": {"customResponseHeaders": HEADERS, "customRequestHeaders": {"X-Forwarded-Proto": "https"}}
    }
    assert rules("http://127.0.0.1:9003") == {
        "http": {
            "routers": {
                "tre-web": {
                    "rule": "PathPrefix(`/tre/`) || Path(`/tre`)",
                    "service": "tre-web",
                    "entryPoints": ["http"],
                },
                "tre-nobody": {
                    "rule": "PathPrefix(`/`)",
                    "priority": 1,
                    "middlewares": ["tre-nobody"],
                    "service": "tre-web",
                    "entryPoints": ["http"],
                },
            },
            "services": {
                "tre-web": {"loadBalancer": {"servers": [{"url": "http://127.0.0.1:9003"}], "passHostHeader": True}}
            },
            "middlewares": {
                "tre-headers": {"headers": {"customResponseHeaders": HEADERS}},
                "tre-away": {"errors": {"status": ["502", "504"], "service": "tre-web", "query": "/tre/away"}},
                "tre-nobody": {"replacePath": {"path": "/tre/nothing-here"}},
            },
        }
    }


def test_hub_settings():
    found = hub_settings(PLACES, database_url="d", proxy_password="p", web_secret="w", secure=True)
    assert found["Authenticator"]["admin_users"] == set()
    assert found["Authenticator"]["auth_refresh_strict"] is True
    assert found["JupyterHub"]["tornado_settings"]["cookie_options"] == {"samesite": "Lax", "secure": True}
    assert found["JupyterHub"]["hub_bind_url"] == "http://127.0.0.1:9001"
    assert not any("token" in scope or "admin" in scope for scope in USER_SCOPES + SERVER_SCOPES)
