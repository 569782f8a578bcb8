"""Workspaces as sandboxes on the Hub's own machine.

Decides only what a sandbox needs besides its plan: a socket of the intake's, and the place of its server's socket.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from tre.door.neighbours import Neighbour
from tre.door.places import ROOT
from tre.door.spawning import WorkspaceSpawner
from tre.errors import NotFound
from tre.workspaces.plan import LaunchPlan
from tre.workspaces.runtime import SandboxRuntime


class SandboxSpawner(WorkspaceSpawner):
    """One sandbox."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.runtime = SandboxRuntime(self.places.workspaces, ROOT / ".workspace-env")
        self.intake = Neighbour(self.places.intake_admin, "the intake")

    def guard(self) -> Neighbour:
        return Neighbour(self.places.guard_admin, "the guard")

    async def begin(self, plan: LaunchPlan) -> str:
        await self.intake.ask("PUT", f"/workspaces/{plan.workspace_id}")
        self.workspace = await asyncio.to_thread(self.runtime.start, plan)
        return str(self.runtime.jupyter_socket(self.workspace))

    async def look(self) -> str:
        return await asyncio.to_thread(self.runtime.poll, self.workspace) or ""

    async def end(self, workspace: dict[str, Any]) -> None:
        try:
            await asyncio.to_thread(self.runtime.stop, workspace)
        finally:
            with contextlib.suppress(NotFound):
                await self.intake.ask("DELETE", f"/workspaces/{workspace['workspace_id']}")
