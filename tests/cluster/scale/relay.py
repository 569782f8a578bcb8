"""A loopback port before a Unix socket: the secrets server of the tests listens on the one, a cluster's file names the
other.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def relayed(socket: Path, port: int) -> Iterator[str]:
    """Its URL."""
    ready, leave = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_relay(socket, port, ready, leave)), name="relay", daemon=True)
    thread.start()
    ready.wait(10)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        leave.set()
        thread.join()


async def _relay(socket: Path, port: int, ready: threading.Event, leave: threading.Event) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_unix_connection(str(socket))
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(_passed(reader, outer), _passed(inner, writer), return_exceptions=True)

    await asyncio.start_server(connected, "127.0.0.1", port)
    ready.set()
    # What is under way then is cancelled with the loop.
    await asyncio.to_thread(leave.wait)


async def _passed(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while part := await source.read(1 << 16):
            target.write(part)
            await target.drain()
    finally:
        target.close()
