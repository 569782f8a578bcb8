"""Asks the identity provider again, for everybody who is signed in by it or has a workspace that outlives the browser.

Decides when to ask and what to keep: the newest refresh token, encrypted by the Hub; none once the provider said no, or
the control plane knows nothing of it, or nothing was seen of the person for a day. The answer goes to the control
plane, which ends sessions and workspaces. A Hub that is down confirms nobody: what it confirmed lapses by itself.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from jupyterhub import orm
from jupyterhub.utils import utcnow

from tre.door.internal_api import InternalApi
from tre.door.oidc.provider import Granted, Provider
from tre.errors import Forbidden, NotFound, Refusal, TreError, Unavailable

log = logging.getLogger(__name__)
AT_ONCE = 8
#: Longer than a session at the Hub and a token of the command line that began at its end.
UNSEEN = timedelta(hours=24)


def confidential(issuer: str, granted: Granted, now: float) -> dict[str, Any]:
    """What the Hub keeps, encrypted."""
    kept = {"issuer": issuer, "subject": granted.subject, "refresh_token": granted.refresh_token}
    return {**kept, "asked_at": now}


class Watch:
    """One per Hub. `api` gives the client of the control plane."""

    def __init__(self, app: Any, provider: Provider, api: Callable[[], InternalApi]) -> None:
        self._app, self._provider, self._api = app, provider, api
        self._few = asyncio.Semaphore(AT_ONCE)
        self._task: asyncio.Task[None] | None = None

    @property
    def _tick(self) -> float:
        return min(30.0, self._provider.settings.refresh_seconds / 5)

    def begin(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._tick)
            try:
                await self.look()
            except Exception:
                log.exception("asking the identity provider again")

    async def look(self) -> None:
        """Everybody whose turn it is, a few at a time."""
        held = self._app.db.query(orm.User).filter(orm.User.encrypted_auth_state.is_not(None)).all()
        outcomes = await asyncio.gather(*(self._one(self._app.users[row]) for row in held), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                log.warning("asking the identity provider again: %s", type(outcome).__name__)

    async def _one(self, user: Any) -> None:
        async with self._few:
            state = await user.get_auth_state()
            if not state or time.time() - state["asked_at"] < self._provider.settings.refresh_seconds - self._tick:
                return
            if self._unseen(user):
                await user.save_auth_state(None)
                return
            try:
                granted = await self._provider.renew(state["refresh_token"], state["subject"])
            except Refusal as refusal:
                if await self._still(user, state):
                    await self._lost(user, state, refusal.message)
                return
            except Unavailable as absent:
                log.warning("identity provider: %s", absent.message)
                await self._tell(user, state, "away", absent.message)
                return
            if await self._still(user, state):
                await user.save_auth_state(confidential(state["issuer"], granted, time.time()))
            await self._tell(user, state, "confirmed", "")

    async def _still(self, user: Any, state: dict[str, Any]) -> bool:
        """Whether nobody signed in meanwhile: an answer about an older refresh token says nothing then."""
        return bool(await user.get_auth_state() == state)

    async def _lost(self, user: Any, state: dict[str, Any], reason: str) -> None:
        """The control plane ends sessions, and the Hub's with them (`tre.door.rounds`). What it did not hear is asked
        and said again.
        """
        if await self._tell(user, state, "lost", reason):
            await user.save_auth_state(None)

    async def _tell(self, user: Any, state: dict[str, Any], outcome: str, reason: str) -> bool:
        said = {"issuer": state["issuer"], "subject": state["subject"], "outcome": outcome, "reason": reason}
        try:
            await self._api().confirmation(user.name, **said)
        except (Forbidden, NotFound):
            # Removed, ended, or signed in by password since: there is nothing to ask for.
            await user.save_auth_state(None)
        except TreError as error:
            log.warning("the provider's word about %s was not told: %s", user.name, error.message)
            return False
        return True

    def _unseen(self, user: Any) -> bool:
        seen = user.orm_user.last_activity
        running = any(spawner.active for spawner in user.spawners.values())
        return not running and (seen is None or utcnow(with_tz=False) - seen > UNSEEN)
