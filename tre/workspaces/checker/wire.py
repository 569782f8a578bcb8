"""What a worker and the checking pod say to one another: one order, its bytes, and frames in return.

Decides the form and its bounds. Neither side believes more of the other than fits into it.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from tre.errors import InvalidInput
from tre.workspaces.plan import SECRET_NAME

PORT = 8008
CHUNK = 1 << 20
ORDER_BYTES = 256 << 10
FRAME_BYTES = 1 << 20
#: All bytes of one order. The pod keeps them in a folder of its own while it reads them.
MOST_BYTES = 8 << 30
_SIZE = struct.Struct("!cI")
_LENGTH = struct.Struct("!I")

#: Kinds of frames: the order was taken up; a part of the output; still at it; the end.
BEGAN, OUTPUT, ALIVE, END = b"b", b"o", b".", b"e"


@dataclass(frozen=True)
class Order:
    """`files` maps plain names to sizes; their bytes follow in this order, after `stdin` bytes of standard input."""

    argv: tuple[str, ...]
    files: dict[str, int]
    stdin: int
    memory_bytes: int
    seconds: float
    output_bytes: int

    def __post_init__(self) -> None:
        sizes = (self.stdin, *self.files.values(), self.memory_bytes, self.output_bytes)
        if not self.argv or self.seconds <= 0 or any(size < 0 for size in sizes):
            raise InvalidInput("This is no order.", field="order")
        if self.stdin + sum(self.files.values()) > MOST_BYTES:
            raise InvalidInput(f"More than {MOST_BYTES} bytes to read at once.", field="files")
        for name in self.files:
            if not SECRET_NAME.fullmatch(name):
                raise InvalidInput(f"{name!r} is not a plain file name", field="files")


@dataclass(frozen=True)
class End:
    """How the program ended: its status (a signal as 128 and its number), the end of what it complained of, and the
    bound that it broke, if any.
    """

    code: int
    complaint: str = ""
    over: str = ""


class Broken(Exception):
    """The other side ended, or speaks otherwise."""


def send_order(connection: socket.socket, order: Order) -> None:
    text = json.dumps(asdict(order)).encode()
    connection.sendall(_LENGTH.pack(len(text)) + text)


def read_order(connection: socket.socket) -> Order:
    """Raises `Broken`, or `InvalidInput` where it asks for what is not done."""
    (length,) = _LENGTH.unpack(exactly(connection, _LENGTH.size))
    if length > ORDER_BYTES:
        raise Broken
    values = _fields(exactly(connection, length), set(Order.__dataclass_fields__))
    return Order(**{**values, "argv": tuple(values["argv"]), "files": dict(values["files"])})


def send_frame(connection: socket.socket, kind: bytes, content: bytes = b"") -> None:
    for start in range(0, max(len(content), 1), FRAME_BYTES):
        part = content[start : start + FRAME_BYTES]
        connection.sendall(_SIZE.pack(kind, len(part)) + part)


def send_end(connection: socket.socket, end: End) -> None:
    send_frame(connection, END, json.dumps(asdict(end)).encode())


@dataclass
class Frames:
    """What comes back, frame by frame, from bytes as they arrive."""

    held: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Raises `Broken`."""
        self.held += data
        while len(self.held) >= _SIZE.size:
            kind, length = _SIZE.unpack(self.held[: _SIZE.size])
            if kind not in (BEGAN, OUTPUT, ALIVE, END) or length > FRAME_BYTES:
                raise Broken
            if len(self.held) < _SIZE.size + length:
                return
            content = bytes(self.held[_SIZE.size : _SIZE.size + length])
            del self.held[: _SIZE.size + length]
            yield kind, content


def read_end(content: bytes) -> End:
    values = _fields(content, set(End.__dataclass_fields__))
    return End(int(values["code"]), str(values["complaint"]), str(values["over"]))


def _fields(text: bytes, names: set[str]) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except ValueError:
        raise Broken from None
    if not isinstance(values, dict) or values.keys() != names:
        raise Broken
    return values


def exactly(connection: socket.socket, length: int) -> bytes:
    return b"".join(parts(connection, length))


def parts(connection: socket.socket, length: int) -> Iterator[bytes]:
    """So many bytes, as they come. Raises `Broken` where the other side ends before."""
    while length:
        part = connection.recv(min(length, CHUNK))
        if not part:
            raise Broken
        length -= len(part)
        yield part
