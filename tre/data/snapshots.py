"""What the rest of the platform sees of the extracts: folders for a workspace, files for recomputing a table.

Decides that only ready extracts of grants that stand today are shown, and that the platform recomputes from nothing but
bytes that still match their manifest.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from tre.data import manifest
from tre.data.extracts import standing
from tre.data.model import Dataset, Delivery, Extract, ExtractState, Grant
from tre.data.sources import Places
from tre.errors import Broken, NotFound
from tre.projects.model import Project


def mounts(session: Session, places: Places, project: str, today: date) -> list[tuple[str, Path]]:
    """(dataset, folder on this host) for each dataset that is delivered as files: a workspace's read-only data."""
    return [
        (extract.grant.dataset.slug, places.extracts / extract.name)
        for extract in ready(session, project, today)
        if extract.grant.delivery != Delivery.database
    ]


def needs_database(session: Session, project: str, today: date) -> bool:
    """Whether a workspace of the project gets a login to the project's database."""
    return any(extract.grant.delivery != Delivery.files for extract in ready(session, project, today))


def snapshot(session: Session, places: Places, project: str, dataset: str, today: date) -> manifest.Manifest:
    """The manifest of the pinned snapshot, compared with the bytes on disk. Raises `NotFound`, `Broken`."""
    extract = _ready_one(session, project, dataset, today)
    found = manifest.from_dict(extract.manifest or {})
    if found.digest != extract.digest:
        raise Broken(f"The manifest of {dataset} for {project} was altered.")
    manifest.check(places.extracts / extract.name, found)
    return found


def snapshot_paths(session: Session, places: Places, project: str, dataset: str, today: date) -> list[Path]:
    """The files of the pinned snapshot, checked by `snapshot` first."""
    found = snapshot(session, places, project, dataset, today)
    return manifest.paths(places.extracts / _ready_one(session, project, dataset, today).name, found)


def ready(session: Session, project: str, today: date) -> Sequence[Extract]:
    query = (
        select(Extract)
        .join(Grant, Grant.id == Extract.grant_id)
        .join(Project, Project.id == Grant.project_id)
        .join(Dataset, Dataset.id == Grant.dataset_id)
        .where(Project.slug == project, Extract.state == ExtractState.ready, standing(today))
        .order_by(Dataset.slug)
    )
    return session.scalars(query).all()


def _ready_one(session: Session, project: str, dataset: str, today: date) -> Extract:
    found = next((e for e in ready(session, project, today) if e.grant.dataset.slug == dataset), None)
    if found is None:
        raise NotFound(f"{project} has no extract of {dataset}.", field="dataset", hint="`tre extract list` shows all.")
    return found
