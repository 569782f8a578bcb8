"""The pieces of one body on their way through, between who receives them and who passes them on.

Decides that memory is bounded: where pieces come faster than they are taken, the connection that they come from is not
read any further. Leaves how long a body may take to who waits for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

HIGH_WATER = 256 * 1024


class BodyLost(Exception):
    """The body was not sent to its end."""


class Body:
    __slots__ = ("_change", "_paused", "_pieces", "_transport", "buffered", "done", "lost")

    def __init__(self, transport: Any) -> None:
        self.done = self.lost = False
        self.buffered = 0
        self._transport = transport
        self._pieces: deque[bytes] = deque()
        self._paused = False
        self._change: asyncio.Future[None] | None = None

    # Who receives

    def put(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self.buffered += len(piece)
        if self.buffered > HIGH_WATER and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def wake(self) -> None:
        """Something was put, or this is the end: whoever waits looks again."""
        if self._change is not None and not self._change.done():
            self._change.set_result(None)

    def end(self) -> None:
        self.done = True

    def lose(self) -> None:
        """Nothing more comes. What is whole already stays so."""
        self.lost = not self.done
        self.wake()

    # Who passes on

    def take(self) -> bytes:
        """All that is here."""
        taken = b"".join(self._pieces) if len(self._pieces) != 1 else self._pieces[0]
        self._pieces.clear()
        self.buffered = 0
        if self._paused:
            self._paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()
        return taken

    async def pieces(self) -> AsyncIterator[bytes]:
        """Piece by piece to the end; raises BodyLost where there is none."""
        while True:
            if self._pieces:
                yield self.take()
            elif self.done:
                return
            else:
                await self.change()

    async def exactly(self, length: int) -> bytes:
        """The whole body, which was said to be so long; raises BodyLost."""
        found = bytearray()
        async for piece in self.pieces():
            found += piece
        if len(found) != length:
            raise BodyLost(f"{len(found)} bytes of {length}")
        return bytes(found)

    async def change(self) -> None:
        """Return when something has changed; raises BodyLost."""
        if self.lost:
            raise BodyLost("the connection ended")
        self._change = asyncio.get_running_loop().create_future()
        await self._change
