"""One use case is one transaction and one event; refusals are recorded, errors leave nothing, writers queue."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import ProgrammingError

from tests.audit.record import EVE, write
from tests.fixtures.database import Clock
from tests.fixtures.postgres import StateDatabase
from tre.audit import Actor, service, use_case
from tre.audit.model import AuditEvent
from tre.audit.service import verify_database
from tre.audit.work import record_refusal
from tre.errors import Conflict, Forbidden, Unauthenticated, Unavailable
from tre.people.model import Organisation
from tre.store import Database

OWNER_STATEMENTS = (
    "UPDATE {table} SET at = now()",
    "DELETE FROM {table}",
    "TRUNCATE {table}",
    "TRUNCATE {table} CASCADE",
    "UPDATE {table} SET seq = 99 WHERE false",
    "DELETE FROM {table} USING pg_class WHERE false",
    "MERGE INTO {table} USING (SELECT 1) AS one ON true WHEN MATCHED THEN DELETE",
)


def organisations(db: Database) -> list[str]:
    with db.read() as session:
        return list(session.scalars(select(Organisation.slug)))


def recorded(db: Database) -> list[dict[str, Any]]:
    """Oldest first."""
    with db.read() as session:
        return service.events(session, limit=1000)[::-1]


def add(case: Any, slug: str) -> None:
    case.session.add(Organisation(slug=slug, name=slug, created_at=case.now))


def attempt(db: Database, error: BaseException | None = None, actor: Actor = EVE, **notes: Any) -> None:
    """Adds an organisation with these notes, and raises `error` before the end."""
    with use_case(db, actor, "organisation.add", "organisation:uni") as case:
        add(case, "uni")
        case.note(**notes)
        case.session.flush()
        if error:
            raise error


def test_success_writes_the_change_and_one_event(db: Database, clock: Clock):
    attempt(db, size=3)
    (event,) = recorded(db)
    assert organisations(db) == ["uni"]
    assert {**event, "digest": "", "previous": ""} == {
        "seq": 1,
        "at": "2026-06-01T12:00:00.000000+00:00",
        "actor": "eve",
        "via": "cli",
        "action": "organisation.add",
        "subject": "organisation:uni",
        "outcome": "done",
        "detail": {"size": 3},
        "previous": "",
        "digest": "",
    }


def test_a_refusal_is_recorded_though_its_change_is_rolled_back(db: Database):
    with pytest.raises(Forbidden):
        attempt(db, Forbidden("Not you."), project="cost")
    (event,) = recorded(db)
    assert organisations(db) == []
    assert event["outcome"] == "refused"
    assert event["detail"] == {"project": "cost", "code": "forbidden", "message": "Not you."}


@pytest.mark.parametrize("error", [ValueError("bug"), Conflict("no"), Unavailable("no"), KeyboardInterrupt()])
def test_an_error_that_is_no_refusal_leaves_nothing(db: Database, error: BaseException):
    with pytest.raises(type(error)):
        attempt(db, error)
    assert organisations(db) == []
    assert recorded(db) == []


def test_an_event_that_cannot_be_written_takes_its_change_with_it(db: Database):
    with pytest.raises(TypeError):
        attempt(db, thing=object())
    assert organisations(db) == []


def test_a_pass_that_changed_nothing_writes_no_event(db: Database):
    with use_case(db, EVE, "controller.pass", "world:all") as case:
        case.nothing_changed()
    assert recorded(db) == []


def test_a_refusal_told_by_two_edges_is_recorded_once(db: Database):
    refusal = Unauthenticated("Who?")
    with (
        pytest.raises(Unauthenticated),
        use_case(db, EVE, "outer.do", "thing:1"),
        use_case(db, EVE, "in.do", "thing:2"),
    ):
        raise refusal
    record_refusal(db, EVE, "edge.do", "path:/", refusal)
    assert [event["action"] for event in recorded(db)] == ["in.do"]


@pytest.mark.parametrize(
    "subject",
    ["person:\0", "person:" + "\N{PILE OF POO}" * 50_000, "x:\ud800", "person:'; DROP TABLE project; --"],
)
def test_hostile_words_are_recorded_and_the_chain_holds(db: Database, subject: str):
    hostile = Actor("eve\0\ud800", via="cli\0")
    record_refusal(db, hostile, "person.add", subject, Forbidden("Not \0 you."), detail={"said": "\0", "count": 1e22})
    attempt(db, size=-0.0, fraction=0.1, name="\0")
    with db.read() as session:
        result = verify_database(session, lambda message, signature: True)
    assert result.problems == ("No signed head: nothing proves that the record is complete.",)
    assert result.events == 2


@pytest.mark.parametrize("table", ["audit_event", "audit_head"])
@pytest.mark.parametrize("statement", OWNER_STATEMENTS)
def test_even_the_owner_cannot_alter_the_record(db: Database, migrated_db: StateDatabase, statement: str, table: str):
    write(db, 1)
    with psycopg.connect(migrated_db.owner_conninfo) as owner, pytest.raises(psycopg.errors.InsufficientPrivilege):
        owner.execute(statement.format(table=table))


def test_an_insert_that_updates_is_refused_to_the_owner(db: Database, migrated_db: StateDatabase):
    write(db, 1)
    statement = "INSERT INTO audit_event SELECT * FROM audit_event ON CONFLICT (seq) DO UPDATE SET actor = 'mallory'"
    with psycopg.connect(migrated_db.owner_conninfo) as owner, pytest.raises(psycopg.errors.InsufficientPrivilege):
        owner.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        *(statement.format(table="audit_event") for statement in OWNER_STATEMENTS),
        "ALTER TABLE audit_event DISABLE TRIGGER only_grows",
        "DROP TRIGGER only_grows ON audit_event",
        "DROP TABLE audit_event",
        "SET session_replication_role = replica",
        "CREATE TABLE public.mine (a int)",
        "CREATE FUNCTION public.refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "SET ROLE tre_owner",
    ],
)
def test_the_application_cannot_alter_the_record(db: Database, statement: str):
    write(db, 1)
    with pytest.raises(ProgrammingError, match=r"denied|must be owner|only grows"), db.transaction() as session:
        session.execute(text(statement))


def test_eight_threads_leave_one_whole_chain(db: Database, at_once: Callable[..., list[object]]):
    results = at_once(*[lambda: write(db, 25)] * 8)
    assert results == [None] * 8
    with db.read() as session:
        numbers = list(session.scalars(select(AuditEvent.seq).order_by(AuditEvent.seq)))
        result = verify_database(session, lambda message, signature: True)
    assert numbers == list(range(1, 201))
    assert (result.events, len(result.problems)) == (200, 1)


def test_events_are_found_by_exact_subject_and_beginning_of_the_action(db: Database):
    write(db, 3)
    with use_case(db, Actor("bob"), "thing%do", "thing:1"):
        pass
    with db.read() as session:
        assert [e["seq"] for e in service.events(session, subject="thing:1")] == [4, 2]
        assert [e["seq"] for e in service.events(session, actor="bob")] == [4]
        assert [e["seq"] for e in service.events(session, action="thing.")] == [3, 2, 1]
        assert [e["seq"] for e in service.events(session, action="thing%")] == [4]
        assert [e["seq"] for e in service.events(session, limit=1)] == [4]
