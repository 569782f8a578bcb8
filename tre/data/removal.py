"""Removing what no longer has a grant: files, tables, and folders that belong to nobody.

Decides what must go (an extract whose grant ended or whose project closed) and what its proof is: the audit event names
every file's SHA-256, whether the bytes were still those, and that nothing is left. Deletes first and records then, so
that what is recorded is true; what was killed in between is done again.
"""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from sqlalchemy import or_, select

from tre.audit import SYSTEM, use_case
from tre.credentials import ProjectDatabase
from tre.data import delivery, manifest
from tre.data.build import names_of
from tre.data.extracts import remove_folder, standing
from tre.data.model import Delivery, Extract, ExtractState, Grant
from tre.data.sources import Places
from tre.errors import NotFound, TreError
from tre.projects.model import Project, ProjectState
from tre.store import Database

log = logging.getLogger(__name__)
#: A work folder of the register that is older than this belongs to nobody any more.
STALE = timedelta(days=1)
_OVER = (ProjectState.closed, ProjectState.refused)


class Databases(Protocol):
    """What is asked about projects' databases (`tre.credentials.Secrets` answers)."""

    def project_database(self, project: str) -> ProjectDatabase: ...
    def project_remove(self, project: str) -> None: ...


@dataclass(frozen=True)
class _Doomed:
    extract: int
    name: str
    project: str
    dataset: str
    over: bool
    in_database: bool


def remove_one(db: Database, places: Places, databases: Databases) -> bool:
    """Removes the first extract that must go and can; False when there is none. One that cannot go now (its server does
    not answer) stays as it is, for the next pass.
    """
    for doomed in _doomed(db):
        try:
            _remove(db, places, databases, doomed)
        except (TreError, OSError) as problem:
            log.warning("extract %s could not be removed: %s", doomed.extract, problem)
        else:
            return True
    return False


def _remove(db: Database, places: Places, databases: Databases, doomed: _Doomed) -> None:
    with use_case(db, SYSTEM, "extract.remove", f"extract:{doomed.extract}") as case:
        # Locked until all is gone: a build that ends at this moment sees that it was too late.
        extract = case.session.get_one(Extract, doomed.extract, with_for_update={"of": Extract})
        if extract.state == ExtractState.removed:
            case.nothing_changed()
            return
        made = manifest.from_dict(extract.manifest) if extract.manifest else None
        folder = places.extracts / doomed.name
        changed = manifest.problems(folder, made) if made else []
        remove_folder(folder)
        if doomed.in_database:
            _leave_database(places, databases, doomed)
        case.note(**{"from": extract.state, "project": doomed.project, "dataset": doomed.dataset})
        case.note(files=names_of(made.files) if made else [], as_pinned=not changed, found=changed)
        case.note(left=folder.exists(), table=doomed.in_database)
        extract.state, extract.state_since = ExtractState.removed, case.now
        extract.attempt = extract.lease_until = None


def _doomed(db: Database) -> list[_Doomed]:
    with db.read() as session:
        query = (
            select(Extract)
            .join(Grant, Grant.id == Extract.grant_id)
            .join(Project, Project.id == Grant.project_id)
            .where(Extract.state != ExtractState.removed)
            .where(or_(Project.state.in_(_OVER), ~standing(db.clock().date())))
            .order_by(Extract.id)
        )
        return [
            _Doomed(
                extract=extract.id,
                name=extract.name,
                project=extract.grant.project.slug,
                dataset=extract.grant.dataset.slug,
                over=extract.grant.project.state in _OVER,
                in_database=extract.grant.delivery != Delivery.files,
            )
            for extract in session.scalars(query)
        ]


def _leave_database(places: Places, databases: Databases, doomed: _Doomed) -> None:
    """A project that is over loses its whole database with every login to it; otherwise only the table goes."""
    if doomed.over:
        databases.project_remove(doomed.project)
        return
    try:
        database = databases.project_database(doomed.project)
    except NotFound:
        return
    delivery.withdraw(places.database(database.database), doomed.dataset)


def prune(db: Database, places: Places) -> int:
    """Removes folders that belong to no live extract and to no present attempt; returns how many. What was ever handed
    over is removed by `remove_one`; these are what killed workers left. Recorded first, so that nothing goes
    unrecorded: what could not be removed is there, and recorded, again.
    """
    doomed = _orphans(db, places)
    if doomed:
        with use_case(db, SYSTEM, "extract.tidy", "extract:none") as case:
            case.note(folders=doomed)
    for name in doomed:
        remove_folder(places.extracts / name)
    return len(doomed)


def _orphans(db: Database, places: Places) -> list[str]:
    present = sorted(os.listdir(places.extracts)) if places.extracts.is_dir() else []
    with db.read() as session:
        rows = session.execute(select(Extract.name, Extract.attempt).where(Extract.state != ExtractState.removed)).all()
    live = {name for name, _ in rows}
    live |= {f".{kind}-{name}-{attempt}" for name, attempt in rows if attempt for kind in ("work", "files")}
    return [name for name in present if name not in live and not _fresh(places.extracts / name)]


def _fresh(folder: Path) -> bool:
    """A work folder of the register has no row: its age decides."""
    try:
        young = time.time() - folder.lstat().st_mtime < STALE.total_seconds()
    except FileNotFoundError:
        return True
    return folder.name.startswith(".measure-") and young
