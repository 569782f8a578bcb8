"""Release, recall and download.

A person starts the release of what was approved; a resumable step carries it out: votes counted again, bytes read and
hashed again, crate built, kept and signed, and then, in one transaction, released. A worker may die anywhere: the same
input gives the same crate, and the database holds one release per request.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy.orm import Session

from tre.audit import SYSTEM, Actor, UseCase, use_case
from tre.errors import Broken, Conflict, Forbidden
from tre.outputs import access, crate, keeping, review, rules, steps
from tre.outputs.content.store import ContentStore
from tre.outputs.model import Evidence, Release, ReleasedTable, ReleaseRequest, RequestFile, RequestVersion
from tre.outputs.service import move
from tre.outputs.states import RequestState
from tre.outputs.steps import Claim
from tre.people.service import get_person
from tre.projects import service as projects
from tre.store import Database


class Signer(Protocol):
    """Signs with a key that never leaves the secrets server."""

    def sign(self, message: bytes) -> str: ...


@dataclass(frozen=True)
class ReleaseDesk:
    """What the step works with."""

    store: ContentStore
    signer: Signer


@dataclass(frozen=True)
class Download:
    """Bytes as they were reviewed, with a plain file name and their SHA-256."""

    name: str
    media_type: str
    content: bytes
    sha256: str


def release(db: Database, actor: Actor, request_id: int, *, version: int) -> None:
    """Starts the release of an approved version. By an output checker without a tie; who voted must still be one."""
    with use_case(db, actor, "request.release", access.subject_of(request_id)) as case:
        request = access.get(case.session, request_id, lock=True)
        rules.check_review(actor, access.ties_of(case.session, request, actor.username))
        rules.check_version(version, request.version)
        rules.check_transition(request_id, request.state, RequestState.releasing)
        current = access.version_of(case.session, request)
        review.check_unanimous(case.session, request, current)
        move(case, request, RequestState.releasing)
        request.attempts, current.released_by = 0, actor.username
        case.note(version=version)


def step(db: Database, desk: ReleaseDesk) -> bool:
    """Carries out one release; says whether there was one."""
    taken = steps.claim(db, RequestState.releasing)
    if taken is None:
        return False
    with steps.handling(db, taken, RequestState.releasing):
        _release(db, desk, taken)
    return True


def _release(db: Database, desk: ReleaseDesk, taken: Claim) -> None:
    with db.read() as session:
        request = access.get(session, taken.request)
        version = access.version_of(session, request, taken.version)
        released = _released(session, request, version, taken)
        contents = {file.name: desk.store.read(file.digest) for file in version.files}
    built = crate.build_crate(released, contents)
    kept = desk.store.put(built)
    said = crate.statement(
        crate=released.crate_id, request=released.request, version=released.version, sha256=kept.digest
    )
    signature = desk.signer.sign(crate.statement_bytes(said))
    with use_case(db, SYSTEM, "request.released", access.subject_of(taken.request)) as case:
        request = steps.held(case.session, taken, RequestState.releasing)
        version = access.version_of(case.session, request)
        review.check_unanimous(case.session, request, version)
        keeping.hold_made(case.session, desk.store, (kept.digest,))
        _remember(case, desk.store, request, version)
        case.session.add(
            Release(
                request_id=request.id,
                version=version.number,
                crate=released.crate_id,
                digest=kept.digest,
                size=kept.size,
                signature=signature,
                released_by=version.released_by,
                released_at=released.released_at,
            )
        )
        move(case, request, RequestState.released)
        reviewers = {f"checker {r.number}": r.reviewer for r in access.counted_reviews(case.session, version)}
        case.note(**said, files={file.name: file.digest for file in version.files}, reviewers=reviewers)


def _released(session: Session, request: ReleaseRequest, version: RequestVersion, taken: Claim) -> crate.Released:
    reviews = review.check_unanimous(session, request, version)
    if version.checked_at is None or version.decided_at is None:
        raise Conflict("This version was never checked and decided.", code="not_approved")
    author = get_person(session, request.author)
    project = projects.get(session, request.project_slug)
    return crate.Released(
        request=request.id,
        version=version.number,
        title=version.title,
        context=version.context,
        controls=version.controls,
        project=crate.Project(project.slug, project.title),
        author=crate.Person(author.username, author.name, author.organisation_slug),
        files=tuple(map(_crate_file, version.files)),
        checks=version.checks,
        checked_at=version.checked_at,
        reviews=tuple((r.number, r.completed_at) for r in reviews if r.completed_at is not None),
        decided_at=version.decided_at,
        released_at=taken.since,
    )


def _crate_file(file: RequestFile) -> crate.CrateFile:
    counted = Counter((finding.rule, finding.severity) for finding in file.findings)
    return crate.CrateFile(
        name=file.name,
        title=file.title,
        kind=file.kind,
        media_type=file.media_type,
        sha256=file.digest,
        evidence=file.evidence,
        dataset=file.dataset,
        snapshot=file.snapshot,
        spec=file.spec,
        findings=tuple((rule, severity, count) for (rule, severity), count in sorted(counted.items())),
    )


def _remember(case: UseCase, store: ContentStore, request: ReleaseRequest, version: RequestVersion) -> None:
    """Release memory: what is out can be subtracted from whatever comes later."""
    for file in version.files:
        if file.evidence == Evidence.verified and file.cells and file.spec and file.dataset:
            case.session.add(
                ReleasedTable(
                    file_id=file.id,
                    request_id=request.id,
                    project_slug=request.project_slug,
                    dataset=file.dataset,
                    snapshot=file.snapshot or "",
                    spec=file.spec,
                    cells=json.loads(store.read(file.cells))["grid"],
                    released_at=case.now,
                )
            )


def recall(db: Database, actor: Actor, request_id: int, *, reason: str) -> None:
    """Calls a release back. For ever: nobody downloads it again, and the record says why, and in which capacity."""
    with use_case(db, actor, "request.recall", access.subject_of(request_id)) as case:
        request = access.get(case.session, request_id, lock=True)
        ties = access.ties_of(case.session, request, actor.username)
        rules.check_recall(actor, ties)
        words = rules.check_words(reason, field="reason", longest=1000)
        move(case, request, RequestState.recalled, words)
        out = _out(case.session, request_id)
        out.recalled_by, out.recalled_at, out.recall_reason = actor.username, case.now, words
        case.note(reason=words, crate=out.crate, custodian=ties.custodian)


def _out(session: Session, request_id: int) -> Release:
    found = session.get(Release, request_id)
    if found is None:
        raise Broken(f"Request {request_id} counts as released but has no release.")
    return found


def download(db: Database, store: ContentStore, actor: Actor, request_id: int, *, file: int | None = None) -> Download:
    """The crate, or one of its files: exactly the reviewed bytes. Raises `Broken` (and raises the alarm) when they were
    altered where they lie, `Forbidden` once recalled.
    """
    try:
        with use_case(db, actor, "request.download", access.subject_of(request_id)) as case:
            request = access.get(case.session, request_id)
            rules.check_download(actor, access.ties_of(case.session, request, actor.username))
            if request.state == RequestState.recalled:
                raise Forbidden("This release was recalled.", hint=request.reason, code="recalled")
            rules.check_state(request_id, request.state, RequestState.released)
            found = _download(case, store, request, file)
            case.note(name=found.name, sha256=found.sha256)
            return found
    except Broken as error:
        steps.alarm(db, access.subject_of(request_id), error)
        raise


def _download(case: UseCase, store: ContentStore, request: ReleaseRequest, file: int | None) -> Download:
    out = _out(case.session, request.id)
    if file is None:
        name = f"release-{request.id}-{out.version}.zip"
        return Download(name, "application/zip", store.read(out.digest), out.digest)
    row = access.file_of(access.version_of(case.session, request, out.version), file)
    return Download(row.name, row.media_type, store.read(row.digest), row.digest)


def signature_of(db: Database, actor: Actor, request_id: int) -> dict[str, Any]:
    """The detached signature of a released crate, to be kept beside it."""
    with access.looking(db, actor, "request.signature", access.subject_of(request_id)) as session:
        request = access.get(session, request_id)
        rules.check_download(actor, access.ties_of(session, request, actor.username))
        rules.check_state(request_id, request.state, RequestState.released, RequestState.recalled)
        out = _out(session, request_id)
        said = crate.statement(crate=out.crate, request=request_id, version=out.version, sha256=out.digest)
        return {**said, "signature": out.signature}
