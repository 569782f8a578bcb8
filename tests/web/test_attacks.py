"""Attacks on the pages: forged forms, stolen and planted sessions, odd methods and bodies. Script is in test_markup."""

import re

import pytest
from fastapi.routing import APIRoute
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures.people import PASSWORD
from tests.web.site import Page, Site, Visitor
from tre.audit.service import events
from tre.errors import Conflict, Forbidden, Unauthenticated
from tre.people import service as people
from tre.people import terminal
from tre.people.model import Role
from tre.projects.service import get
from tre.web.app import ROUTERS
from tre.web.form import MOST_BYTES
from tre.web.headers import ANSWER_HEADERS, check_origin
from tre.web.session import session_token
from tre.web.sign_in import safe_next

FILLED = {
    "slug": "care-costs",
    "dataset": "visits",
    "username": "rita",
    "request_id": "1",
    "position": "1",
    "grant_id": "1",
    "workspace_id": "w",
    "step": "suspend",
    "act": "withdraw",
}
PUBLIC_GETS = {"/tre/", "/tre/away", "/tre/register", "/tre/sign-in", "/tre/oauth_callback"}


def routes(method: str) -> list[str]:
    """Every path that takes this method, its parameters filled in."""
    found = [r.path for router in ROUTERS for r in router.routes if isinstance(r, APIRoute) and method in r.methods]
    return ["/tre" + re.sub(r"{(\w+)}", lambda name: FILLED[name[1]], path) for path in found]


POSTS = routes("POST")


def refusals(site: Site) -> list[dict]:
    with site.platform.db.read() as session:
        return [event for event in events(session, limit=1000) if event["action"] == "web.submit"]


def done(site: Site) -> int:
    with site.platform.db.read() as session:
        return len([event for event in events(session, limit=1000) if event["outcome"] == "done"])


def test_every_form_is_refused_without_this_sessions_token(care: Site):
    assert len(POSTS) >= 16
    ada, other = care.visitor("ada"), care.visitor("adam")
    foreign = str(other.open("/tre/me").soup.find(attrs={"name": "csrf"})["value"])
    before = done(care)
    for path in POSTS:
        for token in ({}, {"csrf": ""}, {"csrf": foreign}, {"csrf": ["x", "y"]}, {"csrf": "é"}):
            page = ada.post(path, {**token, "reason": "x", "decision": "approve"})
            assert (page.status, "does not belong to your session" in page.words) == (403, True), (path, token)
    assert done(care) == before
    assert len(refusals(care)) == 5 * len(POSTS)
    assert {event["actor"] for event in refusals(care)} == {"ada"}


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "none"},
        {"sec_fetch_mode": "cors"},
        {"sec_fetch_mode": "no-cors"},
        {"sec_fetch_dest": "iframe"},
    ],
)
def test_forms_from_elsewhere_are_refused_even_with_the_token(care: Site, headers: dict[str, str]):
    ada = care.visitor("ada")
    token = str(ada.open("/tre/me").soup.find(attrs={"name": "csrf"})["value"])
    for path in POSTS:
        assert ada.post(path, {"csrf": token, "reason": "x"}, **headers).status == 403, path
    assert len(refusals(care)) == len(POSTS)


@pytest.mark.parametrize("origin", ["", "null", "http://evil.example", "https://127.0.0.1.evil.example", "file://"])
def test_browsers_without_fetch_metadata_must_name_our_origin(care: Site, origin: str):
    ada = care.visitor("ada")
    token = str(ada.open("/tre/me").soup.find(attrs={"name": "csrf"})["value"])
    body = f"csrf={token}&reason=x"
    form = {"content_type": "application/x-www-form-urlencoded"}
    path = "/tre/projects/care-costs/suspend"
    assert ada.send("POST", path, body, **form, **({"origin": origin} if origin else {})).status == 403
    assert ada.send("POST", path, body, **form, origin=care.url).status == 303


def test_every_page_sends_every_header(care: Site):
    ada = care.visitor("ada")
    pages = [(path, ada.open(path)) for path in routes("GET")]
    pages += [("405", ada.send("PUT", "/tre/projects")), ("static", ada.open("/tre/static/tre.css"))]
    for path, page in pages:
        for name, value in ANSWER_HEADERS.items():
            assert page.headers.get(name) == value, (path, name)
        assert not re.search(r"<script|javascript:|\son\w+=|\sstyle=|<style|<iframe|<object|<base", page.text), path


def test_nothing_but_the_public_pages_opens_without_a_session(care: Site):
    visitor = care.visitor()
    for path in routes("GET"):
        page = visitor.open(path)
        if path.split("?")[0] in PUBLIC_GETS:
            continue
        expected = 401 if path.endswith("/picture") else 303
        if "/picture" not in path:
            assert (page.status, page.headers.get("location", "").split("?")[0]) == (expected, "/tre/sign-in"), path
    for path in POSTS:
        page = visitor.post(path, {"reason": "x"})
        assert (page.status, page.heading) == (401, "Sign in"), path


def test_scripts_and_frames_get_no_page(care: Site):
    """Workspaces share the host: what runs there must not read a page and its form token."""
    ada = care.visitor("ada")
    for path in ("/tre/", "/tre/me", "/tre/projects/care-costs/decide", "/tre/register"):
        for headers in (
            {"sec_fetch_mode": "cors"},
            {"sec_fetch_dest": "empty"},
            {"sec_fetch_mode": "cors", "sec_fetch_dest": "empty"},
            {"sec_fetch_mode": "same-origin", "sec_fetch_dest": "empty"},
            {"sec_fetch_mode": "no-cors", "sec_fetch_dest": "script"},
            {"sec_fetch_mode": "navigate", "sec_fetch_dest": "iframe"},
            {"sec_fetch_mode": "navigate", "sec_fetch_dest": "object"},
        ):
            page = ada.send("GET", path, sec_fetch_site="same-origin", **headers)
            assert (page.status, "csrf" in page.text) == (403, False), (path, headers)


def test_sessions_end(care: Site):
    ada, rita = care.visitor("ada"), care.visitor("rita")
    stolen = Visitor(care.url, dict(rita.cookies))
    page = rita.open("/tre/me")
    out = rita.post("/tre/sign-out", {"csrf": page.soup.find(attrs={"name": "csrf"})["value"]})
    assert out.headers["location"] == "/hub/logout"
    assert stolen.open("/tre/me").status == 303, "revoked on the server, not only forgotten by the browser"
    assert ada.open("/tre/me").status == 200
    care.people.clock.advance(hours=8, seconds=1)
    assert ada.open("/tre/me").status == 303
    rob = care.visitor("rob")
    people.end_account(care.platform.db, care.actors["ada"], username="rob", reason="left")
    assert rob.open("/tre/me").status == 303


def test_a_changed_password_signs_out_everywhere_and_is_never_shown(care: Site):
    rita, elsewhere = care.visitor("rita"), care.visitor("rita")
    page = rita.open("/tre/me/password")
    new, code = " a new horse, another battery", care.people.code("rita")
    typed = {"password": PASSWORD, "totp": code, "new": new}
    other = rita.submit(page, again=new.strip(), **typed)
    assert (other.status, list(other.problems.values())) == (422, ["again"])
    wrong = rita.submit(page, again=new, **typed | {"password": "wrong horse battery"})
    assert wrong.status == 401
    for shown in (other, wrong):
        assert not [secret for secret in (PASSWORD, "wrong horse", new.strip(), code) if secret in shown.text]
    assert elsewhere.open("/tre/me").status == 200
    done = rita.submit(page, again=new, **typed)
    assert (done.status, done.headers["location"]) == (303, "/tre/sign-in")
    for visitor in (rita, elsewhere):
        assert visitor.open("/tre/me").status == 303


def test_only_a_web_session_opens_pages_and_only_one(care: Site):
    cli = Visitor(care.url, {"tre-session": care.token("ada", via="cli")})
    assert cli.open("/tre/me").status == 303
    own, planted = care.token("ada"), care.token("rob")
    for first, second in ((own, planted), (planted, own), (own, own)):
        page = Visitor(care.url).open("/tre/me", cookie=f"tre-session={first}; tre-session={second}")
        assert (page.status, page.heading) == (401, "Sign in"), "two session cookies: somebody plants one"
        assert {cookie.split("Path=")[1].split(";")[0] for cookie in page.cookies} == {
            "/tre", "/tre/", "/tre/me", "/tre/me/",
        }  # fmt: skip
    read_only = Visitor(care.url, {"tre-session": care.token("ada", scope="read")})
    token = read_only.open("/tre/me").soup.find(attrs={"name": "csrf"})["value"]
    assert read_only.post("/tre/projects/care-costs/suspend", {"csrf": token, "reason": "x"}).status == 403


def test_a_token_in_the_address_or_a_header_opens_nothing(care: Site):
    token = care.token("ada")
    visitor = care.visitor()
    assert visitor.open(f"/tre/me?tre-session={token}").status == 303
    assert visitor.open("/tre/me", authorization=f"Bearer {token}").status == 303


def test_roles_are_read_at_every_request(care: Site):
    ada = care.visitor("adam")
    assert ada.open("/tre/decisions").status == 200
    people.take_role(care.platform.db, care.actors["ada"], username="adam", role=Role.administrator)
    assert ada.open("/tre/decisions").status == 403
    page = ada.open("/tre/me")
    fields = {"csrf": page.soup.find(attrs={"name": "csrf"})["value"], "reason": "x"}
    assert ada.post("/tre/projects/care-costs/suspend", fields).status == 403
    with care.platform.db.read() as session:
        assert get(session, "care-costs").state == "approved"


def test_methods_are_not_confused(care: Site):
    ada = care.visitor("ada")
    token = str(ada.open("/tre/me").soup.find(attrs={"name": "csrf"})["value"])
    path = "/tre/projects/care-costs/suspend"
    fetch = {"sec_fetch_site": "same-origin", "sec_fetch_mode": "navigate"}
    ada.open(f"{path}?csrf={token}&reason=x&_method=POST", x_http_method_override="POST")
    for method in ("PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECTX"):
        form = {"content_type": "application/x-www-form-urlencoded"}
        assert ada.send(method, path, f"csrf={token}&reason=x", **form, **fetch).status in (400, 405), method
    page = ada.post("/tre/projects", {"csrf": token})
    assert (page.status, page.heading) == (405, "Not possible here")
    assert page.headers["allow"] == "GET"
    with care.platform.db.read() as session:
        assert get(session, "care-costs").state == "approved"


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{}", "application/json", 422),
        (b"csrf=x", "", 422),
        (b"csrf=x", "text/plain", 422),
        (b"--b\r\n", "multipart/form-data; boundary=b", 422),
        (b"csrf=%ff%fe", "application/x-www-form-urlencoded", 422),
        (b"\xff\xfe", "application/x-www-form-urlencoded", 422),
        (b"a&b&c", "application/x-www-form-urlencoded", 422),
        (b"a=1&" * 6000, "application/x-www-form-urlencoded", 422),
        (b"a=" + b"x" * MOST_BYTES, "application/x-www-form-urlencoded", 413),
    ],
)
def test_what_is_no_form_of_ours_is_refused_in_words(care: Site, body: bytes, kind: str, status: int):
    ada = care.visitor("ada")
    headers = {"sec_fetch_site": "same-origin", "sec_fetch_mode": "navigate", "content_type": kind}
    page = ada.send("POST", "/tre/me", body, **headers)
    assert page.status == status
    assert page.soup.h1 is not None
    assert "form" in page.words


@pytest.mark.parametrize("value", ["\x00", "a\x00b", "\x1b[31m", "x" * 5000, "\ud7ff\ufeff"])
def test_odd_texts_are_refused_by_the_same_rules_as_elsewhere(care: Site, value: str):
    ada = care.visitor("ada")
    form = ada.open("/tre/projects/care-costs/suspend")
    page = ada.submit(form, reason=value)
    assert page.status in (303, 422)
    for path in (f"/tre/projects/{value}", f"/tre/datasets/{value}", f"/tre/propose?dataset={value}"):
        if value.isprintable():
            assert ada.open(path.encode("ascii", "ignore").decode()).status in (404, 422, 403), path


def test_addresses_that_no_page_has(care: Site):
    ada = care.visitor("ada")
    for path in ("/tre/projects/a%2Fb", "/tre/projects/..%2f..%2fetc", "/tre/requests/abc", "/tre/requests/-1",
                 "/tre/requests/99999999999999999999", "/tre/static/../app.py", "/tre/static/%2e%2e/app.py",
                 "/tre/projects?page=99999999999999999999", "/tre/requests?after=x", "/tre/datasets/%00",
                 "/tre/projects/%00/decide", "/tre/grants/99999999999999999999999/end"):  # fmt: skip
        page = ada.open(path)
        assert page.status in (200, 403, 404, 422), (path, page.status, page.words)
        assert "Traceback" not in page.text
    for path in (
        "/tre/projects/%00/suspend",
        "/tre/requests/1/%00",
        "/tre/workspaces/%ED%A0%80/stop",
        "/tre/%F0%9F%92%A9",
    ):
        assert ada.post(path, {"reason": "x"}).status in (403, 404, 405, 422), path


def test_signing_in_leads_back_to_the_page_with_its_question(care: Site):
    page = care.visitor().open("/tre/requests?project=care-costs&state=released")
    assert page.headers["location"] == "/tre/sign-in?next=/tre/requests%3Fproject%3Dcare-costs%26state%3Dreleased"
    assert safe_next("/tre/requests?project=care-costs&state=released").endswith("state=released")


def test_programs_get_no_page_for_a_missing_call(care: Site):
    answer = care.visitor("ada").send("GET", "/tre/api/v1/nothing")
    assert (answer.status, answer.headers["content-type"]) == (404, "application/json")


@given(st.lists(st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=30), max_size=3))
def test_cookies_are_read_without_surprise(headers: list[str]):
    try:
        token = session_token(headers)
    except Unauthenticated:
        return
    assert token == "" or sum(header.count("tre-session=") for header in headers) >= 1


def test_a_navigation_from_anywhere_may_look_but_not_change():
    check_origin("GET", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"})
    check_origin("GET", {})
    with pytest.raises(Forbidden):
        check_origin("POST", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"})
    with pytest.raises(Forbidden):
        check_origin("POST", {})


def test_an_unexpected_error_tells_nothing(site: Site, monkeypatch: pytest.MonkeyPatch):
    def explode(*_: object, **__: object) -> Page:
        raise RuntimeError("a secret")

    monkeypatch.setattr("tre.web.home.tasks", explode)
    page = site.visitor("ada").open("/tre/")
    assert (page.status, page.heading) == (500, "Something went wrong")
    assert "a secret" not in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


def test_a_terminal_is_let_in_by_its_owners_own_form_alone(care: Site):
    """A link, another's form, or an address with the code in it let nobody in."""
    begun = terminal.begin(care.platform.db, scope="all")
    rita = care.visitor("rita")
    page = rita.open(f"/tre/terminal?code={begun.code}")
    assert begun.code not in page.text
    assert rita.post("/tre/terminal", {"code": begun.code}).status == 403
    assert rita.post("/tre/terminal", {"code": begun.code, "csrf": "x" * 64}).status == 403
    wrong = rita.submit(page, code="BBBB-BBBB")
    assert (wrong.status, list(wrong.problems.values())) == (422, ["code"])
    with pytest.raises(Conflict):
        terminal.take(care.platform.db, secret=begun.secret)
    assert rita.submit(page, code=begun.code).status == 303
    assert terminal.take(care.platform.db, secret=begun.secret)[2].username == "rita"
