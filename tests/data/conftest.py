"""A migrated state database, people, two controllers and their data, for the tests of the data room."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from tests.fixtures.postgres import StateDatabase, StateDatabases
from tre.audit import Actor
from tre.credentials import ProjectDatabase
from tre.data import grants, service
from tre.data.model import Delivery, Sensitivity, SourceKind
from tre.data.sources import Places
from tre.errors import NotFound, Unavailable
from tre.people.model import ConflictOfInterest, Organisation, Person, Role, RoleHeld
from tre.projects import service as projects
from tre.projects.model import Project, ProjectState
from tre.store import Database

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@dataclass
class Clock:
    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class World:
    """One migrated database with people; `actor("carol")` is somebody signed in."""

    db: Database
    places: Places
    clock: Clock
    people: dict[str, tuple[Role, str, str | None]] = field(default_factory=dict)

    def actor(self, name: str) -> Actor:
        return Actor(name, frozenset({str(self.people[name][0])}), "cli")

    def add(self, name: str, role: Role, organisation: str, answers_for: str | None = None) -> None:
        self.people[name] = (role, organisation, answers_for)
        with self.db.transaction() as session:
            if session.get(Organisation, organisation) is None:
                session.add(Organisation(slug=organisation, name=organisation, created_at=START))
                session.flush()
            person = Person(
                username=name,
                name=name,
                organisation_slug=organisation,
                password_hash="-",
                sealed_totp="-",
                created_at=START,
            )
            person.roles.append(RoleHeld(role=role, organisation_slug=answers_for, granted_by="t", granted_at=START))
            session.add(person)

    def interest(self, name: str, object: str) -> None:
        with self.db.transaction() as session:
            person = session.query(Person).filter_by(username=name).one()
            session.add(ConflictOfInterest(person_id=person.id, object=object, statement="s", declared_at=START))

    def project(self, slug: str, asks: list[projects.Ask], team: tuple[str, ...] = (), *, approve: bool = True) -> None:
        text = dict.fromkeys(
            ("title", "purpose", "public_benefit", "legal_basis", "risk_of_sharing", "cost_of_withholding"), "text"
        )
        end = self.clock.now.date() + timedelta(days=300)
        projects.propose(
            self.db,
            self.actor("rita"),
            projects.Proposal(slug=slug, end_date=end, asks=tuple(asks), team=team, **text),
        )
        if approve:
            projects.approve(self.db, self.actor("adam"), slug, reason="good")

    def set_state(self, slug: str, state: ProjectState) -> None:
        with self.db.transaction() as session:
            session.query(Project).filter_by(slug=slug).one().state = state

    def until(self, days: int = 100) -> date:
        return self.clock.now.date() + timedelta(days=days)

    def grant(self, project: str, dataset: str, by: str = "carol", **terms: object) -> int:
        wanted = {"until": self.until(), "delivery": Delivery.files, **terms}
        return grants.give(
            self.db,
            self.actor(by),
            project=project,
            dataset=dataset,
            terms=grants.Terms(**wanted),  # type: ignore[arg-type]
            reason="ok",
        )

    def events(self, action: str = "") -> list[dict]:
        from tre.audit.service import events

        with self.db.read() as session:
            return events(session, action=action, limit=1000)


@pytest.fixture
def world(state_databases: StateDatabases, migrated: StateDatabase, tmp_path: Path) -> Iterator[World]:
    database = state_databases.create(migrated.name)
    clock = Clock()
    db = Database(database.app, clock=clock)
    places = Places(tmp_path / "incoming", tmp_path / "extracts", lambda database: "host=/nowhere")
    places.incoming.mkdir()
    found = World(db, places, clock)
    found.add("adam", Role.administrator, "platform")
    found.add("olga", Role.auditor, "platform")
    found.add("carol", Role.custodian, "acme", "acme")
    found.add("cyril", Role.custodian, "beta", "beta")
    found.add("rita", Role.researcher, "uni")
    found.add("rob", Role.researcher, "uni")
    yield found
    db.close()
    state_databases.drop(database)


def write_parquet(places: Places, organisation: str, folder: str, table: pa.Table, name: str = "part-1") -> Path:
    path = places.incoming / organisation / folder / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, path)
    return path


def visits(records: int = 300, people: int = 100) -> pa.Table:
    """Three records a person; `nhs` is a direct identifier, `person` the unit."""
    numbers = range(records)
    return pa.table(
        {
            "nhs": [f"{400 + i % people} 000 {i % people:04}" for i in numbers],
            "person": [i % people for i in numbers],
            "age": [18 + (i % people) * 7 % 60 for i in numbers],
            "sex": [("F", "M")[i % people % 2] for i in numbers],
            "cost": [None if i % 17 == 0 else 10.0 * i for i in numbers],
            "seen": [date(2020, 1, 15) + timedelta(days=i) for i in numbers],
        }
    )


def visits_dataset(**changes: object) -> service.NewDataset:
    values = {
        "slug": "visits",
        "title": "Visits",
        "description": "Visits to a clinic.",
        "organisation": "acme",
        "legal_basis": "public task",
        "terms": "research only",
        "sensitivity": Sensitivity.personally_identifiable,
        "source_kind": SourceKind.parquet,
        "source": {"folder": "visits"},
        "units": ("person",),
        "described": {"nhs": service.Described("NHS number", identifier=True, scheme="nhs-number")},
        **changes,
    }
    return service.NewDataset(**values)  # type: ignore[arg-type]


@pytest.fixture
def visits_world(world: World) -> World:
    """The visits registered by acme's custodian."""
    write_parquet(world.places, "acme", "visits", visits())
    service.register(world.db, world.places, world.actor("carol"), visits_dataset())
    return world


def ask(*columns: str, rows: dict | None = None, dataset: str = "visits") -> projects.Ask:
    return projects.Ask(dataset, columns or ("nhs", "person", "age", "sex", "cost"), rows)


def connect(conninfo: str) -> psycopg.Connection:
    return psycopg.connect(conninfo, autocommit=True)


@dataclass
class LocalSecrets:
    """A key per project, held here. Projects' databases are tested with the real secrets server."""

    asked: list[str] = field(default_factory=list)
    destroyed: list[str] = field(default_factory=list)
    down: bool = False

    def pseudonym_key(self, project: str) -> bytes:
        self.asked.append(project)
        if self.down:
            raise Unavailable("the secrets server does not answer")
        return hashlib.sha256(project.encode()).digest()

    def project_prepare(self, project: str) -> ProjectDatabase:
        raise Unavailable("no data server here")

    def project_database(self, project: str) -> ProjectDatabase:
        raise NotFound("no database")

    def project_remove(self, project: str) -> None: ...

    def pseudonym_key_destroy(self, project: str) -> None:
        if self.down:
            raise Unavailable("the secrets server does not answer")
        self.destroyed.append(project)


@pytest.fixture
def local_secrets() -> LocalSecrets:
    return LocalSecrets()


def read_rows(paths: Iterable[Path]) -> list[dict]:
    return [row for path in paths for row in parquet.read_table(path).to_pylist()]
