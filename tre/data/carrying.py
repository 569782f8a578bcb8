"""An extract's way to its project's volume on a cluster: offered by the worker, placed by a pod of the project.

Decides what is due: an extract that is ready and delivered as files is offered in the project's own database; from
there whoever may act in the project's namespace has it placed, and says so; then nothing of it stays in the database.
One that was removed leaves the volume, too. Each change of state is one event. Leaves pods to
`tre.workspaces.kubernetes.carrying`, bytes in the database to `parcels`.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import Session

from tre.audit import SYSTEM, UseCase, use_case
from tre.credentials import ProjectDatabase
from tre.data import manifest, parcels, snapshots
from tre.data.extracts import standing
from tre.data.model import Carriage, CarriageState, Delivery, Extract, ExtractState, Grant
from tre.data.sources import Places
from tre.errors import NotFound, TreError
from tre.projects.model import Project, ProjectState
from tre.store import Database

log = logging.getLogger(__name__)
PAUSE = timedelta(seconds=10)
#: Begins the names of those who carry; no workspace's id has a hyphen.
CARRIER = "carrier-"
#: A pause grows with the attempts, and no further.
MOST_PAUSES = 30


class Databases(Protocol):
    """What is asked about projects' databases (`tre.credentials.Secrets` answers)."""

    def project_prepare(self, project: str) -> ProjectDatabase: ...
    def project_database(self, project: str) -> ProjectDatabase: ...


@dataclass(frozen=True)
class Load:
    """What is to be carried: `files` maps a name to SHA-256 and size. `away`: it is to leave the volume."""

    extract: int
    name: str
    project: str
    away: bool
    files: dict[str, tuple[str, int]]
    lease_id: str | None

    @property
    def carrier(self) -> str:
        """Names whoever carries it, among the workspaces of the project."""
        return carrier_of(self.name, away=self.away)

    @property
    def other(self) -> str:
        """Whoever carries it the other way: they never meet."""
        return carrier_of(self.name, away=not self.away)


def carrier_of(extract: str, *, away: bool) -> str:
    return f"{CARRIER}{'away-' if away else ''}{extract.removeprefix('x_')}"


def step(db: Database, places: Places, databases: Databases) -> bool:
    """The worker's part, one thing at a time; False where there was nothing to do or nothing can be done now."""
    return any(_tried(each, db, places, databases) for each in _to_clear(db) + _to_offer(db))


@dataclass(frozen=True)
class _Task:
    extract: int
    offer: bool


def _tried(task: _Task, db: Database, places: Places, databases: Databases) -> bool:
    """One that fails holds up no other: it is found again."""
    try:
        (_offer if task.offer else _clear)(db, places, databases, task.extract)
    except (TreError, OSError) as problem:
        log.warning("extract %s is not carried: %s", task.extract, problem)
        return False
    return True


def _to_offer(db: Database) -> list[_Task]:
    with db.read() as session:
        query = (
            select(Extract.id)
            .join(Grant, Grant.id == Extract.grant_id)
            .join(Project, Project.id == Grant.project_id)
            .where(Extract.state == ExtractState.ready, Grant.delivery != Delivery.database)
            .where(Project.state == ProjectState.approved, standing(db.clock().date()))
            .where(~exists().where(Carriage.extract_id == Extract.id))
            .order_by(Extract.id)
        )
        return [_Task(number, offer=True) for number in session.scalars(query)]


def _offer(db: Database, places: Places, databases: Databases, number: int) -> None:
    """The extract is locked while its files are copied: a grant that ends now waits, and finds what to clear."""
    with use_case(db, SYSTEM, "extract.offer", f"extract:{number}") as case:
        extract = case.session.get_one(Extract, number, with_for_update={"of": Extract})
        if extract.state != ExtractState.ready or case.session.get(Carriage, number) is not None:
            case.nothing_changed()
            return
        project = extract.grant.project.slug
        made, folder = manifest.from_dict(extract.manifest or {}), places.extracts / extract.name
        manifest.check(folder, made)
        database = databases.project_prepare(project)
        files = [*manifest.paths(folder, made), folder / manifest.NAME]
        parcels.put(places.database(database.database), database.group, extract.name, files)
        case.session.add(Carriage(extract_id=number, state=CarriageState.offered, state_since=case.now))
        case.note(project=project, manifest=made.digest)


def _to_clear(db: Database) -> list[_Task]:
    with db.read() as session:
        over = or_(Carriage.state != CarriageState.offered, Extract.state == ExtractState.removed)
        query = select(Carriage.extract_id).join(Extract).where(Carriage.cleared_at.is_(None), over)
        return [_Task(number, offer=False) for number in session.scalars(query.order_by(Carriage.extract_id))]


def _clear(db: Database, places: Places, databases: Databases, number: int) -> None:
    with use_case(db, SYSTEM, "extract.clear", f"extract:{number}") as case:
        carriage = case.session.get_one(Carriage, number, with_for_update={"of": Carriage})
        project = carriage.extract.grant.project.slug
        try:
            database = databases.project_database(project)
        except NotFound:
            # A project that is over has lost its whole database.
            pass
        else:
            parcels.clear(places.database(database.database), carriage.extract.name)
        carriage.cleared_at = case.now
        case.note(project=project)


# What whoever acts in the project's namespace asks and says.


def due(session: Session, now: datetime) -> list[Load]:
    """What is to be placed or to leave, of projects whose pods may run, the oldest first."""
    query = (
        select(Carriage)
        .join(Extract, Extract.id == Carriage.extract_id)
        .join(Grant, Grant.id == Extract.grant_id)
        .join(Project, Project.id == Grant.project_id)
        .where(Project.state == ProjectState.approved, Carriage.state != CarriageState.gone)
        .where(or_(Carriage.state == CarriageState.offered, Extract.state == ExtractState.removed))
        .order_by(Carriage.extract_id)
    )
    rows = session.scalars(query).all()
    return [_load(row) for row in rows if row.state_since + PAUSE * min(row.attempts, MOST_PAUSES) <= now]


def _load(row: Carriage) -> Load:
    extract = row.extract
    away = extract.state == ExtractState.removed
    return Load(extract.id, extract.name, extract.grant.project.slug, away, _files(extract), row.lease_id)


def _files(extract: Extract) -> dict[str, tuple[str, int]]:
    made = manifest.from_dict(extract.manifest or {})
    said = manifest.text(made)
    return {
        **{file.name: (file.sha256, file.size) for file in made.files},
        manifest.NAME: (hashlib.sha256(said).hexdigest(), len(said)),
    }


def live_carriers(session: Session) -> list[tuple[str, str]]:
    """(project, carrier) of those whose pods may run."""
    rows = session.execute(
        select(Project.slug, Extract.name, Extract.state)
        .select_from(Carriage)
        .join(Extract, Extract.id == Carriage.extract_id)
        .join(Grant, Grant.id == Extract.grant_id)
        .join(Project, Project.id == Grant.project_id)
        .where(Project.state == ProjectState.approved, Carriage.state != CarriageState.gone)
        .where(or_(Carriage.state == CarriageState.offered, Extract.state == ExtractState.removed))
    )
    return [(slug, carrier_of(name, away=state == ExtractState.removed)) for slug, name, state in rows]


def holds(db: Database, extract: int, lease_id: str) -> None:
    """Whoever carries it got this login. Recorded before anybody may use it."""
    with use_case(db, SYSTEM, "credential.lease", f"extract:{extract}") as case:
        _locked(case, extract).lease_id = lease_id


def carried(db: Database, load: Load) -> None:
    """It is where it is to be."""
    state = CarriageState.gone if load.away else CarriageState.placed
    with use_case(db, SYSTEM, "extract.withdraw" if load.away else "extract.place", f"extract:{load.extract}") as case:
        row = _locked(case, load.extract)
        case.note(**{"from": row.state, "to": str(state), "project": load.project})
        row.state, row.state_since, row.reason, row.attempts, row.lease_id = state, case.now, "", 0, None


def failed(db: Database, load: Load, reason: str) -> None:
    """It is tried again, after a pause."""
    with use_case(db, SYSTEM, "extract.carry_failed", f"extract:{load.extract}") as case:
        row = _locked(case, load.extract)
        row.attempts, row.state_since, row.reason, row.lease_id = row.attempts + 1, case.now, reason[:300], None
        case.note(project=load.project, reason=row.reason, attempt=row.attempts)


def _locked(case: UseCase, extract: int) -> Carriage:
    return case.session.get_one(Carriage, extract, with_for_update={"of": Carriage})


def on_the_way(session: Session, project: str, today: date) -> list[str]:
    """Datasets of a project that are delivered as files and not in its volume yet."""
    wanted: dict[int, Any] = {
        extract.id: extract.grant.dataset.slug
        for extract in snapshots.ready(session, project, today)
        if extract.grant.delivery != Delivery.database
    }
    placed = select(Carriage.extract_id).where(Carriage.extract_id.in_(wanted), Carriage.state == CarriageState.placed)
    for number in session.scalars(placed):
        del wanted[number]
    return sorted(wanted.values())
