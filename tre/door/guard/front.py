"""The HTTP server before the guard's function.

Decides that also what is no HTTP, and what fails below the guard, is answered with the guard's own headers and without
a word of what went wrong. Leaves parsing to aiohttp.
"""

from __future__ import annotations

import asyncio
import logging

from aiohttp import web

from tre.door.guard.headers import refusal_headers

log = logging.getLogger("tre.guard.front")
MAX_HEAD = 16 * 1024


class FrontHandler(web.RequestHandler):
    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        log.info("answered %s below the guard (%s)", status, type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun")
        response = web.Response(status=status, text="Refused.", headers=refusal_headers())
        response.force_close()
        return response


class FrontServer(web.Server):
    def __call__(self) -> web.RequestHandler:
        return FrontHandler(
            self,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]
            auto_decompress=False,
            keepalive_timeout=75,
            max_line_size=MAX_HEAD,
            max_field_size=MAX_HEAD,
            lingering_time=2,
        )
