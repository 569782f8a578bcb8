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
from typing import Any

from aiohttp import web

from tre.door.guard.frames import FrameCounter, MessageTooLong, close_frame
from tre.door.guard.headers import COMMON, upgrade_head
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


class Upgraded(web.StreamResponse):
    """The 101 answer; what follows is no HTTP body."""

    _length_check = False


class Relay:
    """One open websocket. The browser's side feeds `feed_data`, the workspace's side `from_workspace`."""

    def __init__(self, workspace: Workspace, upstream: Connection, token: str, session_id: str) -> None:
        self.token = token
        self.session_id = session_id
        self._workspace = workspace
        self._upstream = upstream
        self._out = FrameCounter(workspace.meter.limits.message_out_bytes)
        self._in = FrameCounter(workspace.meter.limits.message_in_bytes)
        self._browser: Any = None
        self._writer: Any = None
        self._holding: asyncio.Task[None] | None = None
        self.ended = asyncio.get_running_loop().create_future()

    def start(self, browser: Any, writer: Any) -> None:
        self._browser = browser
        self._writer = writer
        self._upstream.on_lost = self._lost
        self._upstream.on_upgraded_data = self.from_workspace
        self._workspace.sockets.add(self)
        if self._upstream.tail:
            self.from_workspace(self._upstream.tail)

    # Browser → workspace (aiohttp's parser interface)

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        if self.ended.done():
            return True, b""
        self._workspace.touch()
        try:
            self._in.feed(data)
        except MessageTooLong as error:
            self.end(TOO_BIG, f"The message is too long: {error}.")
            return True, b""
        if self._upstream.closed:
            return True, b""
        self._upstream.transport.write(data)
        open_now = self._workspace.meter.count(in_bytes=len(data))
        if not open_now or self._upstream.transport.get_write_buffer_size() > HIGH_WATER:
            self._hold()
        return False, b""

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
        self._browser.write(data)
        open_now = self._workspace.meter.count(out_bytes=len(data))
        if not open_now or self._browser.get_write_buffer_size() > HIGH_WATER:
            self._hold()

    # Both

    def _hold(self) -> None:
        """Stop reading on both sides until the slow one has taken its bytes and the account is settled."""
        if self._holding is None:
            self._upstream.transport.pause_reading()
            self._browser.pause_reading()
            self._holding = asyncio.create_task(self._resume())

    async def _resume(self) -> None:
        try:
            await self._workspace.meter.settle()
            await self._writer.drain()
            await self._upstream.drain()
        except WorkspaceClosed as closed:
            self.end(1008, str(closed))
        except (UpstreamLost, ConnectionError):
            self._finish()
        finally:
            self._holding = None
        if not self.ended.done():
            self._upstream.transport.resume_reading()
            self._browser.resume_reading()

    def end(self, code: int, reason: str) -> None:
        """Close from the guard's side: with a reason where a frame can be inserted, else by cutting the connection."""
        if not self.ended.done() and self._out.at_boundary and self._browser is not None:
            self._browser.write(close_frame(code, reason))
        self._finish()

    def _lost(self) -> None:
        self._finish()

    def _finish(self) -> None:
        self._workspace.sockets.discard(self)
        self._upstream.abort()
        if not self.ended.done():
            self.ended.set_result(None)


async def open_channels(
    request: web.BaseRequest, admitted: Admitted, workspace: Workspace, token: str, session_id: str
) -> web.StreamResponse:
    """Relay one kernel websocket until either side ends. Raises before the handshake is answered, never after."""
    key = websocket_key(request)
    check_count(workspace)
    await workspace.meter.settle()
    upstream = await workspace.upstream.connect()
    try:
        offered = [part.strip() for part in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
        chosen = await shake_hands(upstream, admitted, workspace, key, SUBPROTOCOL if SUBPROTOCOL in offered else "")
        workspace.touch()
        return await relay(request, workspace, upstream, key, chosen, token, session_id)
    finally:
        upstream.abort()


def websocket_key(request: web.BaseRequest) -> str:
    """The browser's key (16 bytes in base64); raises InvalidInput for anything but a plain websocket handshake."""
    headers = request.headers
    key = headers.get("Sec-WebSocket-Key", "")
    try:
        sound = len(base64.b64decode(key, validate=True)) == 16
    except binascii.Error:
        sound = False
    upgrade = headers.get("Upgrade", "").lower() == "websocket" and "upgrade" in headers.get("Connection", "").lower()
    if not sound or not upgrade or headers.get("Sec-WebSocket-Version") != "13":
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


async def relay(
    request: web.BaseRequest,
    workspace: Workspace,
    upstream: Connection,
    key: str,
    subprotocol: str,
    token: str,
    session_id: str,
) -> web.StreamResponse:
    response = upgraded(key, subprotocol)
    link = Relay(workspace, upstream, token, session_id)
    writer = await response.prepare(request)
    if request.transport is None:
        raise ConnectionResetError("the browser has gone")
    link.start(request.transport, writer)
    request.protocol.set_parser(link)  # type: ignore[arg-type]
    request.protocol.keep_alive(False)
    await link.ended
    return response


class Silence:
    """A websocket on which the guard says nothing and hears nothing."""

    def __init__(self, workspace: Workspace, browser: Any, token: str, session_id: str) -> None:
        self.token = token
        self.session_id = session_id
        self._workspace = workspace
        self._browser = browser
        self.ended = asyncio.get_running_loop().create_future()
        workspace.sockets.add(self)

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Only a close frame matters, and any end does."""
        if data[:1] == b"\x88":
            self.feed_eof()
        return self.ended.done(), b""

    def feed_eof(self) -> None:
        self._workspace.sockets.discard(self)
        if not self.ended.done():
            self.ended.set_result(None)

    def end(self, code: int, reason: str) -> None:
        self._browser.write(close_frame(code, reason))
        self.feed_eof()


async def open_silence(
    request: web.BaseRequest, workspace: Workspace, token: str, session_id: str
) -> web.StreamResponse:
    key = websocket_key(request)
    check_count(workspace)
    response = upgraded(key, "")
    await response.prepare(request)
    if request.transport is None:
        raise ConnectionResetError("the browser has gone")
    silence = Silence(workspace, request.transport, token, session_id)
    request.protocol.set_parser(silence)  # type: ignore[arg-type]
    request.protocol.keep_alive(False)
    await silence.ended
    return response


def check_count(workspace: Workspace) -> None:
    if len(workspace.sockets) >= MAX_SOCKETS:
        raise Forbidden(f"at most {MAX_SOCKETS} websockets are open per workspace", hint="Close some notebooks.")


def upgraded(key: str, subprotocol: str) -> Upgraded:
    response = Upgraded(status=101, headers={"Server": COMMON["Server"]})
    response.headers["Upgrade"] = "websocket"
    response.headers["Connection"] = "upgrade"
    response.headers["Sec-WebSocket-Accept"] = accept(key)
    if subprotocol:
        response.headers["Sec-WebSocket-Protocol"] = subprotocol
    response.force_close()
    return response


def accept(key: str) -> str:
    return base64.b64encode(hashlib.sha1(key.encode() + MAGIC).digest()).decode()  # noqa: S324
