"""One connection of a browser, or of the proxy for one.

Decides what of HTTP/1.1 is spoken: one request at a time, whole heads and bodies within their time, and after anything
odd one refusal with the guard's own headers and an end. Leaves reading requests to `incoming`, how heads look to
`messages`, and every decision about a request to the function it is given.
"""

from __future__ import annotations

import asyncio
import logging
import math
from typing import Any, Protocol

from tre.door.guard.body import HIGH_WATER, Body
from tre.door.guard.headers import refusal_headers
from tre.door.guard.incoming import Incoming
from tre.door.guard.messages import BODILESS, Answer, Request, Unreadable, answer_head, chunk, lines

log = logging.getLogger("tre.guard.browser")

IDLE_SECONDS = 75  # between two requests
HEAD_SECONDS = 20  # from a head's first byte to its last
BODY_SECONDS, BODY_BYTES_PER_SECOND = 60, 16 * 1024  # what a body may take at least, and for each further piece
WRITE_SECONDS = 120  # until a browser that reads slowly has taken the next piece
ANSWER_SECONDS = 120  # for what is under way at once
CLOSE_SECONDS = 5  # for the last bytes of an answer; until then what still comes is thrown away
REFUSED = lines(refusal_headers())


class Link(Protocol):
    """Who has a connection after its HTTP: a websocket."""

    def feed_data(self, data: bytes) -> None: ...

    def feed_eof(self) -> None: ...


class Function(Protocol):
    """Who answers requests."""

    def at_once(self, request: Request) -> bool:
        """Whether the request is on its way: then `Browser.answer` or `Browser.go_on` is called later."""

    async def handle(self, request: Request) -> Answer | None:
        """The answer, or None where it was written already."""


class Browser(asyncio.Protocol):
    """One connection. `deadline` is looked at once a second; what it means depends on where the connection stands."""

    def __init__(self, function: Function, browsers: set[Browser]) -> None:
        """It is among `browsers` as long as it is connected."""
        self.deadline = math.inf
        self.transport: Any = None
        self._function = function
        self._browsers = browsers
        self._loop = asyncio.get_running_loop()
        self._incoming = Incoming(self._new_request)
        self._busy = False  # somebody answers the request
        self._is_leaving = False  # the answer is written, but not all of it has left
        self._task: asyncio.Task[None] | None = None
        self._link: Link | None = None
        self._rest = b""  # what came behind the request, for whoever is next
        self._closing = False
        self._begun: Request | None = None  # to whom an answer piece by piece has begun
        self._chunked = False
        self._can_write: asyncio.Future[None] | None = None
        self._writing_paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.transport.set_write_buffer_limits(high=HIGH_WATER)
        self.deadline = self._loop.time() + IDLE_SECONDS
        self._browsers.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._browsers.discard(self)
        self._closing = True
        if self._incoming.request:
            self._incoming.request.body.lose()
            if self._incoming.request.under_way:
                self._incoming.request.under_way.leave()
        if self._link:
            self._link.feed_eof()
        elif self._task:
            self._task.cancel()
        self.resume_writing()

    def eof_received(self) -> bool:
        """Who does not want to send any more has gone: browsers do not close one half."""
        return False

    def data_received(self, data: bytes) -> None:
        if self._link:
            self._link.feed_data(data)
        elif self._closing:
            return
        elif self._incoming.request and self._incoming.request.body.done:
            self._rest += data  # sent before the answer was there: waits for it, and holds up who sent it
            self.transport.pause_reading()
        else:
            self._read(data)

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        if self._is_leaving:
            self._end()
        if self._can_write and not self._can_write.done():
            self._can_write.set_result(None)

    # Reading

    def _new_request(self) -> Request:
        self.deadline = self._loop.time() + HEAD_SECONDS
        return Request(self, Body(self.transport))

    def _read(self, data: bytes) -> None:
        try:
            self._rest = self._incoming.feed(data)
        except Unreadable as odd:
            self._refuse(odd.status)
            return
        request = self._incoming.request
        if request is None or not self._incoming.head_done:
            return
        if request.body.done:
            self.deadline = math.inf
        if self._busy:
            request.body.wake()
        else:
            self._begin(request)

    # Answering

    def _begin(self, request: Request) -> None:
        self._busy = True
        if not request.body.done:
            self.deadline = self._loop.time() + BODY_SECONDS + request.length / BODY_BYTES_PER_SECOND
        elif self._function.at_once(request):
            if self._busy:
                self.deadline = self._loop.time() + ANSWER_SECONDS
            return
        self.go_on(request)

    def go_on(self, request: Request) -> None:
        """Answer it with as much time as it takes."""
        self.deadline = self.deadline if not request.body.done else math.inf
        if not self._closing:
            self._task = self._loop.create_task(self._handle(request))

    async def _handle(self, request: Request) -> None:
        try:
            answer = await self._function.handle(request)
        except (ConnectionError, asyncio.CancelledError):
            self.abort()
            return
        except Exception:
            log.exception("an answer failed below the guard")
            self.abort()
            return
        finally:
            if request.under_way:
                request.under_way.leave()
        if answer is None:
            self._end()
        elif self._begun is request:
            self.abort()  # half an answer is there: no other can follow it
        else:
            self.answer(request, answer)

    def answer(self, request: Request, answer: Answer) -> None:
        """Write the whole answer. The next request is read when most of it has left."""
        if self._closing:
            return
        keep = self._incoming.keep and request.body.done
        head = answer_head(answer.status, answer.head, length=len(answer.body), keep=keep)
        if answer.body and request.method != "HEAD" and answer.status not in BODILESS:
            self.transport.writelines((head, answer.body))
        else:
            self.transport.write(head)
        if self._writing_paused:
            self._is_leaving = True
            self.deadline = self._loop.time() + WRITE_SECONDS
        else:
            self._end()

    def ask_for_body(self, request: Request) -> None:
        """Tell a browser that waits for a word to go on that its body is wanted (RFC 9110, section 10.1.1)."""
        if request.header(b"expect").lower() == "100-continue" and not request.body.buffered and not request.body.done:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def begin(self, request: Request, status: int, head: bytes, length: int | None) -> None:
        """Begin an answer that comes piece by piece (`write`), of a length or, where that is None, in chunks."""
        self._begun = request
        self._chunked = length is None
        keep = self._incoming.keep and request.body.done
        self.transport.write(answer_head(status, head, length=length, keep=keep))

    async def write(self, piece: bytes) -> None:
        """Raises ConnectionError where the browser has gone or does not read."""
        if self._closing:
            raise ConnectionResetError("the browser has gone")
        self.transport.write(chunk(piece) if self._chunked else piece)
        if self._writing_paused:
            await self.drain(WRITE_SECONDS)

    def finish(self) -> None:
        if self._chunked:
            self.transport.write(b"0\r\n\r\n")

    async def drain(self, seconds: float | None = None) -> None:
        """Return when most of what was written has left; raises ConnectionError."""
        while self._writing_paused and not self._closing:
            self._can_write = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(seconds):
                    await self._can_write
            except TimeoutError:
                self.abort()
        if self._closing:
            raise ConnectionResetError("the browser has gone")

    def become(self, link: Link, head: bytes) -> None:
        """Switch protocols: `head` is the last of HTTP here, then bytes are `link`'s."""
        if self._closing:
            raise ConnectionResetError("the browser has gone")
        self.transport.write(answer_head(101, head, length=None, keep=False))
        self._link = link
        self.deadline = math.inf
        rest, self._rest = self._rest, b""
        if rest:
            self.transport.resume_reading()
            link.feed_data(rest)

    # Ends

    def _end(self) -> None:
        """The answer is written: the next request, or the end."""
        request = self._incoming.next()
        self._task = self._begun = None
        self._busy = self._is_leaving = False
        if self._closing:
            return
        if self._link or not (self._incoming.keep and request and request.body.done):
            self._close()
            return
        if request.body.buffered:
            request.body.take()  # which nobody wanted
        self.deadline = self._loop.time() + IDLE_SECONDS
        if self._rest:
            rest, self._rest = self._rest, b""
            self.transport.resume_reading()
            self._read(rest)

    def _refuse(self, status: int) -> None:
        """The one answer to what is no request."""
        log.info("answered %s below the guard", status)
        if not self._busy:
            self.transport.write(answer_head(status, REFUSED, length=8, keep=False) + b"Refused.")
            self._close()
        else:
            self.abort()

    def _close(self) -> None:
        """No more is written. What still comes is thrown away for a while: closing at once would take the answer from
        a browser that is still sending.
        """
        self._closing = True
        self._link = None
        self.deadline = self._loop.time() + CLOSE_SECONDS
        if self.transport.is_closing():
            return
        self.transport.write_eof()
        self.transport.resume_reading()

    def too_late(self) -> None:
        if self._closing or self._is_leaving or self._incoming.request is None:
            self.abort()
        elif not self._incoming.head_done:
            self._refuse(408)
        elif self._incoming.request.under_way:
            self._incoming.request.under_way.too_late()
        else:
            self._incoming.keep = False
            self.deadline = math.inf
            self._incoming.request.body.lose()

    def abort(self) -> None:
        self._closing = True
        self.transport.abort()

    def hang_up(self) -> None:
        """The guard ends: at once where nothing is under way, else after this answer."""
        self._incoming.keep = False
        if not self._busy:
            self.transport.close()
