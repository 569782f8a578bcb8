"""The worker's side: `run_checked` of the embedded sandbox, in the checking pod.

Decides what an answer means. A pod that cannot be reached, or is busy with another worker's files, is not there
(`Unavailable`: later again); one that ends while it reads has met a file that ended it (`CheckFailed`: unreadable).
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tre.errors import InvalidInput, LimitExceeded, Unavailable
from tre.workspaces.checker import wire
from tre.workspaces.checker.wire import ALIVE, BEGAN, END, OUTPUT, Broken, End, Order
from tre.workspaces.sandbox.checking import Bounds, CheckFailed, outcome

#: For a connection, and for our turn behind other workers' files.
CONNECT_SECONDS = 5.0
TURN_SECONDS = 120.0
#: What sending and starting may take beyond the program's own time.
BEYOND_SECONDS = 30.0
LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Checker:
    """The checking pods, by the name of their Service."""

    host: str
    port: int = wire.PORT

    def run(
        self,
        *,
        argv: Sequence[str],
        files: Mapping[str, Path],
        stdin: bytes = b"",
        memory_bytes: int,
        seconds: float,
        output_bytes: int,
        watch: Callable[[bytes], None] = lambda arrived: None,
    ) -> bytes:
        """As `tre.workspaces.sandbox.checking.run_checked`, with the same errors."""
        bounds = Bounds(memory_bytes, seconds, output_bytes)
        sizes = {name: _size(name, path) for name, path in files.items()}
        order = Order(tuple(argv), sizes, len(stdin), memory_bytes, seconds, output_bytes)
        try:
            connection = socket.create_connection((self.host, self.port), CONNECT_SECONDS)
        except OSError as error:
            raise Unavailable(f"No checking pod answers at {self.host}: {error}.", hint="Is one running?") from error
        with connection:
            turn = _Turn(connection, bounds, watch)
            turn.give(order, stdin, files)
            end = turn.take()
        return outcome(end.code, bytes(turn.output), end.complaint, bounds)


class _Turn:
    def __init__(self, connection: socket.socket, bounds: Bounds, watch: Callable[[bytes], None]) -> None:
        self.connection, self.bounds, self.watch = connection, bounds, watch
        self.output = bytearray()
        self.began = False

    def give(self, order: Order, stdin: bytes, files: Mapping[str, Path]) -> None:
        """The pod reads when it is our turn."""
        self.connection.settimeout(TURN_SECONDS)
        try:
            wire.send_order(self.connection, order)
            self.connection.sendall(stdin)
            for name, path in files.items():
                self._send(path, order.files[name])
        except OSError as error:
            raise Unavailable("The checking pod is busy, or ended.", hint="Later again.") from error

    def _send(self, path: Path, size: int) -> None:
        with path.open("rb") as stream:
            sent = self.connection.sendfile(stream, count=size) if size else 0
        if sent != size:
            raise InvalidInput(f"{path.name} became shorter while it was read.", field="files")

    def take(self) -> End:
        frames, until = wire.Frames(), time.monotonic() + TURN_SECONDS
        while True:
            left = until - time.monotonic()
            if left <= 0:
                raise self._late()
            self.watch(b"")
            if not select.select([self.connection], [], [], min(left, LOOK_SECONDS))[0]:
                continue
            try:
                for kind, content in frames.feed(self._received()):
                    if kind == BEGAN and not self.began:
                        self.began, until = True, time.monotonic() + self.bounds.seconds + BEYOND_SECONDS
                    elif kind == OUTPUT:
                        self._arrived(content)
                    elif kind == END:
                        return self._ended(wire.read_end(content))
                    elif kind != ALIVE:
                        raise Broken
            except Broken:
                raise self._lost() from None

    def _received(self) -> bytes:
        try:
            data = self.connection.recv(wire.CHUNK)
        except OSError:
            data = b""
        if not data:
            raise Broken
        return data

    def _arrived(self, content: bytes) -> None:
        self.output += content
        if len(self.output) > self.bounds.output_bytes:
            raise _over("output_bytes", self.bounds)
        self.watch(content)

    def _ended(self, end: End) -> End:
        if end.over:
            raise _over(end.over, self.bounds)
        return end

    def _late(self) -> LimitExceeded | Unavailable:
        if self.began:
            return _over("seconds", self.bounds)
        return Unavailable("The checking pod is busy with other files.", hint="Later again.")

    def _lost(self) -> CheckFailed | Unavailable:
        if self.began:
            return CheckFailed("the file could not be read: the checking pod ended over it")
        return Unavailable("The checking pod ended before it was our turn.", hint="Later again.")


def _over(bound: str, bounds: Bounds) -> LimitExceeded:
    words = {
        "seconds": f"reading the file took longer than {bounds.seconds:g} s",
        "output_bytes": f"reading the file gave more than {bounds.output_bytes} bytes",
        "memory_bytes": f"reading the file needs more than {bounds.memory_bytes} bytes of memory",
    }
    return LimitExceeded(words.get(bound, "reading the file took too much"), field=bound if bound in words else "")


def _size(name: str, path: Path) -> int:
    if path.is_symlink() or not path.is_file():
        raise InvalidInput(f"the file for {name} is not a regular file", field="files")
    return os.stat(path).st_size
