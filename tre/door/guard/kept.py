"""The routes of a cluster's guards outlive all of them: the control plane keeps them, sealed.

Decides that a guard always serves what the control plane says is live, whatever it was told, missed or lost: it asks
when it begins and again and again, takes what it does not know, and lets go of what has ended. The hub's word is the
quick way to the same, and an end that it told holds before the control plane knows. Only guards can read what is kept:
it holds tokens, and the database is no place for them.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
from dataclasses import asdict

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tre.door.guard.routes import Route
from tre.door.guard.table import Workspaces
from tre.door.internal_api import InternalApi
from tre.errors import InvalidInput, TreError

log = logging.getLogger(__name__)
NONCE_BYTES = 12
#: Seconds between two questions of a guard that knows nothing yet.
SOON = 0.5


class Seal:
    """A route as text that this installation's guards alone can open, and for its own workspace alone."""

    def __init__(self, secret: bytes) -> None:
        key = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"tre guard routes").derive(secret)
        self._cipher = AESGCM(key)

    def close(self, route: Route) -> str:
        nonce, plain = os.urandom(NONCE_BYTES), json.dumps(asdict(route)).encode()
        sealed = self._cipher.encrypt(nonce, plain, route.workspace_id.encode())
        return base64.b64encode(nonce + sealed).decode()

    def open(self, workspace_id: str, text: str) -> Route:
        """Raises InvalidInput where it was sealed with another secret, for another workspace, or is damaged."""
        try:
            sealed = base64.b64decode(text, validate=True)
            plain = self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], workspace_id.encode())
            return Route.from_json(json.loads(plain))
        except (InvalidTag, ValueError) as error:
            raise InvalidInput(
                f"what is kept of workspace {workspace_id}'s route cannot be opened",
                field="route",
                hint="It was sealed with another `guard-cookie`; its person starts the workspace again.",
            ) from error


class Kept:
    """Asks the control plane for `workspaces`, every `pause` seconds."""

    def __init__(self, api: InternalApi, seal: Seal, workspaces: Workspaces, pause: float) -> None:
        self._pause = pause
        self._api, self._seal, self._workspaces = api, seal, workspaces
        self._first = asyncio.Event()
        self._told: set[str] = set()

    async def wait(self) -> None:
        """Until everything was learnt once."""
        await self._first.wait()

    async def run(self) -> None:
        """For ever. Where the control plane does not answer, what is served stays as it is."""
        while True:
            try:
                await self.learn()
                self._first.set()
            except TreError as error:
                log.warning("routes were not learnt: %s", error.message)
            except Exception:
                log.exception("routes were not learnt; the next question follows")
            await asyncio.sleep(self._pause if self._first.is_set() else SOON)

    async def learn(self) -> None:
        """Raises `Unavailable`. What was told while the question was under way stays for the next."""
        known = {workspace.route.workspace_id for workspace in self._workspaces.all()}
        live, routes = await self._api.routes(sorted(known))
        for ended in known - live:
            log.info("workspace %s has ended", ended)
            await self._workspaces.remove(ended)
        self._workspaces.ended &= live
        for workspace_id in routes.keys() - self._workspaces.ended:
            self._take(workspace_id, routes[workspace_id])
        self._workspaces.complete = True

    def _take(self, workspace_id: str, text: str) -> None:
        try:
            route = self._seal.open(workspace_id, text)
            if self._workspaces.by_id(workspace_id) is None and self._workspaces.find(route.base_url) is None:
                self._workspaces.put(route)
                log.info("workspace %s is served", workspace_id)
        except TreError as error:
            if workspace_id not in self._told:
                log.warning("%s: %s", error.message, error.hint)
            self._told.add(workspace_id)
