"""What the door's own servers have in common: starting, private sockets, errors in one form, ending on a signal."""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import uvloop
from aiohttp import web

from tre.door.places import Places
from tre.errors import TreError, Unauthenticated
from tre.settings import Settings


@web.middleware
async def told(request: web.Request, handler: Any) -> web.StreamResponse:
    try:
        answer: web.StreamResponse = await handler(request)
    except TreError as error:
        return web.json_response(error.as_dict(), status=error.http_status)
    return answer


def token_asked(token: str) -> Any:
    """A middleware that admits who shows the token."""

    @web.middleware
    async def asked(request: web.Request, handler: Any) -> web.StreamResponse:
        shown = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(shown, f"Bearer {token}".encode()):
            raise Unauthenticated("This is for the spawner alone.")
        answer: web.StreamResponse = await handler(request)
        return answer

    return asked


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


def run(serve: Callable[[Places], Coroutine[Any, Any, None]]) -> int:
    """One process of the door, from its start to its exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        uvloop.run(serve(Places(Settings.load())))
    except TreError as error:
        sys.stderr.write(f"{error.message} {error.hint}\n")
        return error.exit_code
    return 0
