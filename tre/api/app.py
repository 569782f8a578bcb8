"""The two applications of the control plane: the public API (behind the proxy) and the internal one (for the door).

Decides prefixes and which routers belong to which side. Subjects add a router here and nowhere else.
"""

from __future__ import annotations

import re

from fastapi import FastAPI

from tre.api import (
    audit,
    data,
    errors,
    identities,
    inbox,
    intake,
    internal,
    keys,
    outputs,
    people,
    projects,
    status,
    verification,
    workspaces,
)
from tre.api.auth import ANYBODY
from tre.api.limits import BodyLimit
from tre.api.platform import Platform
from tre.audit.work import record_refusal
from tre.errors import LimitExceeded

# A proposal with every column of a wide dataset stays below the first, a submission's descriptions below the second;
# the bytes of outputs are written down as they come (`intake.STREAMED`).
PUBLIC_BODY = 1 << 20
INTERNAL_BODY = 16 << 20
PREFIX = "/tre/api/v1"
ROUTERS = (
    status.router,
    people.router,
    projects.router,
    data.router,
    workspaces.router,
    outputs.router,
    inbox.router,
    audit.router,
    keys.router,
)


def public_app(platform: Platform) -> FastAPI:
    """The JSON API for the command line; its OpenAPI document lies at `/tre/api/v1/openapi.json`."""
    app = FastAPI(title="tre", version="1", docs_url=None, redoc_url=None, openapi_url=f"{PREFIX}/openapi.json")
    app.state.platform = platform
    _protect(app, platform, PUBLIC_BODY)
    for router in ROUTERS:
        app.include_router(router, prefix=PREFIX)
    return app


def internal_app(platform: Platform) -> FastAPI:
    """For JupyterHub, guard and intake, on a socket of its own; never behind the proxy."""
    app = FastAPI(title="tre internal", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.platform = platform
    _protect(app, platform, INTERNAL_BODY, intake.STREAMED)
    for router in (internal.router, identities.router, intake.router, verification.router):
        app.include_router(router, prefix="/internal")
    return app


def _protect(app: FastAPI, platform: Platform, most: int, streamed: re.Pattern[str] | None = None) -> None:
    def record(path: str, refusal: LimitExceeded) -> None:
        record_refusal(platform.db, ANYBODY, "api.call", f"path:{path}", refusal)

    errors.install(app)
    app.add_middleware(BodyLimit, most=most, record=record, streamed=streamed)
