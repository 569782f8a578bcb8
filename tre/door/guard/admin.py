"""The guard's second door, for the spawner alone: a Unix socket that only this user can open, or a port and a token.

Decides how routes come and go: `PUT`, `GET`, `DELETE /routes/{workspace_id}` and `GET /health`. A change is
acknowledged when it is on disk. On a cluster, where that disk goes with the pod, the answer to `PUT` is the route as
the control plane is to keep it (`kept`).
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from tre.door.guard.kept import Seal
from tre.door.guard.routes import Route
from tre.door.guard.table import Workspaces
from tre.door.listening import token_asked, told
from tre.errors import InvalidInput, NotFound


def admin_app(workspaces: Workspaces, token: str = "", seal: Seal | None = None) -> web.Application:
    """With a token, whoever does not show it learns nothing but that somebody listens."""

    async def put(request: web.Request) -> web.Response:
        route = Route.from_json(await read_json(request))
        if route.workspace_id != request.match_info["id"]:
            raise InvalidInput("the route is of another workspace", field="workspace_id")
        workspaces.put(route)
        return web.json_response({"kept": seal.close(route)}) if seal else web.Response(status=204)

    async def get(request: web.Request) -> web.Response:
        workspace = workspaces.by_id(request.match_info["id"])
        if workspace is None:
            raise NotFound("there is no such route")
        account = workspace.meter.account
        return web.json_response(
            {
                "workspace_id": workspace.route.workspace_id,
                "base_url": workspace.route.base_url,
                "sockets": len(workspace.sockets),
                "active_at": workspace.active_at,
                "suspended": account.suspended,
            }
        )

    async def delete(request: web.Request) -> web.Response:
        if not await workspaces.remove(request.match_info["id"]):
            raise NotFound("there is no such route")
        return web.Response(status=204)

    async def health(request: web.Request) -> web.Response:
        return web.json_response({"routes": len(list(workspaces.all()))})

    app = web.Application(middlewares=[told, *([token_asked(token)] if token else [])])
    app.router.add_get("/health", health)
    app.router.add_put("/routes/{id}", put)
    app.router.add_get("/routes/{id}", get)
    app.router.add_delete("/routes/{id}", delete)
    return app


async def read_json(request: web.Request) -> Any:
    try:
        return await request.json()
    except ValueError as error:
        raise InvalidInput("the body is not JSON", field="body") from error
