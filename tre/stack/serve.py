"""`python -m tre.stack.serve`: two applications in one process, each with a listener of its own.

The public one (API and pages) listens on a port, because Traefik reaches its backends over TCP only; the internal one
on a Unix socket that only the platform's own user may connect to, or on a cluster on a port of its own.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from tre.api.app import internal_app, public_app
from tre.api.platform import Platform, build_platform
from tre.door.places import Places
from tre.settings import Settings
from tre.web.app import web_app

#: Longer than any client keeps an idle connection (the proxy 90 s, hub and guard 15 s). Where the server ends one first
#: the next request may be under way on it already, and a POST is not sent twice.
KEEP_SECONDS = 120


def server(app: FastAPI) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        loop="uvloop",
        lifespan="off",
        timeout_keep_alive=KEEP_SECONDS,
    )
    return uvicorn.Server(config)


def at_port(address: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    return listening(listener)


def private_socket(path: Path) -> socket.socket:
    """A Unix socket that only its owner may connect to, from its first moment."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    return listening(listener)


def listening(listener: socket.socket) -> socket.socket:
    listener.listen(1024)
    listener.setblocking(False)
    return listener


def whole_app(platform: Platform) -> FastAPI:
    """The JSON API and, below it, the pages."""
    app = public_app(platform)
    app.mount("/tre", web_app(platform))
    return app


async def serve(settings: Settings) -> None:
    platform, places = build_platform(settings), Places(settings)
    internal = (
        at_port(places.listen, places.internal_port) if settings.cluster else private_socket(settings.internal_socket)
    )
    servers = [
        (server(whole_app(platform)), at_port(places.listen, places.web_port)),
        (server(internal_app(platform)), internal),
    ]

    def leave() -> None:
        for one, _ in servers:
            one.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leave)
    # `_serve`, not `serve`: the latter takes the signals for itself, and two servers share this process.
    await asyncio.gather(*(one._serve([listener]) for one, listener in servers))


def main() -> int:
    asyncio.run(serve(Settings.load()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
