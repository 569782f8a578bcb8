"""The two applications of the control plane: the public API (behind the proxy) and the internal one (for the door).

Decides prefixes and which routers belong to which side. Subjects add a router here and nowhere else.
"""

from __future__ import annotations

from fastapi import FastAPI

from tre.api import audit, data, errors, intake, internal, outputs, people, projects, status, verification, workspaces
from tre.api.platform import Platform

PREFIX = "/tre/api/v1"
ROUTERS = (
    status.router,
    people.router,
    projects.router,
    data.router,
    workspaces.router,
    outputs.router,
    audit.router,
)


def public_app(platform: Platform) -> FastAPI:
    """The JSON API for the command line; its OpenAPI document lies at `/tre/api/v1/openapi.json`."""
    app = FastAPI(title="tre", version="1", docs_url=None, redoc_url=None, openapi_url=f"{PREFIX}/openapi.json")
    app.state.platform = platform
    errors.install(app)
    for router in ROUTERS:
        app.include_router(router, prefix=PREFIX)
    return app


def internal_app(platform: Platform) -> FastAPI:
    """For JupyterHub, guard and intake, on a socket of its own; never behind the proxy."""
    app = FastAPI(title="tre internal", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.platform = platform
    errors.install(app)
    for router in (internal.router, intake.router, verification.router):
        app.include_router(router, prefix="/internal")
    return app
