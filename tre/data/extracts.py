"""The life of an extract: queued by a grant, built by one worker at a time, removed with proof when its grant ends.

The state is the queue: a worker claims a row for a short lease that it renews while it works; whoever is killed loses
the lease, and the next one begins again in a new folder. What was finished but not yet recorded is taken over if it is
whole. `step` does one thing at a time and is safe to call from any number of workers. Leaves files to `build`.
"""

from __future__ import annotations

import os
import secrets as random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Protocol

from sqlalchemy import ColumnElement, Select, and_, exists, or_, select
from sqlalchemy.orm import Session, aliased

from tre.audit import SYSTEM, Actor, UseCase, use_case
from tre.credentials import ProjectDatabase
from tre.data import delivery, manifest, rules
from tre.data.beat import Beat
from tre.data.build import Recipe, build, names_of, sync
from tre.data.model import Decision, Delivery, Extract, ExtractState, Grant
from tre.data.pseudonyms import PseudonymKey
from tre.data.sources import Places
from tre.errors import Broken, Conflict, NotFound, TreError, Unavailable
from tre.people.service import custodian_of
from tre.projects.model import Project, ProjectState
from tre.settings import make_private_folder
from tre.store import Database

LEASE = timedelta(seconds=60)
LONGEST_BUILD = timedelta(hours=2)
MOST_ATTEMPTS = 3
#: How long a step waits before it is tried again, by the number of attempts so far.
PAUSE = timedelta(seconds=10)


class Secrets(Protocol):
    """What is asked of the secrets server (`tre.credentials.Secrets` is one)."""

    def pseudonym_key(self, project: str) -> bytes: ...
    def project_prepare(self, project: str) -> ProjectDatabase: ...


@dataclass(frozen=True)
class Claim:
    """One extract in one worker's hands."""

    extract: int
    name: str
    attempt: str
    project: str
    delivery: Delivery
    recipe: Recipe


class _Lost(Exception):
    """Another worker, or the end of the grant, took the extract out of our hands."""


def step(db: Database, places: Places, secrets: Secrets) -> bool:
    """Builds one queued extract if there is one; False when there was none. Failures are recorded, never raised, but
    for those of the state database itself.
    """
    claim = _claim(db)
    if claim is None:
        return False
    try:
        with Beat(lambda: _renew(db, claim), every=LEASE / 4, longest=LONGEST_BUILD):
            final = places.extracts / claim.name
            made = _finished(final, claim) or _build(db, places, secrets, claim, final)
            database = None if claim.delivery is Delivery.files else secrets.project_prepare(claim.project)
        _record(db, places, claim, made, database)
    except _Lost:
        # The grant ended meanwhile, or we were too slow. What we finished is taken over, or pruned.
        pass
    except TreError as error:
        _give_back(db, claim, error)
    except OSError as error:
        _give_back(db, claim, Unavailable(f"The extract's files cannot be written: {error.strerror}."))
    except Exception as error:
        # Not ours to hide: the state says that it failed, the worker's log says where.
        _give_back(db, claim, Broken(f"An unexpected error ({type(error).__name__})."))
        raise
    finally:
        _clear_work(places, claim)
    return True


def _claim(db: Database) -> Claim | None:
    with use_case(db, SYSTEM, "extract.build", "extract:none") as case:
        extract = case.session.scalars(_claimable(case)).first()
        if extract is None:
            case.nothing_changed()
            return None
        grant = extract.grant
        case.subject = f"extract:{extract.id}"
        case.note(project=grant.project.slug, dataset=grant.dataset.slug, grant=grant.id)
        if extract.attempts >= MOST_ATTEMPTS:
            _set(case, extract, ExtractState.failed, f"Its worker was lost {extract.attempts} times.")
            return None
        _set(case, extract, ExtractState.building, "")
        extract.attempts += 1
        extract.attempt, extract.lease_until = random.token_hex(8), case.now + LEASE
        case.note(attempt=extract.attempts)
        wanted = Delivery(grant.delivery or Delivery.files)
        return Claim(extract.id, extract.name, extract.attempt, grant.project.slug, wanted, Recipe.of(grant))


def _claimable(case: UseCase) -> Select[Extract]:
    """The oldest extract that is queued, or whose worker was lost; of an approved project and a standing grant; and
    not before an earlier extract of the same data is gone, since both would have the same table.
    """
    earlier, before = aliased(Extract), aliased(Grant)
    waits = exists().where(
        earlier.grant_id == before.id,
        before.project_id == Grant.project_id,
        before.dataset_id == Grant.dataset_id,
        earlier.id < Extract.id,
        earlier.state != ExtractState.removed,
    )
    free = or_(Extract.lease_until.is_(None), Extract.lease_until < case.now)
    return (
        select(Extract)
        .join(Grant, Grant.id == Extract.grant_id)
        .join(Project, Project.id == Grant.project_id)
        .where(Extract.state.in_((ExtractState.queued, ExtractState.building)), free, ~waits)
        .where(Project.state == ProjectState.approved, standing(case.now.date()))
        .order_by(Extract.id)
        .limit(1)
        .with_for_update(of=Extract, skip_locked=True)
    )


def standing(today: date) -> ColumnElement[bool]:
    """`rules.stands` as a condition of the database."""
    return and_(Grant.decision == Decision.granted, Grant.ended_at.is_(None), Grant.until >= today)


def _finished(final: Path, claim: Claim) -> manifest.Manifest | None:
    """What an earlier attempt finished without living to record it; removed when it is not whole."""
    if not final.exists():
        return None
    try:
        found = manifest.read(final)
        manifest.check(final, found)
        if found.grant == claim.recipe.grant:
            return found
    except Broken:
        pass
    remove_folder(final)
    return None


def _build(db: Database, places: Places, secrets: Secrets, claim: Claim, final: Path) -> manifest.Manifest:
    make_private_folder(places.extracts)
    work, folder = (_folder(places, claim, kind) for kind in ("work", "files"))
    for path in (work, folder):
        path.mkdir(mode=0o700)
    key = PseudonymKey(secrets.pseudonym_key(claim.project))
    made = build(places, claim.recipe, key, folder, work, made_at=db.clock().isoformat())
    folder.rename(final)
    sync(places.extracts)
    return made


def _record(
    db: Database, places: Places, claim: Claim, made: manifest.Manifest, database: ProjectDatabase | None
) -> None:
    """The table is made while the row is locked: a grant that ends now waits, and then finds the table to drop."""
    with use_case(db, SYSTEM, "extract.ready", f"extract:{claim.extract}") as case:
        extract = _held(case, claim)
        if database:
            _deliver(places, claim, made, database)
        _set(case, extract, ExtractState.ready, "")
        extract.manifest, extract.digest = made.as_dict(), made.digest
        extract.attempt = extract.lease_until = None
        case.note(manifest=made.digest, rows=made.rows, files=names_of(made.files), source=made.source)
        case.note(key=made.key_id, pseudonyms=made.pseudonym_version, project=claim.project, grant=made.grant)


def _deliver(places: Places, claim: Claim, made: manifest.Manifest, database: ProjectDatabase) -> None:
    """From the files: both hold the same rows."""
    conninfo = places.database(database.database)
    files = manifest.paths(places.extracts / claim.name, made)
    rows = delivery.deliver(conninfo, claim.recipe.dataset, database.group, files)
    if rows != made.rows:
        raise Broken(f"The table has {rows} rows, the files {made.rows}.")


def _give_back(db: Database, claim: Claim, error: TreError) -> None:
    """Trying again may help where a part did not answer; otherwise a person must look."""
    with use_case(db, SYSTEM, "extract.fail", f"extract:{claim.extract}") as case:
        try:
            extract = _held(case, claim)
        except _Lost:
            case.nothing_changed()
            return
        again = isinstance(error, Unavailable) and extract.attempts < MOST_ATTEMPTS
        _set(case, extract, ExtractState.queued if again else ExtractState.failed, error.message)
        extract.attempt = None
        extract.lease_until = case.now + PAUSE * extract.attempts if again else None
        case.note(attempt=extract.attempts, again=again)


def _renew(db: Database, claim: Claim) -> bool:
    """False when the extract is no longer ours."""
    with db.transaction() as session:
        extract = _locked(session, claim.extract)
        if extract.state != ExtractState.building or extract.attempt != claim.attempt:
            return False
        extract.lease_until = db.clock() + LEASE
        return True


def _held(case: UseCase, claim: Claim) -> Extract:
    extract = _locked(case.session, claim.extract)
    if extract.state != ExtractState.building or extract.attempt != claim.attempt:
        raise _Lost
    return extract


def _locked(session: Session, number: int) -> Extract:
    return session.scalars(select(Extract).where(Extract.id == number).with_for_update(of=Extract)).one()


def _set(case: UseCase, extract: Extract, state: ExtractState, reason: str) -> None:
    rules.check_transition(extract, state)
    case.note(**{"from": extract.state, "to": str(state), **({"reason": reason} if reason else {})})
    extract.state, extract.state_since, extract.reason = state, case.now, reason


def _folder(places: Places, claim: Claim, kind: str) -> Path:
    return places.extracts / f".{kind}-{claim.name}-{claim.attempt}"


def _clear_work(places: Places, claim: Claim) -> None:
    for kind in ("work", "files"):
        remove_folder(_folder(places, claim, kind))


def remove_folder(folder: Path) -> None:
    """Also a read-only one; a missing one is no error. Raises OSError where something stays."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.exists():
        os.chmod(folder, 0o700)
        shutil.rmtree(folder)


def failed(session: Session, today: date) -> Sequence[Extract]:
    """Those that nobody builds any more unless a person asks for it, of open projects."""
    query = (
        select(Extract)
        .join(Grant, Grant.id == Extract.grant_id)
        .join(Project, Project.id == Grant.project_id)
        .where(Extract.state == ExtractState.failed, Project.state == ProjectState.approved, standing(today))
    )
    return session.scalars(query.order_by(Extract.id)).all()


def build_again(db: Database, actor: Actor, grant_id: int) -> None:
    """A custodian of the data or an administrator queues a failed extract again. A ready one is pinned: a new snapshot
    needs a new grant.
    """
    with use_case(db, actor, "extract.build_again", f"grant:{grant_id}") as case:
        found = case.session.scalars(
            select(Extract)
            .where(Extract.grant_id == grant_id, Extract.state != ExtractState.removed)
            .with_for_update(of=Extract)
        ).first()
        if found is None:
            raise NotFound("There is no extract of this grant.", field="grant")
        rules.check_end(actor, found.grant.dataset.organisation_slug, custodian_of(case.session, actor.username))
        if found.state != ExtractState.failed:
            raise Conflict(f"The extract is {found.state}.", hint="Only a failed one is built again.")
        _set(case, found, ExtractState.queued, "")
        found.attempts, found.lease_until = 0, None
        case.note(extract=found.id)
