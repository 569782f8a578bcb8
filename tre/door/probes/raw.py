"""Sending a request target byte for byte, as no browser and no HTTP library would."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Mapping
from types import TracebackType

Address = str | tuple[str, int]
#: For a whole answer, however it dribbles: a workspace may be hostile.
SECONDS = 20.0
#: So much of an answer is held, and no more: the guard beside us must not run out of memory for it.
MOST_BYTES = 4 * 1024 * 1024


class RawHttp:
    """Requests over one connection for as long as it lasts, to a Unix path or to (host, port)."""

    def __init__(self, address: Address, headers: Mapping[str, str]) -> None:
        self._address = address
        self._lines = [f"{name}: {value}" for name, value in headers.items()]
        self._socket: socket.socket | None = None
        self._rest = b""
        self._late_at, self._came = 0.0, 0

    def __enter__(self) -> RawHttp:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._close()

    def ask(self, method: str, target: str, body: bytes = b"") -> tuple[int, bytes]:
        """Status and whole answer, head included; (0, b"") where twice none came, or one too late or too long.
        `target`: characters are bytes; `body`: JSON, and the method one that does the same when it is asked twice.
        """
        for _ in range(2):
            try:
                return self._ask(method, target, body)
            except (OSError, EOFError, ValueError, IndexError):
                self._close()
        return 0, b""

    def _ask(self, method: str, target: str, body: bytes) -> tuple[int, bytes]:
        self._late_at, self._came = time.monotonic() + SECONDS, 0
        connection = self._connected()
        framing = ["Content-Type: application/json", f"Content-Length: {len(body)}"] if body else []
        lines = [f"{method} {target} HTTP/1.1", *self._lines, *framing, "", ""]
        connection.sendall("\r\n".join(lines).encode("latin-1") + body)
        head = self._until(b"\r\n\r\n")
        first, *others = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        status = int(first.split(" ", 2)[1])
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in others)}
        found = self._body(fields) if status not in (101, 204, 304) else b""
        if status == 101 or fields.get("connection", "").lower() == "close":
            self._close()
        return status, head + found

    def _connected(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX if isinstance(self._address, str) else socket.AF_INET)
            self._rest = b""
            self._socket.settimeout(SECONDS)
            self._socket.connect(self._address)
        return self._socket

    def _body(self, fields: Mapping[str, str]) -> bytes:
        if "content-length" in fields:
            return self._exactly(int(fields["content-length"]))
        body = b""
        while fields.get("transfer-encoding") == "chunked":
            size = int(self._until(b"\r\n"), 16)
            body += self._exactly(size + 2)[:-2]
            if not size:
                break
        return body

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._rest:
            self._more()
        found, _, self._rest = self._rest.partition(mark)
        return found + mark

    def _exactly(self, size: int) -> bytes:
        while len(self._rest) < size:
            self._more()
        found, self._rest = self._rest[:size], self._rest[size:]
        return found

    def _more(self) -> None:
        connection, left = self._connected(), self._late_at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        data = connection.recv(65536)
        if not data:
            raise EOFError
        self._rest += data
        self._came += len(data)
        if self._came > MOST_BYTES:
            raise ValueError("too long")

    def _close(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
            self._socket = None
