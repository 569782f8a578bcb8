"""What a hostile workspace answers: everything behind the guard is the researcher's."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict

import psutil
import pytest

from tests.door.hostile import OK, HostileServer, Open, RawBrowser
from tests.door.parts import GuardHouse, route_for, wait_for
from tre.door.guard.headers import api_headers
from tre.door.guard.upstream import Connection, UpstreamLost
from tre.workspaces.plan import DoorLimits

MB = 1_000_000


def route_to(workspace: HostileServer, **changes) -> dict:
    return route_for(workspace.folder, **changes)


def get(browser: RawBrowser, name: str) -> tuple[int, dict[str, str], bytes]:
    return browser.send(browser.head(f"api/contents/{name}")).answer()


def with_length(body: bytes, status: bytes = b"200 OK", more: bytes = b"") -> bytes:
    return b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n%b" % (status, more, len(body), body)


LEFT = with_length(b'"left over"')

#: Answers of which nothing may be shown.
REFUSED = {
    "no HTTP": b"SSH-2.0-x\r\n\r\n",
    "nothing": b"\r\n\r\n" * 10,
    "a word before the answer": b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
    "early hints": b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK,
    "a flood of words before": b"HTTP/1.1 102 Processing\r\n\r\n" * 10_000,
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nabc",
    "a redirect": with_length(b"", b"302 Found", b"Location: http://evil.example/\r\n"),
    "not modified": b"HTTP/1.1 304 Not Modified\r\n\r\n",
    "a password asked for": with_length(b"{}", b"401 Unauthorized", b"WWW-Authenticate: Basic\r\n"),
    "a proxy's password": with_length(b"{}", b"407 x", b"Proxy-Authenticate: Basic\r\n"),
    "no such status": with_length(b"{}", b"999 x"),
    "a status below": with_length(b"{}", b"099 x"),
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 4\r\n\r\n{}{}",
    "length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a length that overflows": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n{}",
    "a broken chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "a bare LF": b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
    "a head without end": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000,
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 20_000 + b"\r\n",
    "a folded header": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_answer_is_told_in_the_guards_words(server, browse: Open, name):
    def act(connection: socket.socket) -> None:
        connection.sendall(REFUSED[name])
        connection.shutdown(socket.SHUT_RDWR)

    server.answers["x"] = act
    browser = browse()
    for _ in range(2):  # with a connection that was kept, and with a new one
        status, fields, body = get(browser, "x")
        assert status == 503, body
        assert b"The workspace does not answer" in body
        assert {"location", "set-cookie", "www-authenticate", "link"}.isdisjoint(fields)
    assert get(browser, "good")[2] == b"{}"


EXTRA = (
    b"Set-Cookie: a=b\r\nContent-Security-Policy: default-src *\r\nContent-Disposition: attachment\r\n"
    b"Content-Type: text/html\r\nContent-Encoding: gzip\r\nLocation: http://evil.example/\r\nRefresh: 0\r\n"
    b"Access-Control-Allow-Origin: *\r\nLink: <x>; rel=preload\r\nServer: x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n"
    b"Clear-Site-Data: *\r\nTrailer: Set-Cookie\r\nService-Worker-Allowed: /\r\nSourceMap: x\r\n"
)


@pytest.mark.parametrize("status", [b"200 OK", b"201 Created", b"404 Not Found", b"500 X\tY", b"299 \xff"])
@pytest.mark.parametrize("size", [2, 3 * MB])
def test_no_header_passes(server, browse: Open, status, size):
    server.answers["x"] = with_length(b"a" * size, status, EXTRA)
    server.answers["y"] = (
        b"HTTP/1.1 %b\r\n%bTransfer-Encoding: chunked\r\n\r\n%x;a=b\r\n%b\r\n0\r\nSet-Cookie: c=d\r\n\r\n"
        % (status, EXTRA, size, b"a" * size)
    )
    browser = browse()
    for name in "xy":
        found, fields, body = get(browser, name)
        assert (found, body) == (int(status[:3]), b"a" * size)
        for framing in ("date", "content-length", "transfer-encoding"):
            fields.pop(framing, None)
        assert fields == {key.lower(): value for key, value in api_headers().items()}


def later(data: bytes) -> Callable[[socket.socket], None]:
    def act(connection: socket.socket) -> None:
        connection.sendall(OK)
        time.sleep(0.1)
        connection.sendall(data)

    return act


@pytest.mark.parametrize(
    "act",
    [
        OK + LEFT,
        OK + LEFT[:-3],
        OK + b"HTTP/1.1 100 Continue\r\n\r\n" + LEFT,
        OK + b"rest of a longer body",
        b"HTTP/1.1 204 No Content\r\n\r\n" + LEFT,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" + LEFT,
        later(LEFT),
        later(LEFT[:20]),
    ],
)
def test_what_is_left_over_is_nobodys_answer(server, browse: Open, act):
    """Two answers to one question, at once or a little later: the second is never taken for another question's. Only
    while a question is open is what comes its answer: a workspace may tell its own person what it likes.
    """
    server.answers["x"] = act
    browser = browse()
    for turn in range(6):
        status, _, body = get(browser, "x")
        assert (status, body) in {(200, b"{}"), (204, b"")}
        if callable(act) or turn % 2:
            time.sleep(0.5)
        assert get(browser, "good")[2] == b"{}"
        assert get(browse(), "good")[2] == b"{}"


def test_a_body_that_is_cut_is_never_taken_for_whole(server, browse: Open):
    def cut(connection: socket.socket, size: int) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (4 * MB) + b"a" * size)
        connection.shutdown(socket.SHUT_RDWR)

    server.answers["short"] = lambda connection: cut(connection, 1000)
    server.answers["long"] = lambda connection: cut(connection, 3 * MB)
    browser = browse()
    assert get(browser, "short")[0] == 503
    with pytest.raises((EOFError, ConnectionResetError)):
        get(browser, "long")
    assert get(browse(), "good")[0] == 200


def test_chunks_without_end_stop_at_the_cap(server, house: GuardHouse, browse: Open):
    sent = []

    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"10000\r\n" + b"a" * 65536 + b"\r\n")
            sent.append(65536)

    server.answers["x"] = endless
    route = route_to(server, workspace_id="w3", server="small", limits=asdict(DoorLimits(response_bytes=5 * MB)))
    browser = browse(route)
    assert get(browser, "good")[0] == 200
    for _ in range(2):
        browser = browse(route)
        with pytest.raises((EOFError, ConnectionResetError)):
            get(browser, "x")
    assert sum(sent) < 30 * MB
    server.answers["y"] = with_length(b"a" * (6 * MB))
    assert get(browse(route), "y")[0] == 413


def test_a_browser_that_does_not_read_holds_up_its_workspace_alone(server, house: GuardHouse, browse: Open):
    """One hundred megabytes for ten browsers that read nothing: none of it waits in the guard's memory."""
    sent = []

    def flood(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (100 * MB))
        for _ in range(100):
            connection.sendall(b"a" * MB)
            sent.append(MB)

    server.answers["x"] = flood
    guard = psutil.Process(house.process.popen.pid)
    before = guard.memory_info().rss
    stalled = [browse(buffer=4096) for _ in range(10)]
    for browser in stalled:
        browser.send(browser.head("api/contents/x"))
    time.sleep(2)
    assert guard.memory_info().rss - before < 60 * MB
    assert sum(sent) < 150 * MB
    assert get(browse(), "good")[0] == 200
    wait_for(lambda: ended(stalled[0]), "the end of who does not read", 30)


def ended(browser: RawBrowser) -> bool:
    """Whether the guard has cut the connection; asked without reading."""
    try:
        browser.socket.setblocking(False)
        browser.send(b"x")
    except BlockingIOError:
        return False
    except OSError:
        return True
    return False


def test_the_answer_of_a_workspace_that_was_replaced_does_not_come(server, house: GuardHouse, browse: Open, tmp_path):
    """Under way when its route goes: the old one's bytes reach neither the new workspace's pool nor its person."""
    go = threading.Event()

    def wait(connection: socket.socket) -> None:
        go.wait(10)
        connection.sendall(with_length(b'"old"'))

    server.answers["x"] = wait
    browser = browse()
    browser.send(browser.head("api/contents/x"))
    wait_for(lambda: server.asked == ["/api/contents/x"], "the question", 10)
    other = HostileServer(tmp_path)
    other.answers["x"] = with_length(b'"new"')
    house.add_route(route_for(tmp_path))
    go.set()
    status, _, body = browser.answer()
    assert (status, body) in {(200, b'"new"'), (503, body)}
    assert b"old" not in body
    assert get(browser, "x")[2] == b'"new"'
    other.close()


def test_kernel_specs_that_are_none(server, browse: Open):
    browser = browse()
    for body in (b"[]", b"7", b"{", b"[" * 100_000, b'{"kernelspecs": 7}', b'{"kernelspecs": {"a": 7}}'):
        server.answers["/api/kernelspecs"] = with_length(body)
        status, _, _ = browser.send(browser.head("api/kernelspecs")).answer()
        assert status in {200, 503}


class NoTransport:
    def abort(self) -> None:
        """Nothing to end."""

    def pause_reading(self) -> None:
        """Nothing to hold."""


async def test_a_head_that_dribbles_has_one_time_limit():
    """However often a byte comes."""
    connection = Connection()
    connection.connection_made(NoTransport())  # type: ignore[arg-type]

    async def dribble() -> None:
        for byte in b"HTTP/1.1 200 OK\r\nX: " + b"a" * 1000:
            connection.data_received(bytes([byte]))
            await asyncio.sleep(0.01)

    task = asyncio.create_task(dribble())
    begun = time.monotonic()
    with pytest.raises(UpstreamLost) as lost:
        await connection.head(0.3)
    assert time.monotonic() - begun < 2
    assert not lost.value.sent_nothing
    task.cancel()
