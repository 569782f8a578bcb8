"""People of the institution on that release: they sign in at its provider, work with its data, and leave it."""

from __future__ import annotations

import pytest

from tests.cluster.chart.researcher import NAME
from tests.cluster.failures.scene import within

from .beside import REFRESH, Beside
from .people import SUBJECTS, Everybody
from .town import DATA, ISSUER, PEOPLE

pytestmark = pytest.mark.timeout(900)
#: The worker's next pass, and what a pod needs to end.
ENDING = 45


def test_the_administrator_redeems_an_identity_by_a_code(everybody: Everybody) -> None:
    code = everybody.stage.tre("ada", "person", "identity", "invite", "ada")["invitation"]
    browser = everybody.browser("ada")
    browser.redeem(code)
    browser.sign_in()
    everybody.stage.login_by_browser(browser)
    assert everybody.stage.tre("ada", "person", "identity", "list", "ada")[0]["subject"] == SUBJECTS["ada"]
    # It works once.
    other = everybody.browser(NAME)
    page = other.submit(other.at_the_provider(), "/hub/invitation", code=code)
    assert (page.status_code, "unknown, used, or too old" in page.text) == (403, True)


def test_a_researcher_is_linked_by_subject_and_needs_a_second_factor(everybody: Everybody) -> None:
    subject = ("--issuer", ISSUER, "--subject", SUBJECTS[NAME])
    everybody.stage.tre("ada", "person", "identity", "add", NAME, *subject)
    browser = everybody.browser(NAME)
    page = browser.at_the_provider(amr="pwd")
    assert (page.status_code, "without a second factor" in page.text) == (403, True)
    assert not browser.is_in()
    assert everybody.events("person.sign_in")[-1]["detail"]["code"] == "second_factor"


def test_a_workspace_shows_files_and_the_projects_database(everybody: Everybody, installed: Beside) -> None:
    researcher = everybody.researcher
    researcher.open()
    assert researcher.rows() == "60 60"
    encrypted = "import psycopg; print(psycopg.connect('service=project').pgconn.ssl_in_use)"
    assert researcher.says(encrypted) == "True"
    logins = installed.town.psql(DATA, "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'w\\_%'")
    assert logins == "1", "made by the institution's secrets server, at its own data server"


def test_every_cookie_is_for_https_alone(everybody: Everybody) -> None:
    """Of the Hub, the pages and the guard; the provider has its own."""
    jar = everybody.researcher.browser.http.cookies.jar
    ours = {cookie.name: cookie.secure for cookie in jar if cookie.domain == PEOPLE}
    assert ours.keys() > {"jupyterhub-hub-login", "tre-session"}
    assert any(cookie.path.startswith("/user/") for cookie in jar)
    assert set(ours.values()) == {True}, ours


def test_what_is_submitted_is_checked(everybody: Everybody) -> None:
    everybody.stage.login_by_browser(everybody.researcher.browser)  # type: ignore[arg-type]
    request = everybody.researcher.submits()
    assert request["state"] == "in_review", request
    levels = {file["name"]: file["evidence"] for file in request["files"]}
    assert levels["visits.csv"] == "verified", request


def test_who_leaves_the_institution_is_out_within_the_refresh_time(everybody: Everybody, installed: Beside) -> None:
    browser = everybody.researcher.browser
    assert everybody.researcher.live() != []
    installed.town.control(people=[SUBJECTS["ada"]])
    within(REFRESH + ENDING, everybody.researcher.live, lambda live: live == [])
    lost = [event for event in everybody.events("identity.lose") if event["subject"] == f"person:{NAME}"]
    assert [event["outcome"] for event in lost] == ["done"]
    within(20, lambda: browser.http.get("/hub/home").url.path, lambda path: path != "/hub/home")
    everybody.stage.refused(NAME, "request", "list", code="unauthenticated")
    logins = "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'w\\_%'"
    within(ENDING, lambda: installed.town.psql(DATA, logins), lambda count: count == "0")
    # Who stays notices nothing.
    assert everybody.stage.tre("ada", "workspace", "list", "--live") == []
