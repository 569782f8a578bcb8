"""A kernel's websocket between a browser and a workspace.

Decides that frames pass as they are once both handshakes stand, counted and capped by their heads alone, with back
pressure in both directions and no compression. Leaves the close to whoever ends first; the guard ends it itself where
the workspace closes, the sign-in ends, or a message is longer than the cap.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import logging

from tre.door.guard.browser import Browser
from tre.door.guard.frames import FrameCounter, MessageTooLong, close_frame
from tre.door.guard.headers import COMMON, upgrade_head
from tre.door.guard.messages import Request, lines
from tre.door.guard.paths import Admitted
from tre.door.guard.traffic import WorkspaceClosed
from tre.door.guard.upstream import Connection, UpstreamLost
from tre.door.guard.workspace import Workspace
from tre.errors import Forbidden, InvalidInput, Unavailable

log = logging.getLogger("tre.guard.channels")

SUBPROTOCOL = "v1.kernel.websocket.jupyter.org"
MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
HIGH_WATER = 512 * 1024
HANDSHAKE_SECONDS = 30
MAX_SOCKETS = 64
TOO_BIG, GOING_AWAY = 1009, 1001


class Relay:
    """One open websocket. The browser's side feeds `feed_data`, the workspace's side `from_workspace`."""

    def __init__(
        self, workspace: Workspace, browser: Browser, upstream: Connection, token: str, session_id: str
    ) -> None:
        self.token = token
        self.session_id = session_id
        self._workspace = workspace
        self._browser = browser
        self._upstream = upstream
        self._out = FrameCounter(workspace.meter.limits.message_out_bytes)
        self._in = FrameCounter(workspace.meter.limits.message_in_bytes)
        self._holding: asyncio.Task[None] | None = None
        self.ended = asyncio.get_running_loop().create_future()

    def start(self) -> None:
        """Both handshakes stand. What came right behind the workspace's goes on first."""
        if self.ended.done():
            return
        self._upstream.on_lost = self._finish
        self._upstream.on_upgraded_data = self.from_workspace
        self._workspace.sockets.add(self)
        if self._upstream.closed:
            self._finish()
        elif self._upstream.tail:
            self.from_workspace(self._upstream.tail)
            self._upstream.transport.resume_reading()

    # Browser → workspace

    def feed_data(self, data: bytes) -> None:
        if self.ended.done():
            return
        self._workspace.touch()
        try:
            self._in.feed(data)
        except MessageTooLong as error:
            self.end(TOO_BIG, f"The message is too long: {error}.")
            return
        if self._upstream.closed:
            return
        self._upstream.transport.write(data)
        open_now = self._workspace.meter.count(in_bytes=len(data))
        if not open_now or self._upstream.transport.get_write_buffer_size() > HIGH_WATER:
            self._hold()

    def feed_eof(self) -> None:
        self._finish()

    # Workspace → browser

    def from_workspace(self, data: bytes) -> None:
        if self.ended.done():
            return
        try:
            self._out.feed(data)
        except MessageTooLong as error:
            self.end(TOO_BIG, f"The message is too long: {error}.")
            return
        self._browser.transport.write(data)
        open_now = self._workspace.meter.count(out_bytes=len(data))
        if not open_now or self._browser.transport.get_write_buffer_size() > HIGH_WATER:
            self._hold()

    # Both

    def _hold(self) -> None:
        """Stop reading on both sides until the slow one has taken its bytes and the account is settled."""
        if self._holding is None:
            self._upstream.transport.pause_reading()
            self._browser.transport.pause_reading()
            self._holding = asyncio.create_task(self._resume())

    async def _resume(self) -> None:
        try:
            await self._workspace.meter.settle()
            await self._browser.drain()
            await self._upstream.drain()
        except WorkspaceClosed as closed:
            self.end(1008, str(closed))
        except (UpstreamLost, ConnectionError):
            self._finish()
        finally:
            self._holding = None
        if not self.ended.done():
            self._upstream.transport.resume_reading()
            self._browser.transport.resume_reading()

    def end(self, code: int, reason: str) -> None:
        """Close from the guard's side: with a reason where a frame can be inserted, else by cutting the connection."""
        if not self.ended.done() and self._out.at_boundary:
            self._browser.transport.write(close_frame(code, reason))
        self._finish()

    def _finish(self) -> None:
        self._workspace.sockets.discard(self)
        self._upstream.abort()
        if not self.ended.done():
            self.ended.set_result(None)


async def open_channels(
    request: Request, admitted: Admitted, workspace: Workspace, token: str, session_id: str
) -> None:
    """Relay one kernel websocket until either side ends. Raises before the handshake is answered, never after."""
    key = websocket_key(request)
    check_count(workspace)
    await workspace.meter.settle()
    upstream = await workspace.upstream.connect()
    try:
        offered = [part.strip() for part in request.header(b"sec-websocket-protocol").split(",")]
        chosen = await shake_hands(upstream, admitted, workspace, key, SUBPROTOCOL if SUBPROTOCOL in offered else "")
        workspace.touch()
        check_count(workspace)  # again: others may have come meanwhile
        link = Relay(workspace, request.browser, upstream, token, session_id)
        request.browser.become(link, upgraded_head(key, chosen))
        link.start()
        await link.ended
    finally:
        upstream.abort()


def websocket_key(request: Request) -> str:
    """The browser's key (16 bytes in base64); raises InvalidInput for anything but a plain websocket handshake."""
    key = request.header(b"sec-websocket-key")
    try:
        sound = len(base64.b64decode(key, validate=True)) == 16
    except binascii.Error:
        sound = False
    wanted = [part.strip().lower() for part in request.header(b"connection").split(",")]
    upgrade = request.header(b"upgrade").lower() == "websocket" and "upgrade" in wanted
    if not sound or not upgrade or request.has_body or request.header(b"sec-websocket-version") != "13":
        raise InvalidInput("this address takes websockets only", field="Upgrade")
    return key


async def shake_hands(
    upstream: Connection, admitted: Admitted, workspace: Workspace, key: str, subprotocol: str
) -> str:
    """Open the websocket to the workspace; the subprotocol it chose, "" for none."""
    target = workspace.upstream_prefix + admitted.target
    upstream.send(upgrade_head(target=target, token=workspace.route.upstream_token, key=key, subprotocol=subprotocol))
    try:
        status = await upstream.head(HANDSHAKE_SECONDS)
    except UpstreamLost as error:
        raise Unavailable("the kernel does not answer") from error
    if status != 101 or not upstream.upgraded or upstream.headers.get(b"sec-websocket-extensions"):
        raise Unavailable(f"the kernel's websocket was not opened ({status})")
    chosen = upstream.headers.get(b"sec-websocket-protocol", b"").decode("latin-1")
    if chosen not in {"", subprotocol}:
        raise Unavailable("the kernel's websocket speaks another protocol")
    return chosen


class Silence:
    """A websocket on which the guard says nothing and hears nothing."""

    def __init__(self, workspace: Workspace, browser: Browser, token: str, session_id: str) -> None:
        self.token = token
        self.session_id = session_id
        self._workspace = workspace
        self._browser = browser
        self.ended = asyncio.get_running_loop().create_future()
        workspace.sockets.add(self)

    def feed_data(self, data: bytes) -> None:
        """Only a close frame matters, and any end does."""
        if data[:1] == b"\x88":
            self.feed_eof()

    def feed_eof(self) -> None:
        self._workspace.sockets.discard(self)
        if not self.ended.done():
            self.ended.set_result(None)

    def end(self, code: int, reason: str) -> None:
        self._browser.transport.write(close_frame(code, reason))
        self.feed_eof()


async def open_silence(request: Request, workspace: Workspace, token: str, session_id: str) -> None:
    key = websocket_key(request)
    check_count(workspace)
    silence = Silence(workspace, request.browser, token, session_id)
    try:
        request.browser.become(silence, upgraded_head(key, ""))
        await silence.ended
    finally:
        silence.feed_eof()


def check_count(workspace: Workspace) -> None:
    if len(workspace.sockets) >= MAX_SOCKETS:
        raise Forbidden(f"at most {MAX_SOCKETS} websockets are open per workspace", hint="Close some notebooks.")


def upgraded_head(key: str, subprotocol: str) -> bytes:
    headers = {
        "Server": COMMON["Server"],
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Accept": accept(key),
    }
    return lines(headers | ({"Sec-WebSocket-Protocol": subprotocol} if subprotocol else {}))


def accept(key: str) -> str:
    return base64.b64encode(hashlib.sha1(key.encode() + MAGIC).digest()).decode()  # noqa: S324
