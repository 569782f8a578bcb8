"""What waits for a decision of administrators and custodians, and how it leaves the list."""

from tests.web.site import Site
from tre.audit.service import events
from tre.data import grants
from tre.data.grants import Terms
from tre.data.model import Delivery, Extract
from tre.projects import service as projects


def test_a_custodian_sees_a_failed_extract_and_has_it_built_again(site: Site):
    site.project()
    carol = site.visitor("carol")
    terms = Terms(site.people.clock().date().replace(year=2027), Delivery.files, ("age",), ())
    about = {"project": "care-costs", "dataset": "visits", "terms": terms, "reason": "ok"}
    grants.give(site.platform.db, site.actors["carol"], **about)
    assert "not built" not in carol.open("/tre/decisions").words
    with site.platform.db.transaction() as session:
        session.query(Extract).update({"state": "failed", "reason": "The source is gone."})
    assert "Build the extract of Visits to a clinic" in carol.open("/tre/decisions").words
    assert "Build the extract of Visits to a clinic" in site.visitor("ada").open("/tre/decisions").words
    page = carol.open("/tre/projects/care-costs")
    assert "The source is gone." in page.words
    path = str(page.form()["action"])
    assert "The extract is queued again." in carol.follow(carol.submit(page)).words
    assert "not built" not in carol.open("/tre/decisions").words
    again = carol.submit(page)
    assert (again.status, "Only a failed one is built again." in again.words) == (409, True)
    rob = site.visitor("rob")
    token = rob.open("/tre/me").soup.find(attrs={"name": "csrf"})["value"]
    assert rob.post(path, {"csrf": token}).status == 404, "rob has nothing to do with it"
    with site.platform.db.read() as session:
        last = events(session, limit=1)[0]
    assert (last["actor"], last["outcome"], last["detail"]["code"]) == ("rob", "refused", "not_found")


def test_what_only_an_administrator_brings_to_an_end_waits_for_one(site: Site):
    site.project()
    ada = site.visitor("ada")
    assert "Nothing waits for your decision." in ada.open("/tre/decisions").words
    projects.suspend(site.platform.db, site.actors["ada"], "care-costs", reason="A breach.")
    assert "Resume or close the suspended project The project care-costs" in ada.open("/tre/decisions").words
    projects.approve(site.platform.db, site.actors["ada"], "care-costs", reason="Mended.")
    site.people.clock.advance(days=400)
    words = site.visitor("ada").open("/tre/decisions").words
    assert "Close The project care-costs: it ended on 1 June 2027" in words
    projects.close(site.platform.db, site.actors["ada"], "care-costs", reason="Over.")
    closed = site.visitor("ada").open("/tre/projects/care-costs").words
    assert "the key of its pseudonyms are being destroyed." in closed
