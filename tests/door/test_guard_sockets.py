"""Websockets at both ends of which somebody is hostile: byte for byte, at the guard itself."""

import base64
import hashlib
import socket
import time
from collections.abc import Callable
from functools import partial

import pytest

from tests.door.hostile import Open, RawBrowser
from tests.door.parts import GuardHouse, wait_for
from tests.door.test_frames import frame

KEY = base64.b64encode(b"0123456789abcdef")
ACCEPT = base64.b64encode(hashlib.sha1(KEY + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
PATH = "api/kernels/00000000-0000-0000-0000-000000000000/channels"
UPGRADE = b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n"


@pytest.fixture
def browse(knock: Open, house: GuardHouse) -> Open:
    return partial(knock, Origin=house.places.guard_url)


def shake(browser: RawBrowser, more: bytes = b"", behind: bytes = b"") -> tuple[int, dict[str, str], bytes]:
    key = b"Sec-WebSocket-Key: " + KEY + b"\r\n"
    return browser.send(browser.head(PATH, UPGRADE + key + more) + behind).answer()


def kernel(
    behind: bytes = b"", got: list[bytes] | None = None, head: bytes = SWITCH
) -> Callable[[socket.socket], None]:
    def act(connection: socket.socket) -> None:
        connection.sendall(head + b"\r\n" + behind)
        while data := connection.recv(65536):
            if got is not None:
                got.append(data)

    return act


def test_what_stands_right_behind_the_handshakes_is_not_lost(server, browse: Open):
    got: list[bytes] = []
    hello, word = frame(b"hello"), frame(b"word", masked=True)
    server.answers["/" + PATH] = kernel(hello, got)
    browser = browse()
    status, fields, _ = shake(browser, behind=word)
    assert (status, fields["sec-websocket-accept"]) == (101, ACCEPT.decode())
    assert set(fields) == {"server", "date", "upgrade", "connection", "sec-websocket-accept"}
    assert browser._exactly(len(hello)) == hello
    wait_for(lambda: b"".join(got) == word, "the word", 10)
    browser.send(word)
    wait_for(lambda: b"".join(got) == word + word, "the word", 10)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 101 x\r\n",
        SWITCH + b"Sec-WebSocket-Extensions: permessage-deflate\r\n",
        SWITCH + b"Sec-WebSocket-Protocol: another\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + SWITCH,
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n",
        SWITCH.replace(b"\r\n", b"\n"),
    ],
)
def test_a_kernel_that_does_not_shake_hands(server, browse: Open, head):
    def act(connection: socket.socket) -> None:
        connection.sendall(head + b"\r\n")
        connection.shutdown(socket.SHUT_RDWR)

    server.answers["/" + PATH] = act
    assert shake(browse())[0] == 503


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Version: 8"),
        (b"Upgrade: websocket", b"Upgrade: h2c"),
        (b"Connection: keep-alive, Upgrade", b"Connection: keep-alive, Upgraded"),
        (b"Sec-WebSocket-Key: " + KEY, b"Sec-WebSocket-Key: " + KEY + b", x"),
        (b"Sec-WebSocket-Key: " + KEY, b"Sec-WebSocket-Key: YQ=="),
        (b"Sec-WebSocket-Key: " + KEY, b"Content-Length: 3\r\nSec-WebSocket-Key: " + KEY),
        (b"Sec-WebSocket-Key: " + KEY, b"Transfer-Encoding: chunked\r\nSec-WebSocket-Key: " + KEY),
    ],
)
def test_a_browser_that_does_not_shake_hands(server, browse: Open, old, new):
    browser = browse()
    whole = browser.head(PATH, UPGRADE + b"Sec-WebSocket-Key: " + KEY + b"\r\n")
    assert old in whole
    assert browser.send(whole.replace(old, new)).answer()[0] == 422
    assert server.asked == []


def test_a_long_message_behind_the_handshake_ends_it_and_leaves_nothing(server, house: GuardHouse, browse: Open):
    server.answers["/" + PATH] = kernel()
    browser = browse()
    long = frame(b"x" * 70_000, masked=True).replace((70_000).to_bytes(8), (1 << 30).to_bytes(8))
    assert shake(browser, behind=long)[0] == 101
    assert b"too long" in browser.ended()
    wait_for(lambda: b'"sockets": 0' in house.admin("GET", "/routes/w1")[1], "nothing left", 10)


def test_a_kernel_that_ends_ends_the_websocket(server, house: GuardHouse, browse: Open):
    def act(connection: socket.socket) -> None:
        connection.sendall(SWITCH + b"\r\n" + frame(b"x" * 100)[:50])
        connection.shutdown(socket.SHUT_RDWR)

    server.answers["/" + PATH] = act
    browser = browse()
    assert shake(browser)[0] in {101, 503}
    browser.ended()
    wait_for(lambda: b'"sockets": 0' in house.admin("GET", "/routes/w1")[1], "nothing left", 10)


def test_no_more_websockets_than_a_workspace_may_have(server, browse: Open):
    server.answers["/" + PATH] = kernel()
    browsers = [browse() for _ in range(70)]
    key = b"Sec-WebSocket-Key: " + KEY + b"\r\n"
    for browser in browsers:
        browser.send(browser.head(PATH, UPGRADE + key))
    statuses = [browser.answer()[0] for browser in browsers]
    assert (statuses.count(101), statuses.count(403)) == (64, 6)


def test_silence_hears_nothing(browse: Open):
    browser = browse()
    key = b"Sec-WebSocket-Key: " + KEY + b"\r\n"
    browser.send(browser.head("api/events/subscribe", UPGRADE + key) + frame(b"x", masked=True))
    assert browser.answer()[0] == 101
    browser.send(b"GET / HTTP/1.1\r\n\r\n" * 100)
    time.sleep(0.3)
    browser.send(frame(b"", opcode=8, masked=True))
    assert browser.ended() == b""
