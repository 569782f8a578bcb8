"""Errors as pages: message, hint and field in the same words as on the command line. Every refusal is on record, as
those of the JSON API are (`tre.api.errors.recorded`).

An unexpected exception becomes a page without its text: a traceback may quote data.
"""

from __future__ import annotations

import logging
from urllib.parse import quote

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from tre.api.errors import recorded
from tre.errors import InvalidInput, NotFound, TreError, Unauthenticated, Unavailable
from tre.web.headers import ANSWER_HEADERS, SAFE_METHODS
from tre.web.page import page
from tre.web.session import PREFIX, close_session

log = logging.getLogger(__name__)
router = APIRouter()
COMES_BACK = "It is started again by itself. Try again in a minute; your work in a workspace is kept."
TITLES = {
    401: "Sign in",
    403: "Not allowed",
    404: "Not found",
    405: "Not possible here",
    409: "Not possible now",
    413: "Too large",
    422: "Something is missing or wrong",
    429: "Too often",
    503: "Not available just now",
}


def install(app: FastAPI) -> None:
    app.add_exception_handler(Unauthenticated, _sign_in_first)
    app.add_exception_handler(TreError, _ours)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


@router.get("/away")
def away(request: Request) -> Response:
    """What the proxy shows in place of a part that does not answer; the status is then the proxy's."""
    return error_page(request, Unavailable("A part of the platform does not answer just now.", hint=COMES_BACK))


def error_page(request: Request, error: TreError) -> Response:
    title = TITLES.get(error.http_status, "Something went wrong")
    return page(request, "error.html", status=error.http_status, error=error, title=title)


async def _sign_in_first(request: Request, error: Exception) -> Response:
    """A page that is only looked at leads to signing in and back; a form says what happened to it."""
    assert isinstance(error, Unauthenticated)
    if request.method == "GET" and error.error_code == Unauthenticated.code:
        # Nothing was refused yet.
        query = f"?{request.url.query}" if request.url.query else ""
        wanted = quote(request.url.path + query, safe="/")
        response: Response = RedirectResponse(f"{PREFIX}/sign-in?next={wanted}", 303)
    else:
        response = await _ours(request, error)
    close_session(request, response)
    return response


async def _ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, TreError)
    action = "web.look" if request.method in SAFE_METHODS else "web.submit"
    return error_page(request, await recorded(request, error, action))


async def _malformed(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = [str(part) for part in first["loc"] if part not in ("body", "query", "path")]
    return error_page(request, InvalidInput(str(first["msg"]), field=".".join(place) or "address"))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return error_page(request, NotFound("There is no such page."))
    refused = TreError(str(error.detail), hint="Go back and use the buttons of the page.")
    title = TITLES.get(error.status_code, "Something went wrong")
    response = page(request, "error.html", status=error.status_code, error=refused, title=title)
    response.headers.update(error.headers or {})
    return response


async def _unexpected(request: Request, error: Exception) -> Response:
    log.exception("unexpected error at %s %s", request.method, request.url.path)
    hint = "Try again; if it stays, tell an administrator the time: the log of the api process says more."
    response = error_page(request, TreError("Something went wrong on our side.", hint=hint))
    # This answer is made outside of every middleware.
    response.headers.update(ANSWER_HEADERS)
    return response
