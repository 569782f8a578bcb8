"""Release requests over HTTP: list, look, vote, comment, decide, release, recall, withdraw, retry, download; limits."""

from __future__ import annotations

import base64
from dataclasses import asdict, fields
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response
from pydantic import Field

from tre.api.auth import CurrentActor, PlatformHere
from tre.api.body import Body, Line, Text
from tre.outputs import limits, release, review, service
from tre.outputs.lists import Filters, list_requests
from tre.outputs.model import Audience, Choice
from tre.outputs.released import project_releases
from tre.outputs.review import Ballot, Verdict
from tre.outputs.viewing import view_file
from tre.outputs.views import show_request
from tre.people.model import Role
from tre.projects import rules as project_rules
from tre.projects import service as projects

router = APIRouter(tags=["requests"])

MOST = 2**53
RequestId = Annotated[int, Path(ge=1, le=MOST)]
Place = Annotated[int, Path(ge=1, le=1000)]
Number = Annotated[int, Field(ge=1, le=1_000_000)]
Word = Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$")]
Version = Annotated[int | None, Query(ge=1, le=1_000_000)]


class VoteBody(Body):
    file: Number
    choice: Choice
    comment: str = Field(default="", max_length=4000)


class VotesBody(Body):
    version: Number
    votes: list[VoteBody] = Field(min_length=1, max_length=500)


class CommentBody(Body):
    text: Text
    audience: Audience = Audience.everybody
    file: Number | None = None


class DecisionBody(Body):
    version: Number
    verdict: Verdict
    reason: str = Field(default="", max_length=4000)


class VersionBody(Body):
    version: Number


class ReasonBody(Body):
    reason: Line


class LimitsBody(Body):
    """Only what is to change."""

    reviewers_required: int | None = None
    profile: str | None = Field(default=None, max_length=64)
    review_days: int | None = None
    holidays: list[Annotated[str, Field(max_length=10)]] | None = Field(default=None, max_length=400)
    max_files: int | None = None
    max_file_bytes: int | None = None
    max_request_bytes: int | None = None
    max_rows: int | None = None
    max_requests_per_day: int | None = None


@router.get("/requests")
def requests(
    platform: PlatformHere,
    actor: CurrentActor,
    state: Word = "",
    project: Word = "",
    author: Word = "",
    turn: Word = "",
    search: Word = "",
    waiting: bool = False,
    after: Annotated[int | None, Query(ge=1, le=MOST)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> dict[str, Any]:
    """One page; `after` of the answer leads to the next. `waiting` leaves what the caller may still vote on."""
    filters = Filters(state, project, author, turn, search, waiting, after, limit)
    with platform.db.read() as session:
        return asdict(list_requests(session, actor, filters, now=platform.db.clock()))


@router.get("/requests/{request_id}")
def show(request_id: RequestId, platform: PlatformHere, actor: CurrentActor, version: Version = None) -> dict[str, Any]:
    return asdict(show_request(platform.db, actor, request_id, version=version))


@router.get("/requests/{request_id}/files/{file}")
def view(
    request_id: RequestId, file: Place, platform: PlatformHere, actor: CurrentActor, version: Version = None
) -> dict[str, Any]:
    """The file as a checker reads it; a picture comes in base64. Each look is on record."""
    seen = view_file(platform.db, platform.content, actor, request_id, file, version=version)
    picture = None if seen.picture is None else base64.b64encode(seen.picture).decode()
    names = [item.name for item in fields(seen) if item.name != "picture"]
    return {**{name: getattr(seen, name) for name in names}, "picture": picture}


@router.post("/requests/{request_id}/votes")
def vote(request_id: RequestId, body: VotesBody, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    ballots = [Ballot(vote.file, vote.choice, vote.comment) for vote in body.votes]
    voted = review.vote(platform.db, actor, request_id, version=body.version, ballots=ballots)
    return {"request": request_id, **asdict(voted)}


@router.post("/requests/{request_id}/comments", status_code=201)
def comment(request_id: RequestId, body: CommentBody, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    made = service.comment(platform.db, actor, request_id, text=body.text, audience=body.audience, file=body.file)
    return {"request": request_id, "comment": made}


@router.post("/requests/{request_id}/decision")
def decide(request_id: RequestId, body: DecisionBody, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    state = review.decide(
        platform.db, actor, request_id, version=body.version, verdict=body.verdict, reason=body.reason
    )
    return {"request": request_id, "state": state}


@router.post("/requests/{request_id}/release", status_code=202)
def start_release(
    request_id: RequestId, body: VersionBody, platform: PlatformHere, actor: CurrentActor
) -> dict[str, Any]:
    """The worker carries it out within seconds."""
    release.release(platform.db, actor, request_id, version=body.version)
    return {"request": request_id, "state": "releasing"}


@router.post("/requests/{request_id}/recall")
def recall(request_id: RequestId, body: ReasonBody, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    release.recall(platform.db, actor, request_id, reason=body.reason)
    return {"request": request_id, "state": "recalled"}


@router.post("/requests/{request_id}/withdraw")
def withdraw(request_id: RequestId, body: ReasonBody, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    service.withdraw(platform.db, actor, request_id, reason=body.reason)
    return {"request": request_id, "state": "withdrawn"}


@router.post("/requests/{request_id}/retry")
def retry(request_id: RequestId, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    return {"request": request_id, "state": service.retry(platform.db, actor, request_id)}


@router.get("/requests/{request_id}/download", response_class=Response)
def download(
    request_id: RequestId,
    platform: PlatformHere,
    actor: CurrentActor,
    file: Annotated[int | None, Query(ge=1, le=1000)] = None,
) -> Response:
    """The crate, or one file of it: exactly the reviewed bytes."""
    found = release.download(platform.db, platform.content, actor, request_id, file=file)
    headers = {
        "Content-Disposition": f'attachment; filename="{found.name}"',
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
        "Repr-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(found.sha256)).decode()}:",
    }
    return Response(found.content, media_type=found.media_type, headers=headers)


@router.get("/requests/{request_id}/signature")
def signature(request_id: RequestId, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    """To be kept beside the crate: `tre request verify` needs nothing else but the public key."""
    return release.signature_of(platform.db, actor, request_id)


@router.get("/projects/{slug}/releases")
def releases(slug: str, platform: PlatformHere, actor: CurrentActor) -> list[dict[str, Any]]:
    with platform.db.read() as session:
        members = projects.member_names(projects.get(session, slug))
        project_rules.check_see(actor, members, concerned=Role.checker in actor.roles)
        return [asdict(out) for out in project_releases(session, slug)]


@router.get("/release-key")
def release_key(platform: PlatformHere) -> dict[str, str]:
    """Anybody may have it: it verifies release crates offline."""
    return {"key": "release", "public_key": platform.signing_key("release").public_key()}


@router.get("/output-limits")
def show_limits(platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    with platform.db.read() as session:
        return asdict(limits.read(session))


@router.post("/output-limits")
def change_limits(body: LimitsBody, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    return asdict(limits.change(platform.db, actor, body.model_dump(exclude_none=True)))
