"""The team: who joins, leaves and comes back; the agreement; what the gate then says; who is found where."""

from collections.abc import Callable

import pytest

from tests.fixtures.people import People, Projects
from tre.audit import Actor
from tre.errors import Conflict, Forbidden, InvalidInput, NotFound
from tre.people import service as people_service
from tre.people.model import Role
from tre.projects import agreement, service


@pytest.fixture
def bob(people: People) -> Actor:
    return people.add("bob", Role.researcher)


@pytest.fixture
def cy(people: People) -> Actor:
    return people.add("cy", Role.researcher)


def codes(people: People, username: str, slug: str = "cost") -> list[str]:
    with people.db.read() as session:
        return [obstacle.code for obstacle in service.gate(session, slug, username, people.clock().date())]


def test_the_gate_opens_for_a_member_of_an_approved_project(people: People, projects: Projects, bob: Actor, cy: Actor):
    projects.propose("cost", bob)
    assert codes(people, "bob") == ["project_proposed", "agreement_missing"]
    service.approve(people.db, people.admin, "cost", reason="Good.")
    projects.agree("cost", "bob")
    assert codes(people, "bob") == []
    assert codes(people, "cy") == codes(people, "nobody") == ["not_a_member"]
    with pytest.raises(NotFound):
        codes(people, "bob", "nowhere")


def test_a_member_added_later_agrees_first(people: People, projects: Projects, bob: Actor, cy: Actor):
    projects.approved("cost", bob)
    service.add_member(people.db, people.admin, "cost", username="cy")
    assert codes(people, "cy") == ["agreement_missing"]
    projects.agree("cost", "cy")
    assert codes(people, "cy") == []


def test_who_comes_back_agrees_again(people: People, projects: Projects, bob: Actor, cy: Actor):
    projects.approved("cost", bob, team=("cy",))
    service.remove_member(people.db, cy, "cost", username="cy", reason="A rest.")
    assert codes(people, "cy") == ["not_a_member"]
    service.add_member(people.db, people.admin, "cost", username="cy")
    assert codes(people, "cy") == ["agreement_missing"]
    with people.db.read() as session:
        assert len(service.get(session, "cost").members) == 2


def test_only_the_agreement_in_force_is_accepted(people: People, projects: Projects, bob: Actor):
    projects.approved("cost", bob, agreed=False)
    for digest in ("", "0" * 64, agreement.DIGEST.upper()):
        with pytest.raises(InvalidInput) as refused:
            service.accept_agreement(people.db, bob, "cost", digest=digest)
        assert refused.value.field == "digest"
    assert codes(people, "bob") == ["agreement_missing"]


def test_a_text_that_changed_is_accepted_anew(
    people: People, projects: Projects, bob: Actor, monkeypatch: pytest.MonkeyPatch
):
    projects.approved("cost", bob)
    monkeypatch.setattr(agreement, "DIGEST", "1" * 64)
    assert codes(people, "bob") == ["agreement_missing"]


def test_only_members_accept(people: People, projects: Projects, bob: Actor, cy: Actor):
    projects.approved("cost", bob, team=("cy",))
    service.remove_member(people.db, people.admin, "cost", username="cy", reason="Left.")
    for stranger in (cy, people.admin):
        with pytest.raises(Forbidden):
            service.accept_agreement(people.db, stranger, "cost", digest=agreement.DIGEST)


def test_nobody_adds_themselves_or_to_a_project_of_their_own(people: People, projects: Projects, bob: Actor, cy: Actor):
    bea = people.add("bea", Role.administrator, Role.researcher)
    dan = people.add("dan", Role.administrator)
    projects.approved("cost", bob, team=("bea",))
    people_service.declare_conflict(people.db, dan, object="project:cost", statement="A friend's.")
    for actor, username, code in (
        (people.admin, "ada", "own_rights"),
        (bea, "cy", "own_project"),
        (dan, "cy", "conflict_of_interest"),
        (bob, "cy", "forbidden"),
    ):
        with pytest.raises(Forbidden) as refused:
            service.add_member(people.db, actor, "cost", username=username)
        assert refused.value.error_code == code
    assert codes(people, "cy") == ["not_a_member"]


def test_what_cannot_be_is_a_conflict(people: People, projects: Projects, bob: Actor, cy: Actor):
    projects.approved("cost", bob)
    db, admin = people.db, people.admin
    with pytest.raises(Conflict):
        service.add_member(db, admin, "cost", username="bob")
    with pytest.raises(Conflict):
        service.remove_member(db, admin, "cost", username="cy", reason="Gone.")
    with pytest.raises(NotFound):
        service.add_member(db, admin, "cost", username="nobody")
    with pytest.raises(NotFound):
        service.add_member(db, admin, "nowhere", username="cy")
    with pytest.raises(InvalidInput):
        service.remove_member(db, admin, "cost", username="bob", reason="\0")
    with pytest.raises(Forbidden):
        service.remove_member(db, cy, "cost", username="bob", reason="Mine now.")
    service.close(db, admin, "cost", reason="Done.")
    with pytest.raises(Conflict):
        service.add_member(db, admin, "cost", username="cy")


def test_two_who_add_at_once_add_one(
    people: People, projects: Projects, bob: Actor, cy: Actor, at_once: Callable[..., list[object]]
):
    projects.approved("cost", bob)
    add = lambda: service.add_member(people.db, people.admin, "cost", username="cy")  # noqa: E731
    assert sorted(type(result).__name__ for result in at_once(*[add] * 3)) == ["Conflict", "Conflict", "NoneType"]


def test_projects_are_found_by_state_and_present_member(people: People, projects: Projects, bob: Actor, cy: Actor):
    projects.approved("cost", bob, team=("cy",))
    projects.propose("benefit", cy)
    service.remove_member(people.db, cy, "cost", username="cy", reason="A rest.")
    with people.db.read() as session:
        assert [p.slug for p in service.list_projects(session)] == ["benefit", "cost"]
        assert [p.slug for p in service.list_projects(session, state="approved")] == ["cost"]
        assert [p.slug for p in service.list_projects(session, member="cy")] == ["benefit"]
        cost = service.get(session, "cost")
        assert service.member_names(cost) == {"bob"}
        assert service.everybody_ever(cost) == {"bob", "cy"}
        assert service.find_member(cost, "cy") is None
