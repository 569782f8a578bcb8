"""HTTP requests on their way to a workspace's Jupyter server and back.

Decides how bodies pass: bounded, counted before they go on, answers always as JSON with the guard's own headers. Leaves
to `paths` what may be asked and to `signin` who may ask.
"""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from tre.door.guard.headers import api_headers, upstream_head
from tre.door.guard.paths import Admitted
from tre.door.guard.upstream import Connection, UpstreamLost
from tre.door.guard.workspace import Workspace
from tre.errors import InvalidInput, LimitExceeded, Unavailable

WHOLE = 1024 * 1024  # up to here a body is collected, beyond it passes piece by piece
HEAD_SECONDS = 120  # starting a kernel may take that long
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
API_HEADERS = CIMultiDict(api_headers())
NOT_READY = "The workspace does not answer. It may be starting or stopping; try again in a moment."


async def forward(request: web.BaseRequest, admitted: Admitted, workspace: Workspace) -> web.StreamResponse:
    """Answer one admitted request from upstream.

    Raises LimitExceeded, InvalidInput, Unavailable or WorkspaceClosed while nothing was answered yet; after that the
    connection is cut, so that a body is never taken for whole.
    """
    length = body_length(request, workspace.meter.limits.request_bytes)
    await workspace.meter.spend(in_bytes=length or 0)
    head = upstream_head(
        method=request.method,
        target=workspace.upstream_prefix + admitted.target,
        token=workspace.route.upstream_token,
        length=length,
    )
    body = await request.content.readexactly(length) if length and length <= WHOLE else b""
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


def body_length(request: web.BaseRequest, most: int) -> int | None:
    """The announced length of the request's body; None for methods without one."""
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise InvalidInput("encoded bodies are not accepted", field="Content-Encoding")
    if request.method not in WITH_BODY:
        if request.can_read_body:
            raise InvalidInput(f"{request.method} has no body here", field="body")
        return None
    if request.can_read_body and request.content_length is None:
        raise InvalidInput("say how long the body is", field="Content-Length")
    length = request.content_length or 0
    if length > most:
        raise LimitExceeded(f"a single upload may have {most} bytes, this one has {length}", field="body")
    return length


async def exchange(
    request: web.BaseRequest,
    admitted: Admitted,
    workspace: Workspace,
    head: bytes,
    *,
    stream: bool = False,
    fresh: bool = False,
) -> web.StreamResponse:
    async with workspace.upstream.exchange(fresh=fresh) as connection:
        connection.send(head)
        if stream:
            async for chunk in request.content.iter_any():
                connection.send(chunk)
                await connection.drain()
        status = await connection.head(HEAD_SECONDS)
        if connection.upgraded or not (200 <= status < 300 or 400 <= status < 600) or status in (401, 403, 407):
            raise UpstreamLost(f"status {status}")
        return await answer(request, admitted, workspace, connection, status)


async def answer(
    request: web.BaseRequest, admitted: Admitted, workspace: Workspace, connection: Connection, status: int
) -> web.StreamResponse:
    most = workspace.meter.limits.response_bytes
    announced = connection.length()
    if announced is not None and announced > most:
        raise LimitExceeded(f"a single answer may have {most} bytes, this one has {announced}", field="path")
    pieces: list[bytes] = []
    size = 0
    body = connection.body()
    async for chunk in body:
        pieces.append(chunk)
        size += len(chunk)
        if size > WHOLE:
            break
    else:
        whole = b"".join(pieces)
        if admitted.path.startswith("api/kernelspecs"):
            whole = own_resources(whole, workspace.route.base_url)
        await workspace.meter.spend(out_bytes=size)
        return web.Response(body=whole, status=status, headers=API_HEADERS)
    return await pass_on(request, workspace, body, b"".join(pieces), status, announced)


async def pass_on(
    request: web.BaseRequest, workspace: Workspace, body: Any, first: bytes, status: int, announced: int | None
) -> web.StreamResponse:
    """A long answer piece by piece; cut off where it grows beyond the cap or the workspace closes."""
    await workspace.meter.spend(out_bytes=len(first))
    response = web.StreamResponse(status=status, headers=API_HEADERS)
    if announced is not None:
        response.content_length = announced
    await response.prepare(request)
    await response.write(first)
    size = len(first)
    try:
        async for chunk in body:
            size += len(chunk)
            if size > workspace.meter.limits.response_bytes:
                raise UpstreamLost("answer too long")
            await workspace.meter.spend(out_bytes=len(chunk))
            await response.write(chunk)
    except BaseException:
        if request.transport:
            request.transport.abort()
        raise
    await response.write_eof()
    return response


def own_resources(body: bytes, base_url: str) -> bytes:
    """Kernel specs with the guard's own logos: the workspace's files beside a kernel spec have no address."""
    try:
        found = json.loads(body)
    except ValueError as error:
        raise Unavailable(NOT_READY) from error
    specs = found.get("kernelspecs", {}).values() if isinstance(found, dict) and "kernelspecs" in found else [found]
    names = {"logo-svg": "logo-svg.svg", "logo-32x32": "logo-32x32.png", "logo-64x64": "logo-64x64.png"}
    for spec in specs:
        if isinstance(spec, dict):
            spec["resources"] = {key: f"{base_url}kernelspecs/python3/{name}" for key, name in names.items()}
    return json.dumps(found).encode()
