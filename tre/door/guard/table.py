"""The workspaces that the guard serves now: routes on disk, their live parts in memory.

Decides that a changed route ends everything of the old one: websockets, connections, cached sign-ins.
"""

from __future__ import annotations

from collections.abc import Iterable

from tre.door.guard.routes import Route, RouteTable
from tre.door.guard.workspace import Workspace
from tre.door.internal_api import InternalApi
from tre.door.places import Places


class Workspaces:
    """`complete`: every workspace that runs is known. `ended`: those that this guard was told to let go of."""

    def __init__(self, places: Places, api: InternalApi, cookie_secret: bytes) -> None:
        self.complete = True
        self.ended: set[str] = set()
        self._hub_api_url = places.hub_api_url
        self._api = api
        self._cookie_secret = cookie_secret
        self._routes = RouteTable(places.routes_file)
        self._live: dict[str, Workspace] = {}

    def load(self) -> None:
        self._routes.load()
        self._live = {route.base_url: self._make(route) for route in self._routes.all()}

    def find(self, base_url: str) -> Workspace | None:
        return self._live.get(base_url)

    def by_id(self, workspace_id: str) -> Workspace | None:
        route = self._routes.by_workspace(workspace_id)
        return self._live.get(route.base_url) if route else None

    def all(self) -> Iterable[Workspace]:
        return self._live.values()

    def put(self, route: Route) -> None:
        """Serve `route` from now on; the same route again changes nothing. Raises Conflict."""
        before = self._routes.put(route)
        if before == route:
            return
        old = self._live.get(route.base_url)
        self._live[route.base_url] = self._make(route)
        if old:
            old.close("The workspace was started anew.")

    async def remove(self, workspace_id: str) -> bool:
        """Stop serving it, with a last report of its bytes; whether it was there."""
        self.ended.add(workspace_id)
        route = self._routes.remove(workspace_id)
        workspace = self._live.pop(route.base_url, None) if route else None
        if workspace:
            workspace.close("The workspace was stopped.")
            await workspace.meter.report()
        return workspace is not None

    def _make(self, route: Route) -> Workspace:
        return Workspace(route, api=self._api, hub_api_url=self._hub_api_url, cookie_secret=self._cookie_secret)
