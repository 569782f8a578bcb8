"""A refused look at a page is on record as every refusal is: who looked, at what, once."""

import pytest

from tests.web.site import Site
from tests.web.test_attacks import routes
from tre.audit.service import events
from tre.errors import Unavailable


def looks(site: Site) -> list[dict]:
    with site.platform.db.read() as session:
        return [event for event in events(session, limit=1000) if event["outcome"] == "refused"]


def test_every_refused_look_at_a_page_is_on_record_with_who_looked(care: Site):
    """Rob is a researcher of no project: what is refused to him, the record has, once; what he may see, it has not."""
    refused = []
    for path in routes("GET"):
        before = len(looks(care))
        page = care.visitor("rob").open(path)
        new = looks(care)[: len(looks(care)) - before]
        expected = 1 if page.status in (401, 403) else 0
        who = "unknown" if path == "/tre/oauth_callback" else "rob"
        assert [event["actor"] for event in new] == [who] * expected, (path, page.status)
        refused += [path] * expected
    assert {"/tre/projects/care-costs", "/tre/projects/care-costs/members", "/tre/decisions"} <= set(refused)


def test_a_script_that_asks_for_a_page_is_on_record_with_whose_browser_it_was(care: Site):
    ada = care.visitor("ada")
    ada.send("GET", "/tre/me", sec_fetch_site="same-origin", sec_fetch_mode="cors")
    care.visitor().send("GET", "/tre/me", sec_fetch_site="cross-site", sec_fetch_dest="iframe")
    seen = [(event["actor"], event["action"], event["subject"]) for event in looks(care)]
    assert seen == [("unknown", "web.look", "path:/tre/me"), ("ada", "web.look", "path:/tre/me")]
    assert care.visitor().open("/tre/me").status == 303
    assert len(looks(care)) == 2, "who only has to sign in was refused nothing"


def test_what_cannot_be_put_on_record_is_not_answered(care: Site, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object, **__: object) -> None:
        raise Unavailable("The state database does not answer.")

    rob = care.visitor("rob")
    monkeypatch.setattr("tre.api.errors.record_refusal", fail)
    assert rob.open("/tre/decisions").status == 503
