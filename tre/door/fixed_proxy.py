"""The Hub's proxy on a cluster: one whose rules are fixed, so that the Hub has nothing to tell it.

Everything below `/user/` is the guard's, whatever workspaces there are, and the guard itself knows which run. Decides
only that the Hub's own bookkeeping stays right: what it added is there, and nothing is ever missing.
"""

from __future__ import annotations

from typing import Any

from jupyterhub.proxy import Proxy
from traitlets import Dict


class FixedProxy(Proxy):  # type: ignore[misc]
    should_start = False
    routes = Dict()

    async def add_route(self, routespec: str, target: str, data: dict[str, Any]) -> None:
        spec = self.validate_routespec(routespec)
        self.routes[spec] = {"routespec": spec, "target": target, "data": data}

    async def delete_route(self, routespec: str) -> None:
        self.routes.pop(self.validate_routespec(routespec), None)

    async def get_all_routes(self) -> dict[str, dict[str, Any]]:
        return dict(self.routes)
