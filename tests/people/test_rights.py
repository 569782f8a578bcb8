"""Who holds rights: nobody widens their own, one first administrator, two who change rights at once."""

from collections.abc import Callable
from datetime import date

import pytest
from sqlalchemy import select

from tests.fixtures.people import PASSWORD, LocalSealer, People
from tests.people.test_service import STANDING, UseCase, events
from tre.audit import Actor
from tre.errors import Forbidden, InvalidInput, NotFound
from tre.people import service
from tre.people.model import Person, Role, RoleHeld, Standing
from tre.store import Database


def roles_of(db: Database, username: str) -> set[str]:
    with db.read() as session:
        return {held.role for held in service.get_person(session, username).roles}


OWN_RIGHTS: dict[str, UseCase] = {
    "give": lambda p, a: service.give_role(p.db, a, username="ada", role=Role.checker),
    "give custodian": lambda p, a: service.give_role(p.db, a, username="ada", role=Role.custodian, organisation="uni"),
    "take": lambda p, a: service.take_role(p.db, a, username="ada", role=Role.administrator),
    "record": lambda p, a: service.record_standing(p.db, a, username="ada", kind=Standing.training, **STANDING),
    "end standing": lambda p, a: service.end_standings(
        p.db, a, username="ada", kind=Standing.training, on=date(2026, 6, 1)
    ),
    "end": lambda p, a: service.end_account(p.db, a, username="ada", reason="Tired."),
}


@pytest.mark.parametrize("use_case", OWN_RIGHTS.values(), ids=OWN_RIGHTS)
def test_nobody_changes_their_own_rights(people: People, use_case: UseCase):
    with pytest.raises(Forbidden):
        use_case(people, people.admin)
    assert roles_of(people.db, "ada") == {"administrator"}
    assert events(people.db)[-1][2] == "refused"


@pytest.mark.parametrize("spelling", ["ADA", "ada ", "ada\0", "аda", "ada\u200b"])
def test_another_spelling_of_ones_own_name_finds_nobody(people: People, spelling: str):
    with pytest.raises((NotFound, InvalidInput)):
        service.give_role(people.db, people.admin, username=spelling, role=Role.checker)
    assert roles_of(people.db, "ada") == {"administrator"}


def test_the_first_administrator_is_made_once(people: People, sealer: LocalSealer):
    with pytest.raises(Forbidden):
        service.bootstrap(people.db, sealer, username="eve", name="Eve", password=PASSWORD, organisation="eves")
    assert events(people.db)[-1] == ("machine", "admin.bootstrap", "refused")
    with people.db.read() as session:
        assert [person.username for person in service.list_people(session)] == ["ada"]


def test_two_first_administrators_at_once_are_one(
    db: Database, sealer: LocalSealer, cheap_passwords: None, at_once: Callable[..., list[object]]
):
    def first(name: str) -> Callable[[], object]:
        return lambda: service.bootstrap(
            db, sealer, username=name, name=name, password=PASSWORD, organisation=f"org-{name}"
        )

    results = at_once(*[first(name) for name in ("ada", "eve", "bob", "cy")])
    assert sorted(type(result).__name__ for result in results) == ["Enrolment", "Forbidden", "Forbidden", "Forbidden"]
    with db.read() as session:
        assert len(session.scalars(select(RoleHeld)).all()) == len(session.scalars(select(Person)).all()) == 1


@pytest.mark.parametrize("change", ["take", "end"])
def test_two_administrators_cannot_remove_each_other_at_once(
    people: People, at_once: Callable[..., list[object]], change: str
):
    bea = people.add("bea", Role.administrator)

    def remove(actor: Actor, other: str) -> Callable[[], object]:
        if change == "take":
            return lambda: service.take_role(people.db, actor, username=other, role=Role.administrator)
        return lambda: service.end_account(people.db, actor, username=other, reason="Gone.")

    results = at_once(remove(people.admin, "bea"), remove(bea, "ada"))
    assert sorted(type(result).__name__ for result in results) == ["Forbidden", "NoneType"]


def test_whoever_was_an_administrator_gives_nothing_any_more(people: People):
    bea = people.add("bea", Role.administrator)
    people.add("bob")
    service.take_role(people.db, people.admin, username="bea", role=Role.administrator)
    with pytest.raises(Forbidden):
        service.give_role(people.db, bea, username="bob", role=Role.administrator)
    with pytest.raises(Forbidden):
        service.give_role(
            people.db, Actor("ghost", frozenset({"administrator"})), username="bob", role=Role.administrator
        )


def test_two_who_give_the_same_role_at_once_give_one(people: People, at_once: Callable[..., list[object]]):
    people.add("bob")
    give = lambda: service.give_role(people.db, people.admin, username="bob", role=Role.checker)  # noqa: E731
    results = at_once(*[give] * 4)
    assert sorted(type(result).__name__ for result in results) == ["Conflict", "Conflict", "Conflict", "NoneType"]


def test_two_of_the_same_name_at_once_are_one(people: People, at_once: Callable[..., list[object]]):
    results = at_once(*[lambda: people.add("bob")] * 3)
    assert sorted(type(result).__name__ for result in results) == ["Actor", "Conflict", "Conflict"]
