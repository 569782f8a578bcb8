"""Finding a request and how a person stands to it. Reads only; decides nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from sqlalchemy import select
from sqlalchemy.orm import Session

from tre.audit import Actor
from tre.audit.work import record_refusal
from tre.data.model import Dataset, Decision, Grant
from tre.errors import NotFound, Refusal
from tre.outputs import visibility
from tre.outputs.model import ReleaseRequest, RequestFile, RequestVersion, Review
from tre.outputs.rules import Ties
from tre.people.service import conflicts_of, custodian_of, get_person
from tre.projects import service as projects
from tre.projects.model import Project
from tre.store import Database


def subject_of(request_id: int) -> str:
    return f"request:{request_id}"


def get(session: Session, request_id: int, *, lock: bool = False) -> ReleaseRequest:
    """Raises `NotFound`. With `lock` everybody else who changes this request waits."""
    query = select(ReleaseRequest).where(ReleaseRequest.id == request_id)
    request = session.scalars(query.with_for_update() if lock else query).first()
    if request is None:
        raise NotFound(f"There is no request {request_id}.", field="request")
    return request


def version_of(session: Session, request: ReleaseRequest, number: int | None = None) -> RequestVersion:
    """The newest version, or the one named. Raises `NotFound`."""
    version = session.get(RequestVersion, (request.id, request.version if number is None else number))
    if version is None:
        raise NotFound(f"Request {request.id} has no version {number}.", field="version")
    return version


def file_of(version: RequestVersion, position: int) -> RequestFile:
    """The file at that place, counted from 1. Raises `NotFound`."""
    for file in version.files:
        if file.position == position:
            return file
    raise NotFound(f"Version {version.number} has no file {position}.", field="file")


def ties(session: Session, project_slug: str, author: str, username: str) -> Ties:
    project = projects.get(session, project_slug)
    theirs, of = get_person(session, author).organisation_slug, controllers(session, project_slug)
    touched = {f"project:{project_slug}", *(f"organisation:{slug}" for slug in {theirs, *of})}
    return Ties(
        author=username == author,
        member=username in projects.member_names(project),
        ever=username in projects.everybody_ever(project),
        colleague=get_person(session, username).organisation_slug == theirs,
        conflicted=bool(conflicts_of(session, username) & touched),
        custodian=bool(custodian_of(session, username) & of),
    )


def controllers(session: Session, project_slug: str) -> set[str]:
    """The organisations whose data the project was ever granted: any of its outputs may show them."""
    query = (
        select(Dataset.organisation_slug)
        .join(Grant, Grant.dataset_id == Dataset.id)
        .join(Project, Project.id == Grant.project_id)
        .where(Project.slug == project_slug, Grant.decision == Decision.granted)
    )
    return set(session.scalars(query))


def granted_data_of(session: Session, organisations: Collection[str]) -> set[str]:
    """The projects that were ever granted data of one of the organisations."""
    query = (
        select(Project.slug)
        .join(Grant, Grant.project_id == Project.id)
        .join(Dataset, Dataset.id == Grant.dataset_id)
        .where(Dataset.organisation_slug.in_(organisations), Grant.decision == Decision.granted)
    )
    return set(session.scalars(query)) if organisations else set()


def ties_of(session: Session, request: ReleaseRequest, username: str) -> Ties:
    return ties(session, request.project_slug, request.author, username)


def counted_reviews(session: Session, version: RequestVersion) -> list[Review]:
    """Complete reviews of a version, by number."""
    query = select(Review).where(
        Review.request_id == version.request_id,
        Review.version == version.number,
        Review.completed_at.is_not(None),
    )
    return list(session.scalars(query.order_by(Review.number)))


def viewer(session: Session, actor: Actor, request: ReleaseRequest, version: RequestVersion) -> visibility.Viewer:
    reviewed = any(review.reviewer == actor.username for review in counted_reviews(session, version))
    return visibility.viewer_of(actor, ties_of(session, request, actor.username), reviewed=reviewed)


@contextmanager
def looking(db: Database, actor: Actor, action: str, subject: str) -> Iterator[Session]:
    """A session for reading whose refusals are audited as those of every use case."""
    try:
        with db.read() as session:
            yield session
    except Refusal as refusal:
        record_refusal(db, actor, action, subject, refusal)
        raise
