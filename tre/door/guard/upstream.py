"""A lean HTTP/1.1 client to one workspace's Jupyter server, over its Unix socket or to its pod.

Decides how connections are kept, and how an answer of an untrusted server is read: heads are bounded in size and time,
bodies come in bounded pieces with back pressure, anything malformed, and anything beyond the one answer, ends the
connection. Leaves to `forward` and `channels` what may be asked and what is done with the answer. Made by hand: a
general client costs more than the rest of the guard together (`tests/door/bench_guard.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httptools

from tre.door.guard.body import HIGH_WATER, Body, BodyLost
from tre.door.guard.routes import address_of

MAX_HEAD_BYTES = 32 * 1024
IDLE_CONNECTIONS = 8
CONNECTIONS = 64
CONNECT_SECONDS = 5
BODY_SECONDS = 60  # between two pieces of a body


class UpstreamLost(Exception):
    """The workspace's server cannot be reached, broke off or answered nonsense. `sent_nothing`: safe to try again."""

    def __init__(self, message: str, *, sent_nothing: bool = False) -> None:
        super().__init__(message)
        self.sent_nothing = sent_nothing


class Unasked(Exception):
    """More than one answer, or one before the answer."""


class Connection(asyncio.Protocol):
    """One connection: a request at a time, or a websocket after `upgraded`."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.closed = False
        self.upgraded = False
        self.on_change: Callable[[], None] | None = None
        self.on_upgraded_data: Callable[[bytes], None] | None = None
        self.on_lost: Callable[[], None] | None = None
        self.tail = b""
        self.has_place = False
        self._parser = httptools.HttpResponseParser(self)
        self._can_write: asyncio.Future[None] | None = None
        self._writing_paused = False

    def reset(self) -> None:
        """Ready for the next request. Nothing of an earlier answer is left."""
        self._body = Body(self.transport)
        self._head_bytes = 0
        self.headers: dict[bytes, bytes] = {}
        self.status = 0
        self.head_done = False
        self.keep = False
        self.started = False

    @property
    def done(self) -> bool:
        """Whether all of the answer is here."""
        return self._body.done

    @property
    def buffered(self) -> int:
        return self._body.buffered

    @property
    def is_full(self) -> bool:
        """Whether no more comes before something is taken."""
        return self._body.buffered > HIGH_WATER

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.reset()

    def connection_lost(self, error: Exception | None) -> None:
        self._gone()
        if self.on_lost:
            self.on_lost()

    def data_received(self, data: bytes) -> None:
        if self.upgraded:
            if self.on_upgraded_data:
                self.on_upgraded_data(data)
            else:
                self.tail += data
                self.transport.pause_reading()
            return
        if self._body.done:  # an answer that nobody asked for
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
        if not self.head_done and self._head_bytes + len(data) > MAX_HEAD_BYTES:
            self.abort()
        self._tell()

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        if self._can_write and not self._can_write.done():
            self._can_write.set_result(None)

    # httptools

    def on_message_begin(self) -> None:
        if self.head_done:
            raise Unasked

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > MAX_HEAD_BYTES:
            raise Unasked
        if not self.head_done:  # else a trailer
            self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        if self.status < 200 and self.status != 101:  # nothing was asked that a word before the answer could be for
            raise Unasked
        self.keep = self._parser.should_keep_alive()
        self.head_done = True

    def on_body(self, piece: bytes) -> None:
        self._body.put(piece)

    def on_message_complete(self) -> None:
        self._body.end()

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
        """Wait for the answer's status, at most so long however it dribbles."""
        if not self.head_done:
            late = asyncio.get_running_loop().call_later(seconds, self.too_late)
            try:
                while not self.head_done:
                    await self._change()
            finally:
                late.cancel()
        return self.status

    async def body(self) -> AsyncIterator[bytes]:
        """The answer's body in pieces; raises UpstreamLost where it is cut short."""
        while True:
            if self._body.buffered:
                yield self._body.take()
            elif self._body.done:
                return
            else:
                late = asyncio.get_running_loop().call_later(BODY_SECONDS, self.too_late)
                try:
                    await self._change()
                finally:
                    late.cancel()

    def whole(self) -> bytes | None:
        """The body where all of it is here already."""
        return self._body.take() if self._body.done else None

    def length(self) -> int | None:
        """The announced length of the body, None where it comes in chunks."""
        text = self.headers.get(b"content-length", b"").strip()
        return int(text) if text.isdigit() else None

    def abort(self) -> None:
        if self.transport:
            self.transport.abort()
        self._gone()

    async def _change(self) -> None:
        try:
            await self._body.change()
        except BodyLost as error:
            raise UpstreamLost("connection lost", sent_nothing=not self.started) from error

    def too_late(self) -> None:
        self.started = True  # it had its time: the same again would take as long
        self.abort()

    def _gone(self) -> None:
        self.closed = True
        self._body.lose()
        self.resume_writing()
        self._tell()

    def _tell(self) -> None:
        """Last of all: whoever is told may use this connection for the next request at once."""
        self._body.wake()
        if self.on_change:
            self.on_change()


class Upstream:
    """The connections to one workspace."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._address = address_of(upstream)
        self._idle: list[Connection] = []
        self._out: set[Connection] = set()
        self._places = asyncio.Semaphore(CONNECTIONS)
        self._closed = False

    async def take(self, *, fresh: bool = False) -> Connection:
        """A connection for one request, to be given back; raises UpstreamLost. Waits while too many are out."""
        await self._places.acquire()
        try:
            connection = (None if fresh else self._take_idle()) or await self.connect()
        except BaseException:
            self._places.release()
            raise
        connection.has_place = True
        self._out.add(connection)
        return connection

    def take_kept(self) -> Connection | None:
        """A connection that is there, without waiting for a place: there are only so many of these."""
        connection = self._take_idle()
        if connection:
            self._out.add(connection)
        return connection

    def give_back(self, connection: Connection) -> None:
        """It is kept for the next request where the answer was read to its end."""
        self._out.discard(connection)
        if connection.has_place:
            connection.has_place = False
            self._places.release()
        whole = connection.done and connection.keep and not connection.closed and not connection.upgraded
        if whole and not self._closed and len(self._idle) < IDLE_CONNECTIONS:
            self._idle.append(connection)
        else:
            connection.abort()

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

    def close(self) -> None:
        """End every connection, also those on which an answer is under way."""
        self._closed = True
        for connection in (*self._idle, *self._out):
            connection.abort()
        self._idle.clear()
