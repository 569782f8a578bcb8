"""Ties by organisation and by data: who is not eligible to review, and what custodians of the data may do."""

from datetime import date

import pytest
from sqlalchemy import select, update

from tests.outputs.house import START, House
from tests.outputs.test_lists import ids, listed
from tre.audit import Actor
from tre.data.model import Dataset, Decision, Grant
from tre.errors import Conflict, Forbidden
from tre.outputs import release, viewing
from tre.outputs.views import show_request
from tre.people.model import ConflictOfInterest, Organisation, Person, Role, RoleHeld
from tre.projects.model import Project

CUSTODIAN = frozenset({Role.custodian})


@pytest.fixture
def controllers(house: House) -> House:
    """Project cost was granted data of acme, whose custodian is carol; dora answers for the data of beta, which refused
    it.
    """
    with house.db.transaction() as session:
        for slug in ("acme", "beta"):
            session.add(Organisation(slug=slug, name=slug, created_at=START))
        session.flush()
        project = session.scalars(select(Project).where(Project.slug == "cost")).one()
        for name, slug, decision in (("carol", "acme", Decision.granted), ("dora", "beta", Decision.refused)):
            held = RoleHeld(role=Role.custodian, organisation_slug=slug, granted_by="adam", granted_at=START)
            words = {"name": name, "password_hash": "!", "sealed_totp": "!", "organisation_slug": slug}
            session.add(Person(username=name, created_at=START, roles=[held], **words))
            data = dataset(slug)
            session.add(data)
            session.flush()
            session.add(Grant(project_id=project.id, dataset_id=data.id, decision=decision, **GRANT))
    return house


GRANT = {"columns": ["a"], "pseudonymised": [], "until": date(2026, 3, 3), "decided_by": "carol", "decided_at": START}
GRANT |= {"reason": "Useful."}


def dataset(slug: str) -> Dataset:
    texts = dict.fromkeys(("title", "description", "legal_basis", "terms", "sensitivity", "registered_by"), slug)
    return Dataset(
        slug=slug,
        organisation_slug=slug,
        source_kind="parquet",
        source={"folder": slug},
        registered_at=START,
        profiled_at=START,
        **texts,
    )


def interest(house: House, who: str, object: str) -> None:
    with house.db.transaction() as session:
        person = session.scalars(select(Person).where(Person.username == who)).one()
        session.add(ConflictOfInterest(person_id=person.id, object=object, statement="x", declared_at=START))


def employ(house: House, who: str, organisation: str) -> None:
    with house.db.transaction() as session:
        session.execute(update(Person).where(Person.username == who).values(organisation_slug=organisation))


@pytest.mark.parametrize(
    ("object", "code"),
    [
        ("organisation:acme", "conflict_of_interest"),
        ("organisation:uni", "conflict_of_interest"),
        ("project:cost", "conflict_of_interest"),
        ("organisation:beta", ""),
        ("project:other", ""),
    ],
)
def test_a_declared_interest_in_the_data_or_the_author_ends_eligibility(
    controllers: House, object: str, code: str
) -> None:
    sent = controllers.in_review()
    interest(controllers, "cora", object)
    assert ids(listed(controllers, "cora")) == ([] if code else [sent.request])
    assert ids(listed(controllers, "cora", waiting=True)) == ([] if code else [sent.request])
    if not code:
        controllers.vote("cora", sent)
        return
    with pytest.raises(Forbidden) as refused:
        controllers.vote("cora", sent)
    assert refused.value.error_code == code
    with pytest.raises(Forbidden):
        viewing.view_file(controllers.db, controllers.store, controllers.actor("cora"), sent.request, 1)


def test_a_colleague_of_the_author_does_not_review(controllers: House) -> None:
    sent = controllers.in_review()
    employ(controllers, "cora", "uni")
    with pytest.raises(Forbidden) as refused:
        controllers.vote("cora", sent)
    assert refused.value.error_code == "own_organisation"
    assert ids(listed(controllers, "cora")) == ids(listed(controllers, "cora", waiting=True)) == []
    # Ben is a colleague too, and a member: his own project stays his.
    assert ids(listed(controllers, "ben")) == [sent.request]


def test_who_becomes_a_colleague_after_voting_counts_no_more(controllers: House) -> None:
    sent = controllers.approved()
    employ(controllers, "cora", "uni")
    with pytest.raises(Conflict) as refused:
        release.release(controllers.db, controllers.actor("carl"), sent.request, version=1)
    assert refused.value.error_code == "not_unanimous"


def test_a_custodian_recalls_what_shows_their_data(controllers: House) -> None:
    carol = Actor("carol", CUSTODIAN)
    sent = controllers.released()
    seen = show_request(controllers.db, carol, sent.request)
    assert seen.actions == ("recall",)
    release.recall(controllers.db, carol, sent.request, reason="A unit can be told apart.")
    assert controllers.state(sent) == "recalled"
    event = controllers.events("request.recall")[0]
    assert (event["actor"], event["outcome"], event["detail"]["custodian"]) == ("carol", "done", True)
    with pytest.raises(Forbidden):
        release.download(controllers.db, controllers.store, controllers.actor("ada"), sent.request)


def test_a_grant_that_has_ended_was_a_grant(controllers: House) -> None:
    """The data are in the outputs all the same."""
    sent = controllers.released()
    with controllers.db.transaction() as session:
        session.execute(update(Grant).values(ended_at=START, ended_by="carol", end_reason="x"))
    release.recall(controllers.db, Actor("carol", CUSTODIAN), sent.request, reason="A mistake.")
    assert controllers.state(sent) == "recalled"


def test_a_custodian_of_other_data_recalls_nothing_and_knows_nothing(controllers: House) -> None:
    dora, sent = Actor("dora", CUSTODIAN), controllers.released()
    with pytest.raises(Forbidden):
        release.recall(controllers.db, dora, sent.request, reason="Envy.")
    with pytest.raises(Forbidden):
        show_request(controllers.db, dora, sent.request)
    assert controllers.state(sent) == "released"
    with controllers.db.read() as session:
        from tre.outputs.lists import Filters, list_requests

        assert list_requests(session, dora, Filters(), now=controllers.clock()).rows == ()


def test_a_custodian_knows_of_nothing_before_it_is_out_and_of_no_reviewer_after(controllers: House) -> None:
    from tre.outputs.lists import Filters, list_requests

    carol = Actor("carol", CUSTODIAN)
    under_review, out = controllers.in_review(), controllers.released()
    with pytest.raises(Forbidden):
        show_request(controllers.db, carol, under_review.request)
    with controllers.db.read() as session:
        rows = list_requests(session, carol, Filters(), now=controllers.clock()).rows
        assert [row.id for row in rows] == [out.request]
    read = str(show_request(controllers.db, carol, out.request))
    assert "cora" not in read
    assert "carl" not in read
    for attempt in (
        lambda: viewing.view_file(controllers.db, controllers.store, carol, out.request, 1),
        lambda: release.download(controllers.db, controllers.store, carol, out.request),
        lambda: release.release(controllers.db, carol, under_review.request, version=1),
    ):
        with pytest.raises(Forbidden):
            attempt()
