"""What the guard does without being asked: reports, re-checks, ends what has had its time.

Decides when, from the clock; every step is on its own, so that one workspace's trouble never holds up another's.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable

from tre.door.guard.config import Lifetimes
from tre.door.guard.hub import Hub
from tre.door.guard.workspace import POLICY_VIOLATION, Workspace
from tre.errors import Refusal, TreError

log = logging.getLogger("tre.guard.keeper")
AT_ONCE = 16


class Keeper:
    def __init__(self, workspaces: Callable[[], Iterable[Workspace]], hub: Hub, lifetimes: Lifetimes) -> None:
        self._workspaces = workspaces
        self._hub = hub
        self._lifetimes = lifetimes
        self._checked_at = time.monotonic()

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._lifetimes.tick)
            try:
                await self.step(time.time())
            except Exception:
                log.exception("a round failed; the next one follows")

    async def step(self, now: float) -> None:
        places = asyncio.Semaphore(AT_ONCE)
        recheck = time.monotonic() - self._checked_at >= self._lifetimes.recheck
        if recheck:
            self._checked_at = time.monotonic()

        async def one(workspace: Workspace) -> None:
            async with places:
                await self._attend(workspace, now, recheck)

        await asyncio.gather(*(one(workspace) for workspace in list(self._workspaces())), return_exceptions=False)

    async def _attend(self, workspace: Workspace, now: float, recheck: bool) -> None:
        account = workspace.meter.account
        if account.out_bytes or account.in_bytes or workspace.sockets:
            age = time.monotonic() - (account.asked_at or 0.0)
            if account.out_bytes or account.in_bytes or age >= workspace.meter.limits.fresh:
                await workspace.meter.report()
        if recheck:
            await recheck_sockets(workspace)
        if workspace.active_at > workspace.told_hub_at and now - workspace.told_hub_at >= self._lifetimes.tell_hub:
            told = workspace.active_at
            if await self._hub.tell_activity(workspace.route, told):
                workspace.told_hub_at = max(told, now)
        if reason := outlived(workspace.route.started_at, workspace.active_at, now, self._lifetimes):
            await self._end(workspace, reason, now)

    async def _end(self, workspace: Workspace, reason: str, now: float) -> None:
        if now < workspace.end_again_at:
            return
        workspace.end_again_at = now + 60
        log.warning("workspace %s is ended: %s", workspace.route.workspace_id, reason)
        workspace.end_sockets(reason)
        await self._hub.end_server(workspace.route)


def outlived(started_at: float, active_at: float, now: float, lifetimes: Lifetimes) -> str:
    """Why a workspace has had its time, in words; "" while it has not."""
    if now - started_at >= lifetimes.age:
        return f"It has run for its maximum of {hours(lifetimes.age)}."
    if now - active_at >= lifetimes.idle:
        return f"Nobody has worked in it for {hours(lifetimes.idle)}."
    return ""


def hours(seconds: float) -> str:
    return f"{seconds / 3600:.3g} hours"


async def recheck_sockets(workspace: Workspace) -> None:
    """End the websockets whose sign-in has ended. Where the Hub does not answer they stay until it does."""
    verdicts: dict[tuple[str, str], str] = {}
    for socket in list(workspace.sockets):
        who = (socket.token, socket.session_id)
        if who not in verdicts:
            verdicts[who] = await why_not(workspace, *who)
        if verdicts[who]:
            socket.end(POLICY_VIOLATION, verdicts[who])


async def why_not(workspace: Workspace, token: str, session_id: str) -> str:
    try:
        await workspace.signin.check_owner(token, session_id, fresh=True)
    except Refusal as refusal:
        return refusal.message
    except TreError:
        return ""
    return ""
