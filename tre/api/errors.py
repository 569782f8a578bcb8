"""Errors as every HTTP answer shows them: `{"error": {code, kind, message, hint, field}}` with the status each knows.

A refusal that no use case has recorded (a look at what is not for everybody) is recorded here. An unexpected exception
becomes a bare 500 without its text: a traceback may quote data.
"""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from tre.api.auth import ANYBODY
from tre.api.platform import platform_of
from tre.audit.work import record_refusal
from tre.errors import InvalidInput, Refusal, TreError

log = logging.getLogger(__name__)


def install(app: FastAPI) -> None:
    app.add_exception_handler(TreError, _ours)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def _answer(error: TreError) -> JSONResponse:
    return JSONResponse(error.as_dict(), status_code=error.http_status)


async def _ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, TreError)
    return _answer(await recorded(request, error, "api.call"))


async def recorded(request: Request, error: TreError, action: str) -> TreError:
    """What to answer, for every edge: the error itself, its refusal on record; or why it could not be recorded."""
    if isinstance(error, Refusal) and not error.audited:
        try:
            await run_in_threadpool(record_call, request, error, action)
        except TreError as failed:
            return failed
    return error


def record_call(request: Request, refusal: Refusal, action: str) -> None:
    actor = getattr(request.state, "actor", ANYBODY)
    record_refusal(platform_of(request).db, actor, action, f"path:{request.url.path}", refusal)


async def _malformed(request: Request, error: Exception) -> Response:
    """Names the first field that does not fit; never echoes its value."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = [] if first["type"] == "json_invalid" else [str(part) for part in first["loc"][1:]]
    return _answer(InvalidInput(str(first["msg"]), field=".".join(place) or "body"))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    body = {"error": {"code": f"http_{error.status_code}", "message": str(error.detail)}}
    return JSONResponse(body, status_code=error.status_code, headers=dict(error.headers or {}))


async def _unexpected(request: Request, error: Exception) -> Response:
    log.exception("unexpected error at %s %s", request.method, request.url.path)
    return _answer(TreError("Something went wrong on our side.", hint="The log of the api process says more."))
