"""A lean HTTP/1.1 client to one workspace's Jupyter server, over its Unix socket or to its pod.

Decides how connections are kept, and how an answer of an untrusted server is read: heads are bounded, bodies come in
bounded pieces with back pressure, anything malformed ends the connection. Leaves to `forward` and `channels` what may
be asked and what is done with the answer. Made by hand because a general client costs more than the rest of the guard
together (`tests/door/bench_guard.py`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httptools

from tre.door.guard.routes import address_of

MAX_HEAD_BYTES = 32 * 1024
HIGH_WATER = 256 * 1024
IDLE_CONNECTIONS = 8
CONNECTIONS = 64
CONNECT_SECONDS = 5
BODY_SECONDS = 60  # between two pieces of a body


class UpstreamLost(Exception):
    """The workspace's server cannot be reached, broke off or answered nonsense. `sent_nothing`: safe to try again."""

    def __init__(self, message: str, *, sent_nothing: bool = False) -> None:
        super().__init__(message)
        self.sent_nothing = sent_nothing


class Connection(asyncio.Protocol):
    """One connection: a request at a time, or a websocket after `upgraded`."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.closed = False
        self.upgraded = False
        self.on_upgraded_data: Callable[[bytes], None] | None = None
        self.on_lost: Callable[[], None] | None = None
        self.tail = b""
        self._can_write: asyncio.Future[None] | None = None
        self._writing_paused = False
        self.reset()

    def reset(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._chunks: deque[bytes] = deque()
        self._buffered = 0
        self._waiter: asyncio.Future[None] | None = None
        self._head_bytes = 0
        self._paused = False
        self.headers: dict[bytes, bytes] = {}
        self.status = 0
        self.head_done = self.done = False
        self.keep = False
        self.started = False

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        self._wake()
        if self._can_write and not self._can_write.done():
            self._can_write.set_result(None)
        if self.on_lost:
            self.on_lost()

    def data_received(self, data: bytes) -> None:
        if self.upgraded:
            if self.on_upgraded_data:
                self.on_upgraded_data(data)
            else:
                self.tail += data
            return
        if self.done:  # an answer that nobody asked for
            self.abort()
            return
        self.started = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self.upgraded = True
            self.tail = data[upgrade.args[0] :]
        except httptools.HttpParserError:
            self.abort()
        self._wake()

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        if self._can_write and not self._can_write.done():
            self._can_write.set_result(None)

    # httptools

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > MAX_HEAD_BYTES:
            raise ValueError("head too long")
        self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self.keep = self._parser.should_keep_alive()
        self.head_done = self.status >= 200 or self.status == 101

    def on_body(self, body: bytes) -> None:
        self._chunks.append(body)
        self._buffered += len(body)
        if self._buffered > HIGH_WATER and not self._paused:
            self._paused = True
            self.transport.pause_reading()

    def on_message_complete(self) -> None:
        self.done = self.status >= 200

    # For forward and channels

    def send(self, data: bytes) -> None:
        if self.closed:
            raise UpstreamLost("connection closed", sent_nothing=not self.started)
        self.transport.write(data)

    async def drain(self) -> None:
        if self._writing_paused and not self.closed:
            self._can_write = asyncio.get_running_loop().create_future()
            await self._can_write
        if self.closed:
            raise UpstreamLost("connection closed")

    async def head(self, seconds: float) -> int:
        """Wait for the answer's status."""
        while not self.head_done:
            await self._wait(seconds)
        return self.status

    async def body(self) -> AsyncIterator[bytes]:
        """The answer's body in pieces; raises UpstreamLost where it is cut short."""
        while True:
            while self._chunks:
                chunk = self._chunks.popleft()
                self._buffered -= len(chunk)
                yield chunk
            if self.done:
                return
            if self._paused and not self.closed:
                self._paused = False
                self.transport.resume_reading()
            if not self._chunks:
                await self._wait(BODY_SECONDS)

    def length(self) -> int | None:
        """The announced length of the body, None where it comes in chunks."""
        text = self.headers.get(b"content-length", b"")
        return int(text) if text.isdigit() else None

    def abort(self) -> None:
        self.closed = True
        if self.transport:
            self.transport.abort()
        self._wake()

    async def _wait(self, seconds: float) -> None:
        if self.closed:
            raise UpstreamLost("connection lost", sent_nothing=not self.started)
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                await self._waiter
        except TimeoutError:
            self.abort()
            raise UpstreamLost("no answer in time") from None

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)


class Upstream:
    """The connections to one workspace."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._address = address_of(upstream)
        self._idle: list[Connection] = []
        self._places = asyncio.Semaphore(CONNECTIONS)

    @asynccontextmanager
    async def exchange(self, *, fresh: bool = False) -> AsyncIterator[Connection]:
        """A connection for one request. It is kept for the next one where the answer was read to its end."""
        async with self._places:
            connection = (None if fresh else self._take_idle()) or await self.connect()
            try:
                yield connection
            finally:
                self._give_back(connection)

    async def connect(self) -> Connection:
        """A new connection; raises UpstreamLost."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                loop = asyncio.get_running_loop()
                if self._address:
                    _, made = await loop.create_connection(Connection, *self._address)
                else:
                    _, made = await loop.create_unix_connection(Connection, self._upstream)
        except (OSError, TimeoutError) as error:
            raise UpstreamLost(f"no connection ({type(error).__name__})", sent_nothing=True) from error
        return made

    def _take_idle(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed and not connection.transport.is_closing():
                connection.reset()
                return connection
        return None

    def _give_back(self, connection: Connection) -> None:
        whole = connection.done and connection.keep and not connection.closed and not connection.upgraded
        if whole and len(self._idle) < IDLE_CONNECTIONS:
            self._idle.append(connection)
        else:
            connection.abort()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().abort()
