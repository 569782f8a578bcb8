"""HTTP requests on their way to a workspace's Jupyter server and back.

Decides how bodies pass: bounded, counted before they go on, answers always as JSON with the guard's own headers. Leaves
to `paths` what may be asked and to `signin` who may ask.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from tre.door.guard.headers import api_headers, upstream_head
from tre.door.guard.messages import Answer, Request, lines
from tre.door.guard.paths import Admitted
from tre.door.guard.upstream import Connection, UpstreamLost
from tre.door.guard.workspace import Workspace
from tre.errors import InvalidInput, LimitExceeded, Unavailable

WHOLE = 1024 * 1024  # up to here a body is collected, beyond it passes piece by piece
HEAD_SECONDS = 120  # starting a kernel may take that long
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
API_HEADERS = lines(api_headers())
NOT_READY = "The workspace does not answer. It may be starting or stopping; try again in a moment."


async def forward(request: Request, admitted: Admitted, workspace: Workspace) -> Answer | None:
    """Answer one admitted request from upstream; None where it was answered piece by piece.

    Raises LimitExceeded, InvalidInput, Unavailable or WorkspaceClosed while nothing was answered yet; after that the
    connection is cut, so that a body is never taken for whole.
    """
    length = body_length(request, workspace.meter.limits.request_bytes)
    await workspace.meter.spend(in_bytes=length or 0)
    head = asked_head(request, admitted, workspace, length)
    body = await read_body(request, length) if length and length <= WHOLE else b""
    repeatable = request.method == "GET"
    try:
        return await exchange(request, admitted, workspace, head + body, stream=bool(length) and not body)
    except UpstreamLost as error:
        if not (repeatable and error.sent_nothing):
            raise Unavailable(NOT_READY) from error
    try:
        return await exchange(request, admitted, workspace, head, fresh=True)
    except UpstreamLost as error:
        raise Unavailable(NOT_READY) from error


def asked_head(request: Request, admitted: Admitted, workspace: Workspace, length: int | None) -> bytes:
    return upstream_head(
        method=request.method,
        target=workspace.upstream_prefix + admitted.target,
        token=workspace.route.upstream_token,
        length=length,
    )


def body_length(request: Request, most: int) -> int | None:
    """The announced length of the request's body; None for methods without one."""
    if request.header(b"content-encoding", "identity") != "identity":
        raise InvalidInput("encoded bodies are not accepted", field="Content-Encoding")
    if request.method not in WITH_BODY:
        if request.has_body:
            raise InvalidInput(f"{request.method} has no body here", field="body")
        return None
    if request.chunked:
        raise InvalidInput("say how long the body is", field="Content-Length")
    if request.length > most:
        raise LimitExceeded(f"a single upload may have {most} bytes, this one has {request.length}", field="body")
    return request.length


async def read_body(request: Request, length: int) -> bytes:
    """All of it; raises BodyLost."""
    request.browser.ask_for_body(request)
    return await request.body.exactly(length)


async def exchange(
    request: Request,
    admitted: Admitted,
    workspace: Workspace,
    head: bytes,
    *,
    stream: bool = False,
    fresh: bool = False,
) -> Answer | None:
    connection = request.under_way.take(workspace) if request.under_way else None
    under_way = connection is not None
    connection = connection or await workspace.upstream.take(fresh=fresh)
    try:
        if not under_way:
            connection.send(head)
        if stream:
            await send_body(request, connection)
        status = await connection.head(HEAD_SECONDS)
        if not is_sound(connection):
            raise UpstreamLost(f"status {status}")
        return await answer(request, admitted, workspace, connection, status)
    finally:
        workspace.upstream.give_back(connection)


def is_sound(connection: Connection) -> bool:
    """Whether the answer's status is one that may be shown. 401 and its like would make browsers ask for passwords."""
    status = connection.status
    return not connection.upgraded and (200 <= status < 300 or 400 <= status < 600) and status not in (401, 403, 407)


async def send_body(request: Request, connection: Connection) -> None:
    """A long body piece by piece; what is sent is what was announced, or the connection is not used again."""
    request.browser.ask_for_body(request)
    left = request.length
    async for piece in request.body.pieces():
        left -= len(piece)
        connection.send(piece)
        await connection.drain()
    if left:
        raise UpstreamLost("the request's body has another length")


async def answer(
    request: Request, admitted: Admitted, workspace: Workspace, connection: Connection, status: int
) -> Answer | None:
    most = workspace.meter.limits.response_bytes
    announced = connection.length()
    check_length(announced or 0, most)
    found, ended = connection.whole(), True
    if found is None:
        body = connection.body()
        found, ended = await collect(body)
    check_length(len(found), most)
    if not ended:
        await pass_on(request, workspace, body, found, status, announced)
        return None
    await workspace.meter.spend(out_bytes=len(found))
    if admitted.path.startswith("api/kernelspecs"):
        found = own_resources(found, workspace.route.base_url)
    return Answer(status, API_HEADERS, found)


def check_length(length: int, most: int) -> None:
    if length > most:
        raise LimitExceeded(f"a single answer may have {most} bytes, this one has {length}", field="path")


async def collect(body: AsyncIterator[bytes]) -> tuple[bytes, bool]:
    """The body as far as WHOLE, and whether that is all of it."""
    found = bytearray()
    async for piece in body:
        found += piece
        if len(found) > WHOLE:
            return bytes(found), False
    return bytes(found), True


async def pass_on(
    request: Request, workspace: Workspace, body: AsyncIterator[bytes], first: bytes, status: int, announced: int | None
) -> None:
    """A long answer piece by piece; cut off where it grows beyond the cap or the workspace closes."""
    await workspace.meter.spend(out_bytes=len(first))
    browser = request.browser
    browser.begin(request, status, API_HEADERS, announced)
    size = len(first)
    try:
        await browser.write(first)
        async for piece in body:
            size += len(piece)
            if size > workspace.meter.limits.response_bytes:
                raise UpstreamLost("answer too long")
            await workspace.meter.spend(out_bytes=len(piece))
            await browser.write(piece)
    except BaseException:
        browser.abort()
        raise
    browser.finish()


def own_resources(body: bytes, base_url: str) -> bytes:
    """Kernel specs with the guard's own logos: the workspace's files beside a kernel spec have no address."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Unavailable(NOT_READY) from error
    if not isinstance(found, dict):
        raise Unavailable(NOT_READY)
    several = found.get("kernelspecs")
    specs = several.values() if isinstance(several, dict) else [found]
    names = {"logo-svg": "logo-svg.svg", "logo-32x32": "logo-32x32.png", "logo-64x64": "logo-64x64.png"}
    for spec in specs:
        if isinstance(spec, dict):
            own = names if spec.get("name") == "python3" else {}
            spec["resources"] = {key: f"{base_url}kernelspecs/python3/{name}" for key, name in own.items()}
    return json.dumps(found).encode()
