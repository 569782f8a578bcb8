"""Does a kernel of this workspace compute at the moment?

Decides how the workspace's own word is taken: one bounded question to its Jupyter server; whatever is not a clear yes
is a no. The word may be a lie, so the policy bounds what it can gain (`keeper.in_use_at`).
"""

from __future__ import annotations

import asyncio
import json

from tre.door.guard.headers import upstream_head
from tre.door.guard.upstream import UpstreamLost
from tre.door.guard.workspace import Workspace

SECONDS = 10
MOST_BYTES = 64 * 1024


async def is_busy(workspace: Workspace) -> bool:
    try:
        async with asyncio.timeout(SECONDS):
            return says_busy(await _kernels(workspace))
    except (UpstreamLost, TimeoutError):
        return False


async def _kernels(workspace: Workspace) -> bytes:
    head = upstream_head(
        method="GET",
        target=f"{workspace.upstream_prefix}/api/kernels",
        token=workspace.route.upstream_token,
        length=None,
    )
    body = bytearray()
    connection = await workspace.upstream.take()
    try:
        connection.send(head)
        if await connection.head(SECONDS) != 200:
            return b""
        async for piece in connection.body():
            body += piece
            if len(body) > MOST_BYTES:
                return b""
    finally:
        workspace.upstream.give_back(connection)
    return bytes(body)


def says_busy(answer: bytes) -> bool:
    """Whether Jupyter's list of kernels (`GET /api/kernels`) has one whose `execution_state` is busy."""
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        return False
    kernels = found if isinstance(found, list) else []
    return any(isinstance(kernel, dict) and kernel.get("execution_state") == "busy" for kernel in kernels)
