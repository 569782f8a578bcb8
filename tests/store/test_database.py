"""What a transaction does with the errors of the driver, and what never reaches a log."""

import logging
import threading
from collections.abc import Callable

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from tests.fixtures.postgres import StateDatabase
from tre.errors import Conflict, InvalidInput, Unavailable
from tre.people.model import Organisation
from tre.store import Database

INSERT = "INSERT INTO organisation (slug, name, created_at) VALUES (:slug, :name, now())"


def insert(db: Database, slug: str, name: str = "x") -> None:
    with db.transaction() as session:
        session.execute(text(INSERT), {"slug": slug, "name": name})


def slugs(db: Database) -> list[str]:
    with db.read() as session:
        return list(session.scalars(text("SELECT slug FROM organisation ORDER BY slug")))


def test_a_transaction_is_whole_or_not_at_all(db: Database):
    insert(db, "a")

    def fail() -> None:
        with db.transaction() as session:
            session.execute(text(INSERT), {"slug": "b", "name": "b"})
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert slugs(db) == ["a"]


def test_what_a_reading_session_writes_is_rolled_back(db: Database):
    with db.read() as session:
        session.execute(text(INSERT), {"slug": "a", "name": "a"})
    assert slugs(db) == []


def test_what_was_read_can_be_looked_at_afterwards(db: Database):
    insert(db, "a")
    with db.read() as session:
        found = session.get(Organisation, "a")
    assert found is not None
    assert found.name == "x"


def test_a_second_of_what_there_may_be_one_is_a_conflict_that_names_the_rule(db: Database):
    insert(db, "a")
    with pytest.raises(Conflict, match="pk_organisation"):
        insert(db, "a")


@pytest.mark.parametrize("bad", ["\0", "a\0b", "\ud800"])
def test_a_text_that_no_table_can_hold_is_invalid_input(db: Database, bad: str):
    with pytest.raises(InvalidInput):
        insert(db, bad)
    with pytest.raises(InvalidInput), db.read() as session:
        session.execute(text("SELECT 1 FROM organisation WHERE slug = :slug"), {"slug": bad})


def test_a_deadlock_is_a_conflict_for_one_and_success_for_the_other(db: Database, at_once: Callable[..., list[object]]):
    both_hold_one = threading.Barrier(2)

    def lock(first: int, second: int) -> None:
        with db.transaction() as session:
            session.execute(text(f"SELECT pg_advisory_xact_lock({first})"))
            both_hold_one.wait()
            session.execute(text(f"SELECT pg_advisory_xact_lock({second})"))

    results = at_once(lambda: lock(1, 2), lambda: lock(2, 1))
    assert sorted(type(result).__name__ for result in results) == ["Conflict", "NoneType"]


def test_a_killed_session_is_unavailable_and_the_next_one_works(db: Database, migrated_db: StateDatabase):
    insert(db, "a")

    def killed() -> None:
        with db.transaction() as session, psycopg.connect(migrated_db.app_conninfo) as other:
            pid = session.scalar(text("SELECT pg_backend_pid()"))
            other.execute("SELECT pg_terminate_backend(%s)", (pid,))
            session.execute(text("SELECT 1"))

    with pytest.raises(Unavailable):
        killed()
    assert slugs(db) == ["a"]


def test_no_server_is_unavailable(migrated_db: StateDatabase, tmp_path: object):
    nowhere = Database(f"postgresql+psycopg://tre_app@/tre?host={tmp_path}")
    with pytest.raises(Unavailable), nowhere.transaction() as session:
        session.execute(text("SELECT 1"))
    with pytest.raises(Unavailable), nowhere.read() as session:
        session.execute(text("SELECT 1"))
    nowhere.close()


def test_an_exhausted_pool_is_unavailable(migrated_db: StateDatabase):
    small = Database(migrated_db.app, pool_size=1)
    small.engine.pool._timeout = 0.05  # type: ignore[attr-defined]
    with small.read() as one, small.read() as two:
        one.execute(text("SELECT 1"))
        two.execute(text("SELECT 1"))
        with pytest.raises(Unavailable), small.read() as three:
            three.execute(text("SELECT 1"))
    small.close()


def test_an_error_never_quotes_the_values_of_its_statement(db: Database, caplog: pytest.LogCaptureFixture):
    secret = "-".join(["hunter2"] * 3)
    with pytest.raises(ProgrammingError) as raised, db.transaction() as session:
        session.execute(text("SELECT :secret FROM no_such_table"), {"secret": secret})
    logging.getLogger("test").error("failed", exc_info=raised.value)
    assert secret not in str(raised.value) + caplog.text
