"""`python -m tre.door.intake`: the only way out of a workspace, for copies of outputs to be reviewed.

Decides who speaks by two things that must agree: the socket, of which each workspace sees its own alone, and a token
signed for that workspace. Offers `POST /requests`, `GET /requests`, `GET /requests/{id}` and nothing else. The folder
of a workspace's socket is the memory: the intake listens for every folder it finds when it starts. The spawner makes
and removes them over `run/intake.sock` (`PUT`, `DELETE /workspaces/{id}`). On a cluster there is one port for all: the
token alone names the workspace, and each is counted by itself. What arrived whole is handed to the control plane: the
intake has no way to what others submitted.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web

from tre.door import tokens
from tre.door.guard.routes import write_private
from tre.door.internal_api import InternalApi, read_secret
from tre.door.listening import open_private_site, run, told, until_signal
from tre.door.places import Places
from tre.door.upload import UploadLimits, receive
from tre.errors import InvalidInput, LimitExceeded, NotFound, TreError, Unauthenticated, Unavailable
from tre.outputs.content.spool import Spool
from tre.settings import make_private_folder

log = logging.getLogger("tre.intake")

SOCKET = "intake.sock"
CONNECTIONS = 16
CONNECTIONS_OF_ALL = 2048
KEY_SECONDS = 60.0
UPLOADS = 2
CONNECTION_SECONDS = 360.0
REQUEST = re.compile(r"/requests/([A-Za-z0-9][A-Za-z0-9_-]{0,63})")


class Dropped(asyncio.Protocol):
    """A connection too many."""

    def connection_made(self, transport: Any) -> None:
        transport.abort()


class Counter:
    """One workspace's window: its socket, its limits, its submissions. Without a workspace: that of a whole cluster."""

    def __init__(self, workspace_id: str, intake: Intake) -> None:
        self.workspace_id = workspace_id
        self._intake = intake
        self._connections = CONNECTIONS if workspace_id else CONNECTIONS_OF_ALL
        self._uploads: dict[str, int] = {}
        self._http = web.Server(self.handle, access_log=None, auto_decompress=False, keepalive_timeout=10)
        self._listener: asyncio.Server | None = None

    async def open(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._listener = await asyncio.get_running_loop().create_unix_server(self._accept, str(path))

    async def listen(self, address: str, port: int) -> None:
        self._listener = await asyncio.get_running_loop().create_server(self._accept, address, port)

    async def close(self) -> None:
        if self._listener:
            self._listener.close()
        await self._http.shutdown(1)

    def _accept(self) -> asyncio.BaseProtocol:
        """A handler for a new connection, which ends after `CONNECTION_SECONDS` whatever it does."""
        if len(self._http.connections) >= self._connections:
            return Dropped()
        handler = self._http()
        asyncio.get_running_loop().call_later(CONNECTION_SECONDS, handler.force_close)
        return handler

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            claims = self._who(request)
            return await self._answer(request, claims)
        except TreError as error:
            log.info("workspace %s: %s refused: %s", self.workspace_id, request.method, error.message)
            refusal = web.json_response(error.as_dict(), status=error.http_status)
            refusal.force_close()
            return refusal
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception:
            log.exception("workspace %s: failed", self.workspace_id)
            return web.json_response(TreError("Something went wrong on our side.").as_dict(), status=500)

    def _who(self, request: web.BaseRequest) -> tokens.IntakeClaims:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind != "Bearer" or len(request.headers.getall("Authorization")) != 1:
            raise Unauthenticated("Send the intake token as Authorization: Bearer.")
        workspace_id = self.workspace_id or tokens.named(token)
        return tokens.verify(token, self._intake.key(), workspace_id=workspace_id, now=self._intake.clock())

    async def _answer(self, request: web.BaseRequest, claims: tokens.IntakeClaims) -> web.StreamResponse:
        found = REQUEST.fullmatch(request.raw_path)
        if request.method == "GET" and request.raw_path == "/requests":
            return web.json_response(await self._intake.api.requests(claims.workspace_id))
        if request.method == "GET" and found:
            return web.json_response(await self._intake.api.requests(claims.workspace_id, found[1]))
        if request.method == "POST" and request.raw_path == "/requests":
            return await self._take(request, claims)
        raise NotFound("There is nothing at this address.", hint="POST or GET /requests, or GET /requests/{id}.")

    async def _take(self, request: web.BaseRequest, claims: tokens.IntakeClaims) -> web.StreamResponse:
        underway = self._uploads.get(claims.workspace_id, 0)
        if underway >= UPLOADS:
            raise LimitExceeded(
                f"At most {UPLOADS} submissions arrive at a time.", hint="Wait for them.", code="too_many_requests"
            )
        self._uploads[claims.workspace_id] = underway + 1
        try:
            hand_on = partial(self._intake.api.keep, claims.workspace_id)
            body = await receive(request, self._intake.spool, self._intake.limits, hand_on)
        finally:
            self._uploads[claims.workspace_id] -= 1
            if not self._uploads[claims.workspace_id]:
                del self._uploads[claims.workspace_id]
        log.info("workspace %s: %d files arrived", self.workspace_id, len(body["files"]))
        return web.json_response(await self._intake.api.submit(claims.workspace_id, body), status=201)


class Intake:
    """All windows, and what they share."""

    def __init__(
        self,
        folder: Path,
        key_file: Path,
        spool: Spool,
        api: InternalApi,
        *,
        limits: UploadLimits | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.spool, self.api, self.clock = spool, api, clock
        self.limits = limits or UploadLimits()
        self._folder, self._key_file = folder, key_file
        self._key: tuple[float, Any] | None = None
        self._windows: dict[str, Counter] = {}

    def key(self) -> Any:
        """The public key, read again when the file changes; raises Unavailable where there is none."""
        try:
            changed = self._key_file.stat().st_mtime
            if self._key is None or self._key[0] != changed:
                self._key = (changed, tokens.load_public_key(self._key_file.read_bytes()))
        except (OSError, InvalidInput) as error:
            raise Unavailable("The intake has no key to check tokens with.") from error
        return self._key[1]

    async def restore(self) -> None:
        """Listen again for every workspace whose folder is there."""
        make_private_folder(self._folder)
        for entry in sorted(os.scandir(self._folder), key=lambda entry: entry.name):
            if entry.is_dir(follow_symlinks=False) and tokens.WORKSPACE.fullmatch(entry.name):
                await self.open(entry.name)

    async def open(self, workspace_id: str) -> None:
        if not tokens.WORKSPACE.fullmatch(workspace_id):
            raise InvalidInput("not a workspace id", field="workspace_id")
        if workspace_id in self._windows:
            return
        folder = self._folder / workspace_id
        make_private_folder(folder)
        window = Counter(workspace_id, self)
        await window.open(folder / SOCKET)
        self._windows[workspace_id] = window

    async def close(self, workspace_id: str) -> None:
        window = self._windows.pop(workspace_id, None)
        if window is None:
            raise NotFound("there is no such workspace")
        await window.close()
        await asyncio.to_thread(shutil.rmtree, self._folder / workspace_id, ignore_errors=True)

    async def close_all(self) -> None:
        """Stop listening; the folders stay, so that a later start opens them again."""
        await asyncio.gather(*(window.close() for window in self._windows.values()))

    def admin(self) -> web.Application:
        async def put(request: web.Request) -> web.Response:
            await self.open(request.match_info["id"])
            return web.Response(status=204)

        async def delete(request: web.Request) -> web.Response:
            await self.close(request.match_info["id"])
            return web.Response(status=204)

        async def health(request: web.Request) -> web.Response:
            return web.Response(body=json.dumps({"workspaces": len(self._windows)}), content_type="application/json")

        app = web.Application(middlewares=[told])
        app.router.add_get("/health", health)
        app.router.add_put("/workspaces/{id}", put)
        app.router.add_delete("/workspaces/{id}", delete)
        return app


async def serve(places: Places) -> None:
    settings = places.settings
    api = InternalApi(places.internal, read_secret(places.secret("internal-intake.token")))
    spool = Spool(settings.arriving)
    spool.sweep(0)
    intake = Intake(settings.intake_sockets, places.intake_public_key, spool, api)
    try:
        await (serve_cluster if settings.cluster else serve_sockets)(places, intake)
    finally:
        await api.close()


async def serve_sockets(places: Places, intake: Intake) -> None:
    runner = web.AppRunner(intake.admin(), access_log=None)
    await runner.setup()
    try:
        await intake.restore()
        await open_private_site(runner, places.intake_admin)
        await until_signal()
    finally:
        await intake.close_all()
        await runner.cleanup()


async def serve_cluster(places: Places, intake: Intake) -> None:
    """One port. The key is asked of the control plane and kept: it changes where the secrets server is made anew."""
    window = Counter("", intake)
    keeper = asyncio.create_task(keep_key(places, intake.api))
    await window.listen(places.listen, places.intake_port)
    try:
        await until_signal()
    finally:
        keeper.cancel()
        await window.close()


async def keep_key(places: Places, api: InternalApi) -> None:
    while True:
        try:
            write_private(places.intake_public_key, (await api.intake_key()).encode())
            await asyncio.sleep(KEY_SECONDS)
        except TreError as error:
            log.warning("the key was not read: %s", error.message)
            await asyncio.sleep(1)


if __name__ == "__main__":
    raise SystemExit(run(serve))
