"""The application of the pages, mounted below `/tre` beside the JSON API.

Decides which pages exist and what protects all of them alike: response headers, the origin of every request, and the
form token of everything that changes something.
"""

from __future__ import annotations

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import JSONResponse
from starlette.staticfiles import StaticFiles

from tre.api.platform import Platform
from tre.door.places import Places
from tre.errors import NotFound
from tre.web import (
    datasets,
    decide,
    errors,
    grants,
    home,
    password,
    projects,
    propose,
    register,
    requests,
    review,
    sign_in,
    terminal,
    workspaces,
)
from tre.web.headers import Headers
from tre.web.hub import Hub

CLIENT_SECRET_FILE = "tre-web.secret"  # noqa: S105
# The last ones hold paths that would take those of the others.
ROUTERS: tuple[APIRouter, ...] = (
    errors.router,
    home.router,
    password.router,
    sign_in.router,
    terminal.router,
    register.router,
    workspaces.router,
    datasets.router,
    propose.router,
    grants.router,
    projects.router,
    decide.router,
    requests.router,
    review.router,
)


def web_app(platform: Platform, hub: Hub | None = None) -> FastAPI:
    """To be mounted at `/tre` after the JSON API's own routes. `hub` says where to ask who signed in."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.state.platform = platform
    app.state.hub = hub or hub_at(Places(platform.settings))
    app.add_middleware(Headers)
    errors.install(app)
    for router in ROUTERS:
        app.include_router(router)
    app.mount("/static", StaticFiles(packages=[("tre.web", "static")]), name="static")
    app.add_api_route("/api/{rest:path}", no_such_call, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    return app


def hub_at(places: Places) -> Hub:
    return Hub(places.hub_api_url, places.secret(CLIENT_SECRET_FILE))


def no_such_call(request: Request, rest: str) -> JSONResponse:
    """Programs that ask the JSON API for what it does not have get its kind of answer, not a page."""
    error = NotFound("There is no such call.", hint="The OpenAPI document lists what there is.")
    return JSONResponse(error.as_dict(), error.http_status)
