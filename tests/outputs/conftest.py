"""A migrated state database with a project, its people and checkers, and a content store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.postgres import StateDatabase
from tests.outputs.house import House
from tre.outputs.content.folder import in_folder
from tre.outputs.content.store import ContentStore
from tre.store import Database


@pytest.fixture
def store(tmp_path: Path) -> ContentStore:
    return in_folder(tmp_path / "content", reserve_bytes=0)


@pytest.fixture
def house(migrated_db: StateDatabase, store: ContentStore) -> Iterator[House]:
    db = Database(migrated_db.app)
    house = House(db, store)
    db.clock = house.clock
    house.furnish()
    yield house
    db.close()
