"""The guard's reading and writing of HTTP/1.1 without a network: bytes in, bytes out, however they are cut."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tre.door.guard.body import Body, BodyLost
from tre.door.guard.front import Front
from tre.door.guard.messages import Answer, Request, answer_head, chunk, cookie_line, date_line, lines


class Transport:
    """Keeps what was written; says what was done to it."""

    def __init__(self) -> None:
        self.out = b""
        self.paused = self.ended = self.aborted = False
        self.pauses = 0

    def set_write_buffer_limits(self, high: int) -> None:
        """As it is."""

    def write(self, data: bytes) -> None:
        self.out += data

    def writelines(self, parts: Any) -> None:
        self.out += b"".join(parts)

    def write_eof(self) -> None:
        self.ended = True

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        self.ended = True

    def is_closing(self) -> bool:
        return self.aborted

    def pause_reading(self) -> None:
        self.paused = True
        self.pauses += 1

    def resume_reading(self) -> None:
        self.paused = False


class Echo:
    """Answers with what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bytes]] = []

    def at_once(self, request: Request) -> bool:
        if request.target != "/at-once":
            return False
        request.browser.answer(request, Answer(200, b"", b"at once"))
        return True

    async def handle(self, request: Request) -> Answer:
        body = await request.body.exactly(request.length)
        self.asked.append((request.method, request.target, body))
        return Answer(200, b"", body)


GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
AT_ONCE = b"GET /at-once HTTP/1.1\r\nHost: x\r\n\r\n"
PUT = b"PUT /b HTTP/1.1\r\nContent-Length: 5\r\nHost: x\r\n\r\n12345"


async def converse(pieces: list[bytes]) -> tuple[Echo, Transport]:
    """Send the pieces as far as the other side reads; wait for all answers."""
    echo, transport = Echo(), Transport()
    browser = Front(echo).connection()
    browser.connection_made(transport)  # type: ignore[arg-type]
    for piece in pieces:
        while transport.paused:
            await asyncio.sleep(0)
        browser.data_received(piece)
    for _ in range(20):
        await asyncio.sleep(0)
    return echo, transport


def cut(data: bytes, places: list[int]) -> list[bytes]:
    marks = [0, *sorted({place % len(data) for place in places} - {0}), len(data)]
    return [data[start:end] for start, end in pairwise(marks)]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([GET, PUT, AT_ONCE]), st.lists(st.integers(0, 200), max_size=8)), max_size=6))
def test_cut_anywhere_the_answers_are_the_same(messages):
    pieces = [piece for message, places in messages for piece in cut(message, places)]
    echo, transport = asyncio.run(converse(pieces))
    wanted = [("PUT", "/b", b"12345") if message is PUT else ("GET", "/a", b"") for message, _ in messages]
    asked = [found for found, (message, _) in zip(wanted, messages, strict=True) if message is not AT_ONCE]
    assert echo.asked == asked
    assert transport.out.count(b"HTTP/1.1 200 OK\r\n") == len(messages)
    assert not transport.ended
    assert not transport.aborted


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5), st.booleans())
def test_whatever_comes_nothing_breaks(noise, places, after_a_head):
    """Anything at all is answered with a refusal, waited for, or ended; never an error of ours."""
    data = (b"GET /a HTTP/1.1\r\n" if after_a_head else b"") + noise + b"\r\n\r\n"
    _, transport = asyncio.run(converse(cut(data, places)))
    assert transport.out.count(b"HTTP/1.1 ") <= max(1, data.count(b"\r\n\r\n"))
    assert b"HTTP/1.1 500" not in transport.out


async def test_bodies_hold_up_who_sends_them():
    transport = Transport()
    body = Body(transport)
    for _ in range(10):
        body.put(b"a" * 100_000)
    assert (transport.paused, transport.pauses) == (True, 1)
    assert len(body.take()) == 1_000_000
    assert not transport.paused
    body.put(b"b")
    body.lose()
    with pytest.raises(BodyLost):
        await body.exactly(1)


# Whole objects.


def test_heads_of_answers():
    date = date_line(0)
    assert date == b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"

    def head(*arguments: Any, **more: Any) -> bytes:
        lines = answer_head(*arguments, **more).split(b"\r\n")
        return b"\r\n".join(line for line in lines if not line.startswith(b"Date: "))

    assert head(200, b"A: b\r\n", length=3, keep=True) == b"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 3\r\n\r\n"
    assert head(404, b"", length=0, keep=False) == (
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
    assert head(200, b"", length=None, keep=True) == b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert head(204, b"", length=0, keep=True) == b"HTTP/1.1 204 No Content\r\n\r\n"
    assert head(299, b"", length=0, keep=True) == b"HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n"
    assert head(101, b"A: b\r\n", length=None, keep=False) == b"HTTP/1.1 101 Switching Protocols\r\nA: b\r\n\r\n"
    assert chunk(b"a" * 17) == b"11\r\n" + b"a" * 17 + b"\r\n"


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\0b", "\x7f"])
def test_a_value_is_one_line(value):
    with pytest.raises(ValueError):
        lines({"Location": value})


def test_cookies():
    plain = {"path": "/user/a/b/", "same_site": "Lax"}
    assert cookie_line("n", 'v"1;2', secure=True, http_only=True, max_age=600, **plain) == (
        rb'Set-Cookie: n="v\"1\0732"; HttpOnly; Max-Age=600; Path=/user/a/b/; SameSite=Lax; Secure' + b"\r\n"
    )
    assert cookie_line("n", "v", secure=False, http_only=False, **plain) == (
        b"Set-Cookie: n=v; Path=/user/a/b/; SameSite=Lax\r\n"
    )
    assert cookie_line("n", "", secure=False, http_only=True, max_age=0, **plain) == (
        b'Set-Cookie: n=""; HttpOnly; Max-Age=0; Path=/user/a/b/; SameSite=Lax\r\n'
    )
