"""The use cases of the people's room: who may do what, enumerated; nobody widens their own rights; two at once."""

from collections.abc import Callable
from datetime import date, timedelta
from itertools import combinations
from typing import Any

import pytest
from sqlalchemy import select

from tests.fixtures.people import FOREVER, PASSWORD, People
from tre.audit import Actor
from tre.audit.model import AuditEvent
from tre.errors import Conflict, Forbidden, InvalidInput, NotFound, TreError
from tre.people import service
from tre.people.model import ApiToken, Role, Standing
from tre.people.rules import standing_obstacles
from tre.people.signin import SignedIn, actor_of_token, issue_token
from tre.store import Database

DAY = timedelta(days=1)
STANDING = {"title": "Safe researcher", "provider": "uni", "awarded_on": date(2026, 6, 1), "expires_on": FOREVER}
UseCase = Callable[[People, Actor], Any]

USE_CASES: dict[str, tuple[UseCase, set[Role]]] = {
    "organisation.add": (
        lambda p, a: service.add_organisation(p.db, a, slug="other", name="Other"),
        {Role.administrator},
    ),
    "person.add": (
        lambda p, a: service.add_person(
            p.db, p.sealer, a, username="new", name="New", password=PASSWORD, organisation="uni"
        ),
        {Role.administrator},
    ),
    "person.give_role": (
        lambda p, a: service.give_role(p.db, a, username="target", role=Role.checker),
        {Role.administrator},
    ),
    "person.take_role": (
        lambda p, a: service.take_role(p.db, a, username="target", role=Role.researcher),
        {Role.administrator},
    ),
    "person.record_standing": (
        lambda p, a: service.record_standing(p.db, a, username="target", kind=Standing.training, **STANDING),
        {Role.administrator},
    ),
    "person.end_standing": (
        lambda p, a: service.end_standings(p.db, a, username="target", kind=Standing.training, on=date(2026, 6, 1)),
        {Role.administrator},
    ),
    "person.declare_conflict": (
        lambda p, a: service.declare_conflict(p.db, a, object="organisation:uni", statement="My employer."),
        set(Role),
    ),
    "person.end": (
        lambda p, a: service.end_account(p.db, a, username="target", reason="Left."),
        {Role.administrator},
    ),
}
COMBINATIONS = [frozenset(chosen) for size in (0, 1, 2) for chosen in combinations(Role, size)]


def events(db: Database) -> list[tuple[str, str, str]]:
    with db.read() as session:
        rows = session.scalars(select(AuditEvent).order_by(AuditEvent.seq))
        return [(row.actor, row.action, row.outcome) for row in rows]


def names(items: frozenset[Role]) -> str:
    return "+".join(sorted(items)) or "nobody"


@pytest.mark.parametrize("roles", COMBINATIONS, ids=names)
def test_every_combination_of_roles_does_what_one_of_its_roles_may(people: People, roles: frozenset[Role]):
    custodian = ("uni",) if Role.custodian in roles else ()
    actor = people.add("actor", *roles - {Role.custodian}, custodian_of=custodian)
    people.add("target", Role.researcher)
    for action, (use_case, allowed) in USE_CASES.items():
        before = len(events(people.db))
        if roles & allowed or action == "person.declare_conflict":
            use_case(people, actor)
            outcome = "done"
        else:
            with pytest.raises(Forbidden):
                use_case(people, actor)
            outcome = "refused"
        assert events(people.db)[before:] == [("actor", action, outcome)]


@pytest.mark.parametrize(
    ("role", "organisation"), [(Role.custodian, None), *((role, "uni") for role in Role if role != Role.custodian)]
)
def test_a_custodian_and_only_a_custodian_answers_for_an_organisation(
    people: People, role: Role, organisation: str | None
):
    people.add("bob")
    for change in (service.give_role, service.take_role):
        with pytest.raises(InvalidInput) as refused:
            change(people.db, people.admin, username="bob", role=role, organisation=organisation)
        assert refused.value.field == "organisation"


def test_a_custodian_answers_for_each_organisation_apart(people: People):
    people.organisation("north"), people.organisation("south")
    people.add("cy", custodian_of=("north", "south"))
    with people.db.read() as session:
        assert service.custodian_of(session, "cy") == {"north", "south"}
    service.take_role(people.db, people.admin, username="cy", role=Role.custodian, organisation="north")
    with people.db.read() as session:
        assert service.custodian_of(session, "cy") == {"south"}
        assert service.custodian_of(session, "ada") == set()


def test_what_is_there_already_or_not_there_changes_nothing(people: People):
    people.add("bob", Role.checker)
    attempts: list[tuple[type[TreError], Callable[[], Any]]] = [
        (Conflict, lambda: people.add("bob")),
        (Conflict, lambda: people.organisation("uni")),
        (Conflict, lambda: service.give_role(people.db, people.admin, username="bob", role=Role.checker)),
        (Conflict, lambda: service.take_role(people.db, people.admin, username="bob", role=Role.auditor)),
        (NotFound, lambda: people.add("cy", organisation="nowhere")),
        (NotFound, lambda: people.stand("nobody")),
        (NotFound, lambda: service.end_account(people.db, people.admin, username="nobody", reason="x")),
        (
            NotFound,
            lambda: service.give_role(
                people.db, people.admin, username="bob", role=Role.custodian, organisation="nowhere"
            ),
        ),
        (
            NotFound,
            lambda: service.declare_conflict(people.db, people.admin, object="organisation:nowhere", statement="x"),
        ),
        (InvalidInput, lambda: service.declare_conflict(people.db, people.admin, object="cost", statement="x")),
        (InvalidInput, lambda: service.add_organisation(people.db, people.admin, slug="a", name="two\nlines")),
        (InvalidInput, lambda: service.add_organisation(people.db, people.admin, slug="A b", name="A")),
        (InvalidInput, lambda: people.add("Bob")),
        (InvalidInput, lambda: service.end_account(people.db, people.admin, username="bob", reason=" ")),
    ]
    before = events(people.db)
    for error, attempt in attempts:
        with pytest.raises(error):
            attempt()
    assert events(people.db) == before
    with people.db.read() as session:
        assert [person.username for person in service.list_people(session)] == ["ada", "bob"]
        assert [organisation.slug for organisation in service.list_organisations(session)] == ["uni"]
        assert service.get_person(session, "bob").active


@pytest.mark.parametrize(
    "name", ["\x1b[31mBob", "Bob\u202egnp.exe", "Bob\0", "", " ", "x" * 201, "Bob\nroles  administrator"]
)
def test_hostile_names_of_people_are_refused(people: People, name: str):
    with pytest.raises(InvalidInput) as refused:
        service.add_person(
            people.db, people.sealer, people.admin, username="bob", name=name, password=PASSWORD, organisation="uni"
        )
    assert refused.value.field == "name"


@pytest.mark.parametrize(
    ("on", "today_holds", "tomorrow_holds"), [(-DAY, False, False), (0 * DAY, False, False), (DAY, True, False)]
)
def test_an_ended_standing_holds_until_the_day_before(
    people: People, on: timedelta, today_holds: bool, tomorrow_holds: bool
):
    """Awarded today, so that an end before the award is tried too."""
    people.add("bob", Role.researcher)
    today = people.clock().date()
    service.end_standings(people.db, people.admin, username="bob", kind=Standing.training, on=today + on)
    with people.db.read() as session:
        standings = service.get_person(session, "bob").standings
        assert (standing_obstacles("bob", standings, today) == []) is today_holds
        assert (standing_obstacles("bob", standings, today + DAY) == []) is tomorrow_holds
        kinds = {standing.kind: standing.expires_on for standing in standings}
        assert kinds[Standing.accreditation] == FOREVER


def test_an_ended_standing_is_not_prolonged_and_a_new_one_opens_again(people: People):
    people.add("bob", Role.researcher)
    today = people.clock().date()
    for on in (today, today + 30 * DAY, date.min):
        service.end_standings(people.db, people.admin, username="bob", kind=Standing.training, on=on)
    with people.db.read() as session:
        assert standing_obstacles("bob", service.get_person(session, "bob").standings, today)
    people.stand("bob")
    with people.db.read() as session:
        assert not standing_obstacles("bob", service.get_person(session, "bob").standings, today)


def test_a_standing_cannot_expire_before_it_was_awarded(people: People):
    people.add("bob")
    values = {**STANDING, "awarded_on": date(2026, 6, 2), "expires_on": date(2026, 6, 1)}
    with pytest.raises(InvalidInput) as refused:
        service.record_standing(people.db, people.admin, username="bob", kind=Standing.training, **values)
    assert refused.value.field == "expires_on"
    with pytest.raises(InvalidInput) as refused:
        service.record_standing(
            people.db, people.admin, username="bob", kind=Standing.training, **STANDING, reference="\x1b[2J"
        )
    assert refused.value.field == "reference"


def test_an_ended_account_ends_its_tokens_and_keeps_earlier_moments(people: People):
    bob = people.add("bob")
    who = SignedIn("bob", "Bob", frozenset(), 0)
    tokens = [issue_token(people.db, who, scope=scope, via="cli")[0] for scope in ("all", "read")]
    assert actor_of_token(people.db, tokens[1], writes=False) == bob
    ended = people.clock.advance(minutes=5)
    service.end_account(people.db, people.admin, username="bob", reason="Left.")
    people.clock.advance(minutes=5)
    service.end_account(people.db, people.admin, username="bob", reason="Left again.")
    for token in tokens:
        with pytest.raises(TreError):
            actor_of_token(people.db, token, writes=False)
    with people.db.read() as session:
        assert {token.revoked_at for token in session.scalars(select(ApiToken))} == {ended}


def test_interests_are_found_by_person_and_declared_once(people: People):
    bob = people.add("bob")
    service.declare_conflict(people.db, bob, object="project:cost", statement="My sister leads it.")
    with pytest.raises(Conflict):
        service.declare_conflict(people.db, bob, object="project:cost", statement="Again.")
    with people.db.read() as session:
        assert service.conflicts_of(session, "bob") == {"project:cost"}
        assert service.conflicts_of(session, "ada") == set()
