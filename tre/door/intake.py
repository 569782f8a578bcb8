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
import contextlib
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tre.door import tokens
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
#: The control plane is asked for newer keys at most so often.
KEY_SECONDS = 5.0
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
            claims = await self._who(request)
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

    async def _who(self, request: web.BaseRequest) -> tokens.IntakeClaims:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind != "Bearer" or len(request.headers.getall("Authorization")) != 1:
            raise Unauthenticated("Send the intake token as Authorization: Bearer.")
        workspace_id = self.workspace_id or tokens.named(token)
        return await self._intake.claims(token, workspace_id)

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
        spool: Spool,
        api: InternalApi,
        *,
        limits: UploadLimits | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.spool, self.api, self.clock = spool, api, clock
        self.limits = limits or UploadLimits()
        self._folder = folder
        self._keys: tuple[Ed25519PublicKey, ...] = ()
        self._asked = -KEY_SECONDS
        self._windows: dict[str, Counter] = {}

    async def claims(self, token: str, workspace_id: str) -> tokens.IntakeClaims:
        """Of a sound token. One that no key fits may be signed by a newer version: then the control plane is asked, but
        not for each bad token. Raises Unauthenticated, and Unavailable where no key is known.
        """
        if self._keys:
            with contextlib.suppress(Unauthenticated):
                return tokens.verify(token, self._keys, workspace_id=workspace_id, now=self.clock())
        await self._ask_for_keys()
        return tokens.verify(token, self._keys, workspace_id=workspace_id, now=self.clock())

    async def _ask_for_keys(self) -> None:
        moment = time.monotonic()
        if self._keys and moment < self._asked + KEY_SECONDS:
            return
        self._asked = moment
        try:
            self._keys = tokens.load_public_keys((await self.api.intake_key()).encode())
        except TreError as error:
            log.warning("the key was not read: %s", error.message)
            if not self._keys:
                raise Unavailable("The intake has no key to check tokens with.", hint="Try again.") from error

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
    intake = Intake(settings.intake_sockets, spool, api)
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
    """One port for all."""
    window = Counter("", intake)
    await window.listen(places.listen, places.intake_port)
    try:
        await until_signal()
    finally:
        await window.close()


if __name__ == "__main__":
    raise SystemExit(run(serve))
