"""Starting and stopping workspaces for the Hub.

Decides the order, never whether: the internal API gives a launch plan or a refusal; the intake gets its socket, the
runtime runs the plan, the guard gets the route, and the Hub gets the guard's address. At the end the same backwards.
Every step may be done twice. The state kept in the Hub's database has no secret in it.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import asdict
from typing import Any

from jupyterhub.spawner import Spawner

from tre.door.authenticator import internal_api, refused
from tre.door.guard.routes import Route
from tre.door.neighbours import Neighbour
from tre.door.places import ROOT, Places
from tre.errors import NotFound, TreError
from tre.settings import Settings
from tre.workspaces.plan import LaunchPlan
from tre.workspaces.runtime import SandboxRuntime


class SandboxSpawner(Spawner):  # type: ignore[misc]
    """One workspace: person × project."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.places = Places(Settings.load())
        self.runtime = SandboxRuntime(self.places.workspaces, ROOT / ".workspace-env")
        self.guard = Neighbour(self.places.guard_admin, "the guard")
        self.intake = Neighbour(self.places.intake_admin, "the intake")
        self.workspace: dict[str, Any] = {}
        self.ended = ""

    # What JupyterHub asks for.

    async def start(self) -> str:
        """The guard's address; raises HTTPError with words for the person where there is no workspace to be had."""
        if not self.name:
            raise refused(403, "A workspace belongs to a project: start it from the projects page.")
        self.ended = ""
        try:
            answer = await internal_api().open_workspace(username=self.user.name, project=self.name)
            plan = LaunchPlan.from_dict(answer)
            await self._run(plan)
        except TreError as error:
            self.ended = error.message
            await self._finish("failed")
            raise refused(error.http_status, f"{error.message} {error.hint}".strip()) from error
        return self.places.guard_url

    async def poll(self) -> int | None:
        """None while it runs; why not is kept for the event."""
        if not self.workspace:
            return 0
        reason = await asyncio.to_thread(self.runtime.poll, self.workspace)
        if reason is None:
            return None
        self.ended = reason
        return 1

    async def stop(self, now: bool = False) -> None:
        await self._finish("stopped")

    async def run_post_stop_hook(self) -> None:
        """Also where it ended by itself: the Hub then never calls `stop`."""
        await self._finish("failed" if self.ended else "stopped")

    def get_state(self) -> dict[str, Any]:
        state: dict[str, Any] = super().get_state()
        return state | ({"workspace": self.workspace} if self.workspace else {})

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        self.workspace = dict(state.get("workspace", {}))

    def clear_state(self) -> None:
        super().clear_state()
        self.workspace = {}

    def get_env(self) -> dict[str, str]:
        """Nothing of the Hub's environment, and no token, goes into a workspace."""
        return {}

    # How it is done.

    async def _run(self, plan: LaunchPlan) -> None:
        self.workspace = {"workspace_id": plan.workspace_id}
        await self.intake.ask("PUT", f"/workspaces/{plan.workspace_id}")
        self.workspace = await asyncio.to_thread(self.runtime.start, plan)
        await self.guard.ask("PUT", f"/routes/{plan.workspace_id}", asdict(self._route(plan)))
        await internal_api().event(plan.workspace_id, "running")

    def _route(self, plan: LaunchPlan) -> Route:
        return Route(
            workspace_id=plan.workspace_id,
            user=self.user.name,
            server_name=self.name,
            base_url=self.server.base_url,
            upstream_socket=str(self.runtime.jupyter_socket(self.workspace)),
            upstream_base=plan.base_url,
            upstream_token=plan.jupyter_token,
            hub_api_token=self.api_token,
            oauth_client_id=self.oauth_client_id,
            limits=plan.door,
        )

    async def _finish(self, event: str) -> None:
        """Undo all that `_run` did; what cannot be undone now is logged and left to the controller."""
        workspace, self.workspace = self.workspace, {}
        if not workspace:
            return
        identity = workspace["workspace_id"]
        with self._noted("the guard"), contextlib.suppress(NotFound):
            await self.guard.ask("DELETE", f"/routes/{identity}")
        with self._noted("the runtime"):
            await asyncio.to_thread(self.runtime.stop, workspace)
        with self._noted("the intake"), contextlib.suppress(NotFound):
            await self.intake.ask("DELETE", f"/workspaces/{identity}")
        with self._noted("the control plane"):
            await internal_api().event(identity, event, self.ended)

    @contextlib.contextmanager
    def _noted(self, what: str) -> Any:
        try:
            yield
        except TreError as error:
            self.log.error("%s: stopping did not reach %s: %s", self._log_name, what, error.message)
