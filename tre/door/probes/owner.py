"""Who asks the guard: a workspace's owner, as a browser that is signed in, without anybody's password.

Decides the session: the guard's own cookie around the workspace's own Hub token, which the Hub takes for its owner.
Both are where the guard is, and whoever reads them there needs no session. Leaves what is asked to `guard`.
"""

from __future__ import annotations

from dataclasses import replace

from tornado.web import create_signed_value

from tre.door.guard.routes import Route, RouteTable
from tre.door.guard.signin import SignIn
from tre.door.internal_api import read_secret
from tre.door.places import LOOPBACK, Places
from tre.door.probes.guard import Door
from tre.errors import NotFound


def routes_of(places: Places) -> RouteTable:
    """Of the guard that runs here."""
    table = RouteTable(places.routes_file)
    table.load()
    return table


def through_the_proxy(places: Places, workspace_id: str, other_id: str) -> Door:
    """On one machine: as people come. Raises NotFound where the guard has no route to the workspace."""
    table = routes_of(places)
    route, other = route_of(table, workspace_id), table.by_workspace(other_id)
    return door(places, route, other, port=places.public_port)


def at_the_guard(places: Places, workspace_id: str) -> Door:
    """In the guard's pod: at its own port, over one connection, so that at most one of these requests is before a
    person's. Raises NotFound where this guard has no route to the workspace.
    """
    table = routes_of(places)
    route = route_of(table, workspace_id)
    other = next((each for each in table.all() if each.user != route.user), None)
    return replace(door(places, route, other, port=places.guard_port), proxied=False, at_once=1)


def route_of(table: RouteTable, workspace_id: str) -> Route:
    route = table.by_workspace(workspace_id)
    if route is None:
        raise NotFound(f"The guard has no route to workspace {workspace_id}.", field="workspace")
    return route


def door(places: Places, route: Route, other: Route | None, *, port: int) -> Door:
    secret = read_secret(places.secret("guard-cookie")).encode()
    headers = session(route, secret=secret, hub_api_url=places.hub_api_url, host=f"{LOOPBACK}:{port}")
    return Door((LOOPBACK, port), route.base_url, route.workspace_id, headers, other.base_url if other else "")


def session(route: Route, *, secret: bytes, hub_api_url: str, host: str) -> dict[str, str]:
    """Headers of a page of the workspace in its owner's browser."""
    token = route.hub_api_token
    cookie = create_signed_value(secret, route.oauth_client_id, token).decode()
    proof = SignIn(route, hub_api_url=hub_api_url, cookie_secret=secret).xsrf(token)
    return {"Host": host, "Cookie": f"{route.oauth_client_id}={cookie}", "X-XSRFToken": proof}
