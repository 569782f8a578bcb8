"""Starting and stopping workspaces for the Hub, whatever runs them.

Decides the order, never whether: the internal API gives a launch plan or a refusal, a runtime runs the plan, the guard
gets the route, and the Hub gets the guard's address. At the end the same backwards. Every step may be done twice. A
workspace that cannot be seen, or does not answer while a Hub begins, is not taken for one that has ended. The state
kept in the Hub's database has no secret in it. Leaves to `spawner` and `pod_spawner` how a plan is run.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from jupyterhub.spawner import Spawner

from tre.door.control_plane import internal_api, refused
from tre.door.guard.routes import Route
from tre.door.neighbours import Neighbour, Neighbours
from tre.door.places import Places
from tre.errors import NotFound, TreError
from tre.settings import Settings
from tre.workspaces.plan import LaunchPlan

#: A Hub that begins ends what does not answer in time. By its own age each workspace ends sooner.
FOR_EVER = 7 * 24 * 3600


class WorkspaceSpawner(Spawner):  # type: ignore[misc]
    """One workspace: person × project. A runtime's own spawner says how to begin one, look at it and end it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.places = Places(Settings.load())
        self.workspace: dict[str, Any] = {}
        self.ended = ""
        self.answers_within: int = self.http_timeout

    # What a runtime decides.

    def guard(self) -> Neighbour | Neighbours:
        """Who gets the route."""
        raise NotImplementedError

    async def begin(self, plan: LaunchPlan) -> str:
        """Runs the plan; where its server answers. Fills `workspace` as soon as there is something to end."""
        raise NotImplementedError

    async def look(self) -> str:
        """Why the workspace does not run any more; nothing while it does. Raises where that cannot be seen."""
        raise NotImplementedError

    async def end(self, workspace: dict[str, Any]) -> None:
        """It is gone when this returns. Does nothing where it is gone already."""
        raise NotImplementedError

    # What JupyterHub asks for.

    async def start(self) -> str:
        """The guard's address; raises HTTPError with words for the person where there is no workspace to be had."""
        if not self.name:
            raise refused(403, "A workspace belongs to a project: start it from the projects page.")
        self.ended, self.http_timeout = "", self.answers_within
        try:
            answer = await internal_api().open_workspace(username=self.user.name, project=self.name)
            plan = LaunchPlan.from_dict(answer)
            self.workspace = {"workspace_id": plan.workspace_id}
            upstream = await self.begin(plan)
            told = await self.guard().ask("PUT", f"/routes/{plan.workspace_id}", asdict(self._route(plan, upstream)))
            await internal_api().event(plan.workspace_id, "running", route=told["kept"] if told else None)
        except TreError as error:
            self.ended = error.message
            await self._finish("failed")
            raise refused(error.http_status, f"{error.message} {error.hint}".strip()) from error
        except BaseException:
            # Also where the Hub's own patience is over: what was begun does not stay.
            self.ended = self.ended or "It did not start in time."
            await asyncio.shield(self._finish("failed"))
            raise
        return self.places.guard_url

    async def poll(self) -> int | None:
        """None while it runs, or cannot be seen; why not is kept for the event."""
        if not self.workspace:
            return 0
        try:
            reason = await self.look()
        except TreError as error:
            self.log.warning("%s: whether it runs cannot be seen: %s", self._log_name, error.message)
            return None
        if not reason:
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
        if self.workspace:
            # It ran before this Hub began, so it need not show that it came up: the guard may be away, too.
            self.http_timeout = FOR_EVER

    def clear_state(self) -> None:
        super().clear_state()
        self.workspace = {}

    def get_env(self) -> dict[str, str]:
        """Nothing of the Hub's environment, and no token, goes into a workspace."""
        return {}

    # How it is done.

    def _route(self, plan: LaunchPlan, upstream: str) -> Route:
        return Route(
            workspace_id=plan.workspace_id,
            user=self.user.name,
            server_name=self.name,
            base_url=self.server.base_url,
            upstream=upstream,
            upstream_base=plan.base_url,
            upstream_token=plan.jupyter_token,
            hub_api_token=self.api_token,
            oauth_client_id=self.oauth_client_id,
            limits=plan.door,
        )

    async def _finish(self, event: str) -> None:
        """Undo all that `start` did; what cannot be undone now is logged and left to the controller."""
        workspace, self.workspace = self.workspace, {}
        if not workspace:
            return
        identity = workspace["workspace_id"]
        with self._noted("the guard"), contextlib.suppress(NotFound):
            await self.guard().ask("DELETE", f"/routes/{identity}")
        with self._noted("the runtime"):
            await self.end(workspace)
        with self._noted("the control plane"):
            await internal_api().event(identity, event, self.ended)

    @contextlib.contextmanager
    def _noted(self, what: str) -> Iterator[None]:
        try:
            yield
        except TreError as error:
            self.log.error("%s: stopping did not reach %s: %s", self._log_name, what, error.message)
