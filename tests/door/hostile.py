"""A workspace's server that says what a test tells it to, and a browser that does the same."""

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
Act = Callable[[socket.socket], None]


class HostileServer:
    """Listens where Jupyter would. `answers`: by path, bytes to send or what to do; `heads`: all it was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.answers: dict[str, bytes | Act] = {}
        self.heads: list[bytes] = []
        self.connections = 0
        self._open: list[socket.socket] = []
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(folder / "jupyter.sock"))
        self._socket.listen(256)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for one in (self._socket, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    @property
    def asked(self) -> list[str]:
        return [head.split(b" ", 2)[1].decode() for head in self.heads]

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.connections += 1
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        rest = b""
        with contextlib.suppress(OSError):
            while True:
                while b"\r\n\r\n" not in rest:
                    data = connection.recv(65536)
                    if not data:
                        return
                    rest += data
                head, _, rest = rest.partition(b"\r\n\r\n")
                for line in head.split(b"\r\n"):
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.partition(b":")[2])
                        while len(rest) < length:
                            rest += connection.recv(65536)
                        rest = rest[length:]
                self.heads.append(head)
                act = self.answers.get(self.asked[-1].partition("?")[0].removeprefix("/api/contents/"), OK)
                if callable(act):
                    act(connection)
                else:
                    connection.sendall(act)


Open = Callable[..., "RawBrowser"]


class RawBrowser:
    """Bytes to the guard and from it."""

    def __init__(self, port: int, base: str, headers: dict[str, str], buffer: int = 0) -> None:
        self.base = base
        self.lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
        self.socket = socket.socket()
        if buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.settimeout(20)
        self.socket.connect(("127.0.0.1", port))
        self._rest = b""

    def head(self, path: str, more: bytes = b"", method: str = "GET") -> bytes:
        return f"{method} {self.base}{path} HTTP/1.1\r\n".encode() + self.lines + more + b"\r\n"

    def send(self, data: bytes) -> "RawBrowser":
        self.socket.sendall(data)
        return self

    def answer(self, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
        """One answer with its body; raises EOFError where it is cut."""
        while b"\r\n\r\n" not in self._rest:
            self._more()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        first, *others = head.decode("latin-1").split("\r\n")
        pairs = [line.partition(": ") for line in others]
        fields = {name.lower(): value for name, _, value in pairs}
        assert len(fields) == len(pairs), "no header twice"
        status = int(first.split(" ")[1])
        bodiless = method == "HEAD" or status < 200 or status in (204, 304)
        return status, fields, b"" if bodiless else self._body(fields)

    def ended(self) -> bytes:
        """What comes until the other side closes."""
        with contextlib.suppress(EOFError, ConnectionResetError):
            while True:
                self._more()
        return self._rest

    def _body(self, fields: dict[str, str]) -> bytes:
        if "content-length" in fields:
            return self._exactly(int(fields["content-length"]))
        body = b""
        while size := int(self._line(), 16):
            body += self._exactly(size)
            self._exactly(2)
        assert self._line() == b""
        return body

    def _line(self) -> bytes:
        while b"\r\n" not in self._rest:
            self._more()
        line, _, self._rest = self._rest.partition(b"\r\n")
        return line

    def _exactly(self, size: int) -> bytes:
        while len(self._rest) < size:
            self._more()
        found, self._rest = self._rest[:size], self._rest[size:]
        return found

    def _more(self) -> None:
        data = self.socket.recv(262144)
        if not data:
            raise EOFError
        self._rest += data
