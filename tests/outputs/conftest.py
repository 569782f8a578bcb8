"""A migrated state database with a project, its people and checkers; a content store; the steps' desks."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.postgres import StateDatabase, StateDatabases
from tests.outputs.house import House
from tre.outputs.content import ContentStore
from tre.store import Database
from tre.store.migrate import migrate


@pytest.fixture(scope="session")
def migrated(state_databases: StateDatabases) -> Iterator[StateDatabase]:
    """A database at the newest revision that each test copies."""
    database = state_databases.create()
    migrate(database.owner)
    yield database
    state_databases.drop(database)


@pytest.fixture
def outputs_db(state_databases: StateDatabases, migrated: StateDatabase) -> Iterator[StateDatabase]:
    database = state_databases.create(migrated.name)
    yield database
    state_databases.drop(database)


@pytest.fixture
def store(tmp_path: Path) -> ContentStore:
    return ContentStore(tmp_path / "content", reserve_bytes=0)


@pytest.fixture
def house(outputs_db: StateDatabase, store: ContentStore) -> Iterator[House]:
    db = Database(outputs_db.app)
    house = House(db, store)
    db.clock = house.clock
    house.furnish()
    yield house
    db.close()
