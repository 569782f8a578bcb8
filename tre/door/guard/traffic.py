"""Counting bytes and asking the control plane.

Decides when a report is sent; `budget` decides what the answer means. One report per workspace is under way at a time,
and bytes that were counted meanwhile go into the next one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from tre.door.guard import budget
from tre.door.guard.budget import Account, Passage
from tre.door.internal_api import InternalApi
from tre.errors import NotFound, TreError
from tre.workspaces.plan import DoorLimits

log = logging.getLogger("tre.guard.traffic")


class WorkspaceClosed(Exception):
    """No byte passes now; the message is for the person."""


class Meter:
    """The account of one workspace. `on_closed` is called once each time it closes."""

    def __init__(
        self, workspace_id: str, api: InternalApi, limits: DoorLimits, on_closed: Callable[[str], None]
    ) -> None:
        self.account = Account()
        self.limits = limits
        self._workspace_id = workspace_id
        self._api = api
        self._on_closed = on_closed
        self._asking = asyncio.Lock()
        self._was_open = True

    def count(self, *, out_bytes: int = 0, in_bytes: int = 0) -> bool:
        """Book bytes that are about to pass; False where `settle` has to be awaited before more may."""
        if out_bytes or in_bytes:
            self.account = budget.count(self.account, out_bytes=out_bytes, in_bytes=in_bytes)
        return self._state() is Passage.OPEN

    def pass_at_once(self, *, out_bytes: int) -> bool:
        """Book bytes that may pass now; where they may not, book nothing: `spend` has to be awaited."""
        booked = budget.count(self.account, out_bytes=out_bytes)
        if budget.passage(booked, self.limits, now=time.monotonic()) is not Passage.OPEN:
            return False
        self.account = booked
        return True

    @property
    def is_open(self) -> bool:
        return self._state() is Passage.OPEN

    async def settle(self) -> None:
        """Return when bytes may pass; raises WorkspaceClosed. Asks the control plane where that is due."""
        while self._state() is not Passage.OPEN:
            async with self._asking:  # whoever comes second waits for the first one's answer
                if self._state() is Passage.ASK:
                    await self._report()
                if self._state() is Passage.CLOSED:
                    raise WorkspaceClosed(self._close())
        self._was_open = True

    async def spend(self, *, out_bytes: int = 0, in_bytes: int = 0) -> None:
        if not self.count(out_bytes=out_bytes, in_bytes=in_bytes):
            await self.settle()

    async def report(self) -> None:
        """Send what is counted now, due or not; never raises."""
        async with self._asking:
            await self._report()
        if self._state() is Passage.CLOSED:
            self._close()

    def _state(self) -> Passage:
        return budget.passage(self.account, self.limits, now=time.monotonic())

    def _close(self) -> str:
        reason = budget.why_closed(self.account)
        if self._was_open:
            self._was_open = False
            log.warning("workspace %s is closed: %s", self._workspace_id, reason)
            self._on_closed(reason)
        return reason

    async def _report(self) -> None:
        now = time.monotonic()
        before = self.account
        self.account = budget.asked(self.account, now=now)
        try:
            suspended, reason = await self._api.traffic(
                self._workspace_id, out_bytes=before.out_bytes, in_bytes=before.in_bytes
            )
        except NotFound:
            suspended, reason = True, "The platform does not know this workspace any more."
        except TreError as error:
            log.warning("workspace %s: traffic was not reported: %s", self._workspace_id, error.message)
            return
        self.account = budget.answered(
            self.account,
            now=time.monotonic(),
            out_bytes=before.out_bytes,
            in_bytes=before.in_bytes,
            suspended=suspended,
            reason=reason,
        )
