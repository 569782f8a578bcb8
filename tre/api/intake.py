"""What the intake hands over: a workspace's submissions, and its questions about its own project's requests.

The bytes of a submission come first, file by file, and go into the content store under the hash that is taken here. The
workspace is named by its socket and its token, never by what it says; whose it is, and of which project, stands in the
database.
"""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Path, Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from tre.api.auth import Client, PlatformHere, only
from tre.api.body import Body
from tre.api.platform import Platform
from tre.audit import Actor
from tre.errors import Conflict, Hidden, InvalidInput
from tre.outputs import access, service
from tre.outputs.lists import Filters, list_requests
from tre.outputs.service import NewFile, Submission
from tre.outputs.views import show_request
from tre.people import service as people
from tre.workspaces import service as workspaces
from tre.workspaces.model import WorkspaceState

#: What the intake lets through, whatever the house's number is (`tre.door.upload.UploadLimits`).
FILE_BYTES = 64 << 20
STREAMED = re.compile(r"PUT /internal/workspaces/[^/]+/requests/content/[^/]+")

#: Who waits for an object storage leaves the threads of all other requests alone.
KEEPERS = CapacityLimiter(8)

Digest = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]
router = APIRouter(prefix="/workspaces/{workspace_id}/requests", dependencies=[only(Client.intake)])


class FileBody(Body):
    name: str = Field(max_length=255)
    title: str = Field(max_length=500)
    context: str = Field(max_length=20_000)
    kind: str = Field(max_length=40)
    dataset: str | None = Field(max_length=64)
    spec: dict[str, Any] | None
    record: str = Field(max_length=64 << 10)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    size: int = Field(ge=0)


class SubmissionBody(Body):
    title: str = Field(max_length=500)
    context: str = Field(max_length=20_000)
    controls: str = Field(max_length=20_000)
    replaces: str | int | None
    files: list[FileBody] = Field(min_length=1, max_length=500)


def author(platform: Platform, workspace_id: str) -> tuple[Actor, str]:
    """Whose workspace it is, and its project. Raises `Conflict` when it does not run: a token outlives nothing."""
    with platform.db.read() as session:
        workspace = workspaces.get(session, workspace_id)
        if workspace.state != WorkspaceState.running:
            raise Conflict(f"The workspace is {workspace.state}.", hint="Submit from a running workspace.")
        person = people.get_person(session, workspace.username)
        roles = frozenset(held.role for held in person.roles)
        return Actor(workspace.username, roles, via="notebook"), workspace.project_slug


@router.put("/content/{sha256}", status_code=201)
async def take(workspace_id: str, sha256: Digest, request: Request, platform: PlatformHere) -> dict[str, Any]:
    """One file, before its submission: what is never submitted is collected. Raises `InvalidInput` where its bytes are
    not those that the intake hashed.
    """
    await run_in_threadpool(author, platform, workspace_id)
    store = platform.content
    with ExitStack() as stack:
        incoming = await run_in_threadpool(stack.enter_context, store.incoming(limit_bytes=FILE_BYTES))
        async for piece in request.stream():
            await run_in_threadpool(incoming.write, piece)
        keep = partial(store.keep, incoming, expected=sha256)
        stored = await to_thread.run_sync(keep, limiter=KEEPERS)
    return asdict(stored)


@router.post("", status_code=201)
def submit(workspace_id: str, body: SubmissionBody, platform: PlatformHere) -> dict[str, Any]:
    actor, project = author(platform, workspace_id)
    files = tuple(
        NewFile(file.name, file.sha256, file.kind, file.title, file.context, "", file.dataset, file.spec, file.record)
        for file in body.files
    )
    submission = Submission(body.title, body.context, body.controls, files)
    request = None if body.replaces in (None, "") else number(body.replaces)
    made = service.submit(platform.db, platform.content, actor, project, submission, request=request)
    url = f"/tre/requests/{made.request}"
    return {"request": str(made.request), "version": made.version, "state": made.state, "url": url}


def number(text: str | int | None) -> int:
    """A request's number as the notebook spells it. Raises `InvalidInput`."""
    digits = str(text)
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 15):
        raise InvalidInput("This is no request's number.", field="request")
    return int(digits)


@router.get("")
def requests(workspace_id: str, platform: PlatformHere) -> dict[str, Any]:
    """The project's newest requests, as lines."""
    actor, project = author(platform, workspace_id)
    with platform.db.read() as session:
        page = list_requests(session, actor, Filters(project=project, limit=100), now=platform.db.clock())
    return {"requests": [asdict(row) for row in page.rows]}


@router.get("/{request}")
def status(workspace_id: str, request: str, platform: PlatformHere) -> dict[str, Any]:
    """One request of the workspace's own project, with everything that its members may see inside."""
    actor, project = author(platform, workspace_id)
    with platform.db.read() as session:
        if access.get(session, number(request)).project_slug != project:
            raise Hidden(f"The project has no request {request}.")
    return asdict(show_request(platform.db, actor, number(request)))
