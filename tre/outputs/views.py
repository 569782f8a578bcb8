"""One request as a person may see it: plain values for pages, the command line and the workspace.

Everything that `visibility` hides is left out here, so that no edge has to know the rules. Reads only; the content of
files is in `viewing`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from tre.audit import Actor
from tre.outputs import access, limits, rules, visibility
from tre.outputs.actions import actions
from tre.outputs.model import (
    Comment,
    FileFinding,
    ReleaseRequest,
    RequestFile,
    RequestVersion,
    Review,
    Vote,
)
from tre.outputs.released import ReleaseView, project_releases
from tre.outputs.states import OWNERS, RequestState
from tre.outputs.visibility import Stage, Viewer
from tre.store import Database

ELSEWHERE = "The details are shown inside the workspace: release.status()."


@dataclass(frozen=True)
class FindingView:
    """`cell` names the cell by its labels; empty for a finding on the whole file, or where the labels are not shown."""

    rule: str
    severity: str
    why: str
    remedy: str
    cell: dict[str, Any]


@dataclass(frozen=True)
class VoteView:
    reviewer: str
    choice: str
    comment: str
    at: datetime


@dataclass(frozen=True)
class FileView:
    """`decision` and `votes` are empty as long as they are sealed for this viewer; the project gets votes as remarks
    without a choice, under numbers. `mine` is one's own vote. `attested` is what the workspace says of the file
    (profile, status, what, spec). `changed` says that the version before had no file of this name with these bytes.
    """

    position: int
    name: str
    kind: str
    title: str
    context: str
    controls: str
    media_type: str
    size: int
    sha256: str
    evidence: str
    status: str
    dataset: str | None
    spec: dict[str, Any] | None
    attested: dict[str, Any] | None
    snapshot: str | None
    changed: bool
    findings: tuple[FindingView, ...]
    decision: str
    votes: tuple[VoteView, ...]
    mine: VoteView | None


@dataclass(frozen=True)
class CommentView:
    author: str
    audience: str
    text: str
    at: datetime
    version: int
    file: int | None


@dataclass(frozen=True)
class RequestView:
    """`due_in` is working days from today; `stage` how far the review of this version is: sealed, opened or decided.
    `actions` is what the viewer may do now; `earlier` what the project has released before.
    """

    id: int
    project: str
    author: str
    title: str
    context: str
    controls: str
    state: str
    turn: str
    since: datetime
    reason: str
    version: int
    versions: int
    submitted_at: datetime
    due_at: datetime | None
    due_in: int | None
    overdue: bool
    stage: str
    reviews: int
    required: int
    checks: dict[str, Any]
    files: tuple[FileView, ...]
    comments: tuple[CommentView, ...]
    release: ReleaseView | None
    earlier: tuple[ReleaseView, ...]
    actions: tuple[str, ...]


def show_request(db: Database, actor: Actor, request_id: int, *, version: int | None = None) -> RequestView:
    """The newest version, or an earlier one, as this person may see it now. Raises `Forbidden`, `NotFound`."""
    with access.looking(db, actor, "request.show", access.subject_of(request_id)) as session:
        request = access.get(session, request_id)
        ties = access.ties_of(session, request, actor.username)
        rules.check_see(actor, ties, request.state)
        shown = access.version_of(session, request, version)
        reviews = access.counted_reviews(session, shown)
        reviewed = any(review.reviewer == actor.username for review in reviews)
        viewer = visibility.viewer_of(actor, ties, reviewed=reviewed)
        return _request(session, request, shown, viewer, reviews, actions(session, actor, request, ties), db.clock())


def _request(
    session: Session,
    request: ReleaseRequest,
    version: RequestVersion,
    viewer: Viewer,
    reviews: list[Review],
    possible: tuple[str, ...],
    now: datetime,
) -> RequestView:
    words = visibility.can_see_words(viewer, request.state, newest=version.number == request.version)
    releases = project_releases(session, request.project_slug)
    return RequestView(
        id=request.id,
        project=request.project_slug,
        author=request.author,
        title=version.title,
        context=version.context if words else "",
        controls=version.controls if words else "",
        state=request.state,
        turn=OWNERS[RequestState(request.state)],
        since=request.state_since,
        reason=request.reason,
        version=version.number,
        versions=request.version,
        submitted_at=version.submitted_at,
        due_at=request.due_at,
        due_in=limits.read(session).working_days(now, request.due_at),
        overdue=request.due_at is not None and request.due_at < now,
        stage=stage(version),
        reviews=len(reviews),
        required=version.required,
        checks=version.checks,
        files=_files(session, request, version, viewer, reviews),
        comments=_comments(session, request, viewer),
        release=next((out for out in releases if out.request == request.id), None),
        earlier=tuple(out for out in releases if out.request != request.id),
        actions=possible,
    )


def stage(version: RequestVersion) -> Stage:
    return visibility.stage_of(version.opened_at is not None, version.decided_at is not None)


def _files(
    session: Session, request: ReleaseRequest, version: RequestVersion, viewer: Viewer, reviews: list[Review]
) -> tuple[FileView, ...]:
    before: set[tuple[str, str]] = set()
    if version.number > 1:
        previous = access.version_of(session, request, version.number - 1)
        before = {(file.name, file.digest) for file in previous.files}
    votes = _votes(session, version, viewer, reviews)
    words = visibility.can_see_words(viewer, request.state, newest=version.number == request.version)
    return tuple(
        _file(file, viewer, stage(version), votes.get(file.id, []), words, (file.name, file.digest) not in before)
        for file in version.files
    )


def _file(file: RequestFile, viewer: Viewer, at: Stage, votes: list[VoteView], words: bool, changed: bool) -> FileView:
    return FileView(
        position=file.position,
        name=file.name,
        kind=file.kind,
        title=file.title if words else "",
        context=file.context if words else "",
        controls=file.controls if words else "",
        media_type=file.media_type,
        size=file.size,
        sha256=file.digest,
        evidence=file.evidence,
        status=file.status,
        dataset=file.dataset if words else None,
        spec=file.spec if words else None,
        attested=file.attested if words else None,
        snapshot=file.snapshot,
        changed=changed,
        findings=tuple(_finding(finding, words) for finding in file.findings),
        decision=file.decision if visibility.can_see_others(viewer, at) else "",
        votes=tuple(votes),
        mine=next((vote for vote in votes if vote.reviewer == viewer.username), None),
    )


def _finding(finding: FileFinding, words: bool) -> FindingView:
    why, cell = (finding.why, finding.cell) if words else (ELSEWHERE, {})
    return FindingView(finding.rule, finding.severity, why, finding.remedy, cell)


def _votes(
    session: Session, version: RequestVersion, viewer: Viewer, reviews: list[Review]
) -> dict[int, list[VoteView]]:
    """Votes by file that this viewer may see: one's own, and those that count once they are open to them."""
    numbers = {review.reviewer: review.number for review in reviews}
    found: dict[int, list[VoteView]] = {}
    query = select(Vote).where(Vote.file_id.in_([file.id for file in version.files])).order_by(Vote.reviewer)
    for vote in session.scalars(query):
        if vote.reviewer != viewer.username and vote.reviewer not in numbers:
            continue
        if visibility.can_see_vote(viewer, stage(version), vote.reviewer):
            found.setdefault(vote.file_id, []).append(VoteView(vote.reviewer, vote.choice, vote.comment, vote.at))
        elif vote.comment and visibility.can_see_remarks(viewer, stage(version)):
            name = visibility.shown_name(viewer, vote.reviewer, by_checker=True, number=numbers[vote.reviewer])
            found.setdefault(vote.file_id, []).append(VoteView(name, "", vote.comment, vote.at))
    return found


def _comments(session: Session, request: ReleaseRequest, viewer: Viewer) -> tuple[CommentView, ...]:
    """The thread over all versions; each comment waits for the version that it was written in."""
    versions = session.scalars(select(RequestVersion).where(RequestVersion.request_id == request.id)).all()
    stages = {version.number: stage(version) for version in versions}
    places = {file.id: file.position for version in versions for file in version.files}
    numbers = _numbers(session, request)
    reviewers = {(n, name) for (n, name), review in numbers.items() if review.completed_at is not None}
    found = []
    query = select(Comment).where(Comment.request_id == request.id).order_by(Comment.id)
    for comment in session.scalars(query):
        looking = visibility.Viewer(
            viewer.username, viewer.side, (comment.version, viewer.username) in reviewers, viewer.inside
        )
        if not visibility.can_see_comment(
            looking,
            stages[comment.version],
            author=comment.author,
            by_checker=comment.by_checker,
            audience=comment.audience,
        ):
            continue
        review = numbers.get((comment.version, comment.author))
        name = visibility.shown_name(
            viewer, comment.author, by_checker=comment.by_checker, number=review.number if review else None
        )
        place = places.get(comment.file_id) if comment.file_id is not None else None
        found.append(CommentView(name, comment.audience, comment.text, comment.at, comment.version, place))
    return tuple(found)


def _numbers(session: Session, request: ReleaseRequest) -> dict[tuple[int, str], Review]:
    reviews = session.scalars(select(Review).where(Review.request_id == request.id))
    return {(review.version, review.reviewer): review for review in reviews}
