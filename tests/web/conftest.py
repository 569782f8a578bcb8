"""A furnished site for each test: a copy of one database that is made once, behind one server."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fixtures.database import Clock
from tests.fixtures.people import PASSWORD, LocalSealer, People, Projects
from tests.fixtures.postgres import StateDatabase, StateDatabases
from tests.web.site import Site, Switch, build_site, serving
from tre.audit import Actor
from tre.data.sources import Places
from tre.people import service
from tre.people.model import Role
from tre.settings import Settings
from tre.store import Database


@dataclass
class Furnished:
    """The template's name and what belongs to it outside of the database."""

    database: StateDatabase
    sealer: LocalSealer
    secrets: dict[str, str]
    actors: dict[str, Actor]
    incoming: Path


@pytest.fixture(scope="session")
def furnished(
    state_databases: StateDatabases,
    migrated: StateDatabase,
    cheap_passwords: None,
    settings: Settings,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Furnished]:
    database, sealer = state_databases.create(migrated.name), LocalSealer()
    folder = tmp_path_factory.mktemp("web")
    places = Places(folder / "incoming", folder / "extracts", "host=/nowhere")
    places.incoming.mkdir()
    clock = Clock()
    db = Database(database.app, clock=clock)
    made = service.bootstrap(db, sealer, username="ada", name="Ada", password=PASSWORD, organisation="uni")
    admin = Actor("ada", frozenset({Role.administrator}), "cli")
    people = People(db, sealer, clock, admin, {"ada": made.totp_secret})
    site = build_site(settings, people, Projects(people), places)
    site.furnish()
    db.close()
    yield Furnished(database, sealer, people.secrets, site.actors, places.incoming)
    state_databases.drop(database)


@pytest.fixture(scope="session")
def switch() -> Iterator[tuple[Switch, str]]:
    behind = Switch()
    with serving(behind) as url:
        yield behind, url


@pytest.fixture
def bare_site(
    furnished: Furnished, state_databases: StateDatabases, fresh_settings: Settings, tmp_path: Path
) -> Iterator[Site]:
    """Furnished, but behind no server."""
    database, clock = state_databases.create(furnished.database.name), Clock()
    db = Database(database.app, clock=clock)
    people = People(db, furnished.sealer, clock, furnished.actors["ada"], dict(furnished.secrets))
    places = Places(furnished.incoming, tmp_path / "extracts", "host=/nowhere")
    site = build_site(fresh_settings, people, Projects(people), places)
    site.actors = dict(furnished.actors)
    yield site
    db.close()
    state_databases.drop(database)


@pytest.fixture
def site(bare_site: Site, switch: tuple[Switch, str]) -> Site:
    behind, bare_site.url = switch
    behind.app = bare_site.app
    return bare_site


@pytest.fixture
def care(site: Site) -> Site:
    """With the approved project care-costs of rita's."""
    site.project()
    return site
