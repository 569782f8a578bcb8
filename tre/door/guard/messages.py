"""One request as it was read and one answer as it is written: HTTP/1.1 without a connection.

Decides how a head looks in bytes and which requests are too odd to be read at all. Leaves parsing to llhttp
(`httptools`, in its strict mode), connections to `browser`, and what a request may ask for to `paths`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING

from tre.door.guard.body import Body

if TYPE_CHECKING:
    from tre.door.guard.browser import Browser
    from tre.door.guard.fetch import Fetch

MAX_HEAD = 32 * 1024
MAX_FIELDS = 100
UNPRINTABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
#: The headers that the guard reads. Of these there is one, or each reader could take another; of those below there may
#: be several, which are one list. All others are passed over.
SINGLE = frozenset(
    b"content-encoding content-length expect host origin sec-fetch-mode sec-fetch-site sec-websocket-key "
    b"sec-websocket-version transfer-encoding upgrade x-forwarded-proto x-xsrftoken".split()
)
LISTS = {b"cookie": b"; ", **dict.fromkeys(b"accept connection if-none-match sec-websocket-protocol".split(), b", ")}
#: Answers that end with their head, whatever was meant to follow (RFC 9110, section 6.4.1).
BODILESS = frozenset({101, 204, 304})


class Unreadable(Exception):
    """No request of HTTP/1.1 as browsers and our proxy send them."""

    def __init__(self, status: int) -> None:
        super().__init__(f"answered {status}")
        self.status = status


class Request:
    """One request: its head, its body as far as it has come, the browser's connection to answer on, and what is under
    way to the workspace for it already.
    """

    __slots__ = ("_count", "_fields", "_size", "body", "browser", "chunked", "length", "method", "target", "under_way")

    def __init__(self, browser: Browser, body: Body) -> None:
        self.browser = browser
        self.body = body
        self.method = self.target = ""
        self.length = 0
        self.chunked = False  # the body does not say how long it is: such a body is never read
        self.under_way: Fetch | None = None
        self._fields: dict[bytes, bytes] = {}
        self._count = self._size = 0

    def header(self, name: bytes, default: str = "") -> str:
        """A header's value. `name` is in lower case."""
        found = self._fields.get(name)
        return default if found is None else found.decode("latin-1")

    def has(self, name: bytes) -> bool:
        return name in self._fields

    @property
    def has_body(self) -> bool:
        return self.length > 0 or self.chunked

    # While it is read

    def add_target(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > MAX_HEAD:
            raise Unreadable(431)
        try:
            self.target += part.decode("ascii")
        except UnicodeDecodeError:
            raise Unreadable(400) from None

    def add_field(self, name: bytes, value: bytes) -> None:
        """Raises Unreadable for a second one where there can be but one, and for too many."""
        self._size += len(name) + len(value) + 4
        self._count += 1
        if self._count > MAX_FIELDS or self._size > MAX_HEAD:
            raise Unreadable(431)
        name = name.lower()
        if name in self._fields:
            if name in SINGLE:
                raise Unreadable(400)
            self._fields[name] += LISTS[name] + value.strip(b" \t")
        elif name in SINGLE or name in LISTS:
            self._fields[name] = value.strip(b" \t")

    def complete(self, method: str, version: str) -> None:
        """The head is here. Raises Unreadable where its version is another, or it expects what is not done here."""
        if version != "1.1":
            raise Unreadable(505)
        if self.header(b"expect", "100-continue").lower() != "100-continue":
            raise Unreadable(417)
        self.method = method
        # The parser has let nothing pass but digits that fit.
        self.length = int(self._fields.get(b"content-length", b"0"))
        self.chunked = b"transfer-encoding" in self._fields


@dataclass(frozen=True, slots=True)
class Answer:
    """`head`: whole lines (`lines`), without those that say where the body ends and whether the connection stays."""

    status: int
    head: bytes
    body: bytes = b""


def lines(headers: Mapping[str, str]) -> bytes:
    """Header lines in bytes. Raises ValueError where a value would be two lines."""
    for name, value in headers.items():
        if UNPRINTABLE.search(value):
            raise ValueError(f"{name} has a control character")
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("latin-1")


def cookie_line(
    name: str, value: str, *, path: str, secure: bool, same_site: str, http_only: bool, max_age: int | None = None
) -> bytes:
    """A Set-Cookie line; a `max_age` of 0 takes the cookie away."""
    cookie: SimpleCookie = SimpleCookie({name: value})
    morsel = cookie[name]
    morsel["path"], morsel["samesite"] = path, same_site
    if secure:
        morsel["secure"] = "Secure"
    if http_only:
        morsel["httponly"] = "HttpOnly"
    if max_age is not None:
        morsel["max-age"] = str(max_age)
    return lines({"Set-Cookie": morsel.OutputString()})


def answer_head(status: int, head: bytes, *, length: int | None, keep: bool) -> bytes:
    """The first bytes of an answer. `length` is None where the body comes in chunks."""
    framing = b""
    if status not in BODILESS:
        framing = b"Transfer-Encoding: chunked\r\n" if length is None else b"Content-Length: %d\r\n" % length
    ending = b"\r\n" if keep or status == 101 else b"Connection: close\r\n\r\n"
    return b"".join((status_line(status), head, date_line(int(time.time())), framing, ending))


@lru_cache(64)
def status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode("ascii")


@lru_cache(1)
def date_line(second: int) -> bytes:
    return f"Date: {formatdate(second, usegmt=True)}\r\n".encode("ascii")


def chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)
