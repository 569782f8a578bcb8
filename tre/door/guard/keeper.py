"""What the guard does without being asked: reports, re-checks, ends what nobody uses.

Decides when, from the clock; every step is on its own, so that one workspace's trouble never holds up another's. The
longest life of a workspace is held by the keeper of its sandbox and by the controller.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tre.door.guard.budget import FRESH
from tre.door.guard.hub import Hub
from tre.door.guard.kernels import is_busy
from tre.door.guard.workspace import POLICY_VIOLATION, Workspace
from tre.door.internal_api import InternalApi
from tre.errors import Refusal, TreError
from tre.workspaces.plan import DoorLimits

log = logging.getLogger("tre.guard.keeper")
AT_ONCE = 16


@dataclass(frozen=True)
class Rhythm:
    """Seconds. How often the guard looks around (`tick`), checks the sign-in behind each open websocket (`recheck`),
    tells the Hub that somebody is active, and asks a workspace without its person whether a kernel computes (`look`).
    On a cluster: how often it asks for routes (`learn`), how long it waits for them before people may come (`begin`).
    """

    tick: float = 1.0
    recheck: float = 30.0
    tell_hub: float = 60.0
    look: float = 60.0
    learn: float = 5.0
    begin: float = 60.0


class Keeper:
    def __init__(
        self, workspaces: Callable[[], Iterable[Workspace]], hub: Hub, api: InternalApi, rhythm: Rhythm
    ) -> None:
        self._workspaces = workspaces
        self._hub = hub
        self._api = api
        self._rhythm = rhythm
        self._checked_at = time.monotonic()
        self._looks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._rhythm.tick)
            try:
                await self.step(time.time())
            except Exception:
                log.exception("a round failed; the next one follows")

    async def step(self, now: float) -> None:
        places = asyncio.Semaphore(AT_ONCE)
        recheck = time.monotonic() - self._checked_at >= self._rhythm.recheck
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
            if account.out_bytes or account.in_bytes or age >= FRESH:
                await workspace.meter.report()
        if recheck:
            await recheck_sockets(workspace)
        if workspace.active_at > workspace.told_hub_at and now - workspace.told_hub_at >= self._rhythm.tell_hub:
            told = workspace.active_at
            if await self._hub.tell_activity(workspace.route, told):
                workspace.told_hub_at = max(told, now)
        if now - max(workspace.active_at, workspace.looked_at) >= self._rhythm.look:
            workspace.looked_at = now
            look = asyncio.create_task(self._look(workspace))
            self._looks.add(look)
            look.add_done_callback(self._looks.discard)
        limits = workspace.route.limits
        if now - in_use_at(workspace.active_at, workspace.busy_at, limits) >= limits.idle_seconds:
            await self._end(workspace, f"Nobody has worked in it for {hours(limits.idle_seconds)}.", now)

    async def _look(self, workspace: Workspace) -> None:
        """Beside the round: what the workspace does not answer holds nobody up."""
        if await is_busy(workspace):
            workspace.busy_at = time.time()

    async def _end(self, workspace: Workspace, reason: str, now: float) -> None:
        if now < workspace.end_again_at:
            return
        workspace.end_again_at = now + 60
        log.warning("workspace %s is ended: %s", workspace.route.workspace_id, reason)
        workspace.end_sockets(reason)
        try:
            await self._api.idle(workspace.route.workspace_id, reason)
        except TreError as error:
            log.warning("workspace %s was not ended: %s", workspace.route.workspace_id, error.message)


def in_use_at(active_at: float, busy_at: float, limits: DoorLimits) -> float:
    """When it was last in use: its person's last act, or a kernel that computed within `busy_seconds` after that."""
    return max(active_at, min(busy_at, active_at + limits.busy_seconds))


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
