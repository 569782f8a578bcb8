"""The migrations make what the models say; down and up again leaves the same schema; two at once queue."""

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

import tre.store.migrate
from tests.fixtures.postgres import StateDatabase
from tre.store import Base
from tre.store.migrate import migrate as run

SCHEMA = """
SELECT 'column', table_name, column_name, data_type, is_nullable, coalesce(column_default, ''), is_identity
  FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL
SELECT 'index', tablename, indexname, indexdef, '', '', '' FROM pg_indexes WHERE schemaname = 'public'
UNION ALL
SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', '', ''
  FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL
SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(oid), tgenabled::text, '', ''
  FROM pg_trigger WHERE NOT tgisinternal
UNION ALL
SELECT 'function', '', proname, prosrc, '', '', '' FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL
SELECT 'right', relname, coalesce(relacl::text, ''), '', '', '', '' FROM pg_class
  WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S')
ORDER BY 1, 2, 3
"""


FOLDER = Path(tre.store.migrate.__file__).parent / "migrations"


def revisions() -> list[str]:
    """Oldest first."""
    return [revision.revision for revision in ScriptDirectory(str(FOLDER)).walk_revisions()][::-1]


def schema(database: StateDatabase) -> list[tuple[str, ...]]:
    with psycopg.connect(database.owner_conninfo) as owner:
        return owner.execute(SCHEMA).fetchall()


def load_every_model() -> None:
    for found in pkgutil.walk_packages(tre.__path__, "tre."):
        if found.name.endswith(".model"):
            importlib.import_module(found.name)


def test_the_chain_of_revisions_is_one_line():
    assert len(ScriptDirectory(str(FOLDER)).get_heads()) == 1
    assert revisions() == [f"{number:04}" for number in range(1, len(revisions()) + 1)]


def test_the_models_equal_the_migrated_schema(migrated_db: StateDatabase):
    load_every_model()
    engine = create_engine(migrated_db.owner)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_down_and_up_again_leaves_the_same_schema(state_db: StateDatabase):
    empty = schema(state_db)
    steps: list[list[tuple[str, ...]]] = []
    for revision in revisions():
        run(state_db.owner, revision)
        steps.append(schema(state_db))
    for revision, before in zip(["base", *revisions()[:-1]][::-1], [empty, *steps[:-1]][::-1], strict=True):
        run(state_db.owner, revision, down=True)
        assert [row for row in schema(state_db) if "alembic_version" not in row[1]] == [
            row for row in before if "alembic_version" not in row[1]
        ]
    run(state_db.owner)
    assert schema(state_db) == steps[-1]


def test_a_migration_runs_once_when_two_ask_at_once(state_db: StateDatabase, at_once: Callable[..., list[object]]):
    assert at_once(lambda: run(state_db.owner), lambda: run(state_db.owner)) == [None, None]


def test_a_failed_migration_leaves_nothing(state_db: StateDatabase):
    """The last table of the first migration is there already, so it fails at its end."""
    with psycopg.connect(state_db.owner_conninfo) as owner:
        owner.execute("CREATE TABLE project_decision ()")
    with pytest.raises(Exception, match="project_decision"):
        run(state_db.owner)
    with psycopg.connect(state_db.owner_conninfo) as owner:
        tables = owner.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert tables == [("project_decision",)]


def test_the_application_may_use_every_table_and_make_none(migrated_db: StateDatabase):
    with psycopg.connect(migrated_db.app_conninfo) as app:
        query = (
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
            " AND relname <> 'alembic_version' AND {} has_table_privilege(oid, '{}')"
        )
        tables = app.execute(query.format("NOT", "SELECT")).fetchall()
        tables += app.execute(query.format("NOT", "INSERT")).fetchall()
        rights = app.execute(query.format("", "TRUNCATE, REFERENCES, TRIGGER")).fetchall()
        assert (tables, rights) == ([], [])
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app.execute("CREATE TABLE mine ()")
