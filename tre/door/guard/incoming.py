"""Requests out of a connection's bytes, one at a time.

Decides what is one request: a whole head within its bounds, a body whose length was said, and nothing of a second one
before the first is answered. Leaves parsing to llhttp (`httptools`, in its strict mode), what a head may say to
`messages`, and time, answers and refusals to the `browser`.
"""

from __future__ import annotations

from collections.abc import Callable

import httptools

from tre.door.guard.messages import MAX_HEAD, Request, Unreadable


class Incoming:
    """`request` is the one that is being read or answered, `keep` whether another may follow it."""

    def __init__(self, new: Callable[[], Request]) -> None:
        self.request: Request | None = None
        self.head_done = False
        self.keep = True
        self._new = new
        self._head_bytes = 0
        self._parser = httptools.HttpRequestParser(self)

    def feed(self, data: bytes) -> bytes:
        """What came behind a request that asks for another protocol. Raises Unreadable with the status to answer."""
        rest = b""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self.keep = False
            rest = data[upgrade.args[0] :]
        except httptools.HttpParserError as error:
            if not (self.request and self.request.body.done):
                raise error.__context__ if isinstance(error.__context__, Unreadable) else Unreadable(400) from None
            self.keep = False  # one request is whole; what came behind it in the same breath is not answered
        if self.request and not self.head_done:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD:
                raise Unreadable(431)
        return rest

    def next(self) -> Request | None:
        """The one that was answered; another may come."""
        answered, self.request = self.request, None
        return answered

    # httptools' names

    def on_message_begin(self) -> None:
        if self.request is not None:
            raise Unreadable(400)
        self.request = self._new()
        self.head_done = False
        self._head_bytes = 0

    def on_url(self, part: bytes) -> None:
        if self.request:
            self.request.add_target(part)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.request and not self.head_done:  # else a trailer
            self.request.add_field(name, value)

    def on_headers_complete(self) -> None:
        if self.request is None:
            raise Unreadable(400)
        self.request.complete(self._parser.get_method().decode("ascii"), self._parser.get_http_version())
        self.head_done = True
        self.keep = self._parser.should_keep_alive() and not self.request.chunked

    def on_body(self, piece: bytes) -> None:
        if self.request and not self.request.chunked:
            self.request.body.put(piece)

    def on_message_complete(self) -> None:
        if self.request and not self.request.chunked:
            self.request.body.end()
