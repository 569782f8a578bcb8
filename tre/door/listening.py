"""What the door's own servers have in common: private sockets, errors in one form, ending on a signal."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

from aiohttp import web

from tre.errors import TreError


@web.middleware
async def told(request: web.Request, handler: Any) -> web.StreamResponse:
    try:
        answer: web.StreamResponse = await handler(request)
    except TreError as error:
        return web.json_response(error.as_dict(), status=error.http_status)
    return answer


async def open_private_site(runner: web.AppRunner, path: Path) -> None:
    """Listen on a Unix socket with mode 0600 from its first moment."""
    path.unlink(missing_ok=True)
    before = os.umask(0o177)
    try:
        await web.UnixSite(runner, str(path)).start()
    finally:
        os.umask(before)


async def until_signal() -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()
