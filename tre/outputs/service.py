"""The author's use cases: submit a request, send a new version, withdraw, retry what failed.

Runs in one unit of work each. The bytes are in the content store already; here they become a request. Checking, review
and release are in `checking`, `review` and `release`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select

from output_checks import OutputCheckError, TableSpec
from tre.audit import Actor, UseCase, use_case
from tre.errors import Conflict, Forbidden, InvalidInput, LimitExceeded
from tre.outputs import access, keeping, limits, rules
from tre.outputs.content.store import ContentStore
from tre.outputs.limits import Limits
from tre.outputs.model import Comment, Kind, ReleaseRequest, RequestFile, RequestVersion
from tre.outputs.states import RequestState
from tre.people.model import Role
from tre.people.rules import check_role
from tre.projects import service as projects
from tre.projects.rules import check_gate
from tre.store import Database
from tre.store.canonical import canonical_json

MAX_SPEC_BYTES = 64 << 10
MAX_RECORD_BYTES = 64 << 10


@dataclass(frozen=True)
class NewFile:
    """One file of a submission. `digest` is the SHA-256 that the intake took of the bytes; `spec` a table
    specification of output_checks over the `dataset`; `record` what output_checks wrote about the file (JSON, carried
    unread). Title, context and controls default to the request's.
    """

    name: str
    digest: str
    kind: str
    title: str = ""
    context: str = ""
    controls: str = ""
    dataset: str | None = None
    spec: dict[str, Any] | None = None
    record: str = ""


@dataclass(frozen=True)
class Submission:
    """`context` says what the outputs are and why they are needed, `controls` what was done against disclosure."""

    title: str
    context: str
    controls: str
    files: tuple[NewFile, ...]


@dataclass(frozen=True)
class Submitted:
    request: int
    version: int
    state: str


def submit(
    db: Database, store: ContentStore, actor: Actor, project: str, submission: Submission, *, request: int | None = None
) -> Submitted:
    """A new request, or with `request` a new version of one that was returned: its votes start from nothing.

    Raises `InvalidInput` naming the field, `LimitExceeded`, `GateClosed` when the project or person lost a
    precondition, `Forbidden` for somebody else's request.
    """
    subject = access.subject_of(request) if request else f"project:{project}"
    with use_case(db, actor, "request.submit", subject) as case:
        check_role(actor, Role.researcher)
        check_gate(projects.gate(case.session, project, actor.username, case.now.date()))
        house = limits.read(case.session)
        _check_frequency(case, project, house)
        title = rules.check_words(submission.title, field="title", longest=rules.LONGEST_TITLE)
        found = _next_version(case, project, title, request)
        version = _new_version(case, found, submission)
        keeping.hold(case.session)
        version.files = _new_files(store, submission, house)
        case.session.add(version)
        case.subject = access.subject_of(found.id)
        case.note(project=project, version=found.version, files={f.name: f.digest for f in version.files})
        return Submitted(found.id, found.version, found.state)


def _check_frequency(case: UseCase, project: str, house: Limits) -> None:
    recent = (
        select(func.count())
        .select_from(RequestVersion)
        .join(ReleaseRequest, ReleaseRequest.id == RequestVersion.request_id)
        .where(ReleaseRequest.project_slug == project, RequestVersion.submitted_at > case.now - timedelta(days=1))
    )
    if case.session.scalars(recent).one() >= house.max_requests_per_day:
        raise LimitExceeded(
            f"The project has sent {house.max_requests_per_day} versions within a day.",
            hint="Wait, or put more files into one request.",
            code="too_many_requests",
        )


def _next_version(case: UseCase, project: str, title: str, request: int | None) -> ReleaseRequest:
    """The request with its new version number, as submitted."""
    if request is None:
        found = ReleaseRequest(
            project_slug=project, author=case.actor.username, title=title, created_at=case.now, version=0, reason=""
        )
        found.state = RequestState.draft
        case.session.add(found)
    else:
        found = access.get(case.session, request, lock=True)
        if found.project_slug != project or found.author != case.actor.username:
            raise Forbidden("Only the author sends a new version, from the same project.", code="not_the_author")
        found.title = title
    move(case, found, RequestState.submitted)
    found.version += 1
    found.attempts, found.failed_from = 0, ""
    case.session.flush()
    return found


def _new_version(case: UseCase, request: ReleaseRequest, submission: Submission) -> RequestVersion:
    return RequestVersion(
        request_id=request.id,
        number=request.version,
        title=request.title,
        context=rules.check_words(submission.context, field="context"),
        controls=rules.check_words(submission.controls, field="controls"),
        submitted_at=case.now,
        checks={},
        required=0,
    )


def _new_files(store: ContentStore, submission: Submission, house: Limits) -> list[RequestFile]:
    if not 1 <= len(submission.files) <= house.max_files:
        raise InvalidInput(f"A request has 1 to {house.max_files} files.", field="files")
    names = [file.name.casefold() for file in submission.files]
    files = []
    for number, file in enumerate(submission.files, start=1):
        if names.count(file.name.casefold()) > 1:
            raise InvalidInput("Two files have one name.", field=f"files.{number}.name", hint="Rename one.")
        files.append(_new_file(store, submission, file, number, house))
    if sum(file.size for file in files) > house.max_request_bytes:
        raise LimitExceeded(f"A request has at most {house.max_request_bytes} bytes.", field="files")
    return files


def _new_file(store: ContentStore, submission: Submission, file: NewFile, number: int, house: Limits) -> RequestFile:
    field = f"files.{number}"
    size = store.size(file.digest)
    if size is None:
        raise InvalidInput("The content of this file has not arrived.", field=f"{field}.sha256", hint="Send it again.")
    if size > house.max_file_bytes:
        raise LimitExceeded(f"A file has at most {house.max_file_bytes} bytes.", field=field, code="file_too_large")
    if file.kind not in list(Kind):
        raise InvalidInput(f"A file is one of {', '.join(Kind)}.", field=f"{field}.kind")
    words = {
        name: rules.check_words(
            getattr(file, name) or getattr(submission, name), field=f"{field}.{name}", longest=longest
        )
        for name, longest in (("title", 400), ("context", 4000), ("controls", 4000))
    }
    return RequestFile(
        position=number,
        name=rules.check_file_name(file.name, field=f"{field}.name"),
        kind=file.kind,
        digest=file.digest,
        size=size,
        dataset=_dataset(file, field),
        spec=_spec(file.spec, f"{field}.spec"),
        record=_record(file.record, f"{field}.record"),
        **words,
    )


def _dataset(file: NewFile, field: str) -> str | None:
    if (file.spec is None) != (file.dataset is None):
        raise InvalidInput("A table specification and its dataset come together.", field=f"{field}.dataset")
    return file.dataset and rules.check_words(file.dataset, field=f"{field}.dataset", longest=100)


def _spec(spec: dict[str, Any] | None, field: str) -> dict[str, Any] | None:
    if spec is None:
        return None
    try:
        return TableSpec.from_dict(_bounded(spec, field)).to_dict()
    except OutputCheckError as error:
        raise InvalidInput(str(error), field=field, hint="`output_checks.TableSpec` builds a valid one.") from error


def _record(record: str, field: str) -> str:
    """Text of bounded size that the database can hold; what it says is for the checking sandbox."""
    try:
        size = len(record.encode())
    except UnicodeEncodeError as error:
        raise InvalidInput("A record is text.", field=field) from error
    if size > MAX_RECORD_BYTES or "\0" in record:
        raise InvalidInput(f"A record has at most {MAX_RECORD_BYTES} bytes and no NUL.", field=field)
    return record


def _bounded(value: dict[str, Any], field: str) -> dict[str, Any]:
    """Plain JSON of bounded size that the database can hold."""
    try:
        spelled = canonical_json(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput("This is not plain JSON.", field=field) from error
    if len(spelled) > MAX_SPEC_BYTES or b"\\u0000" in spelled:
        raise InvalidInput(f"This has at most {MAX_SPEC_BYTES} bytes and no NUL.", field=field)
    return value


def move(case: UseCase, request: ReleaseRequest, target: RequestState, reason: str = "") -> None:
    """Every change of state goes through here: the table of transitions, the moment, the reason, the lease."""
    rules.check_transition(request.id or 0, request.state, target)
    request.state, request.state_since, request.reason = target, case.now, reason
    request.lease, request.lease_until, request.due_at = "", None, None


def withdraw(db: Database, actor: Actor, request_id: int, *, reason: str) -> None:
    """The author takes back what is in their hands. For ever."""
    with use_case(db, actor, "request.withdraw", access.subject_of(request_id)) as case:
        request = access.get(case.session, request_id, lock=True)
        rules.check_author(access.ties_of(case.session, request, actor.username))
        words = rules.check_words(reason, field="reason", longest=500)
        move(case, request, RequestState.withdrawn, words)


def retry(db: Database, actor: Actor, request_id: int) -> RequestState:
    """A failed step again: the checks from the beginning, a release from approved (somebody must release it
    again). Returns the new state.
    """
    with use_case(db, actor, "request.retry", access.subject_of(request_id)) as case:
        request = access.get(case.session, request_id, lock=True)
        rules.check_retry(actor, access.ties_of(case.session, request, actor.username))
        rules.check_state(request_id, request.state, RequestState.failed)
        target = rules.retry_target(request.failed_from)
        move(case, request, target)
        request.attempts, request.failed_from = 0, ""
        case.note(target=str(target))
        return target


def comment(db: Database, actor: Actor, request_id: int, *, text: str, audience: str, file: int | None = None) -> int:
    """A word in the thread of the newest version. Members write to everybody; checkers also among themselves."""
    with use_case(db, actor, "request.comment", access.subject_of(request_id)) as case:
        request = access.get(case.session, request_id, lock=True)
        ties = access.ties_of(case.session, request, actor.username)
        rules.check_comment(actor, ties)
        by_checker = rules.is_checker_of(actor, ties)
        rules.check_audience(audience, by_checker=by_checker)
        if request.state in (RequestState.withdrawn, RequestState.recalled, RequestState.rejected):
            raise Conflict(f"Request {request_id} is {request.state}; its thread is closed.")
        version = access.version_of(case.session, request)
        written = Comment(
            request_id=request_id,
            version=version.number,
            file_id=access.file_of(version, file).id if file is not None else None,
            author=actor.username,
            by_checker=by_checker,
            audience=audience,
            text=rules.check_words(text, field="text"),
            at=case.now,
        )
        case.session.add(written)
        case.session.flush()
        # The words stay out of the record: whoever reads it may not be allowed to see them yet.
        case.note(comment=written.id, version=version.number, audience=audience)
        return written.id
