"""No request's body is larger than an edge says: refused before anything of it is parsed, and never kept in whole
beyond that size.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tre.errors import LimitExceeded, TreError

Record = Callable[[str, LimitExceeded], None]


class BodyLimit:
    """Reads the whole body first, at most `most` bytes. `record` writes the refusal down, with the request's path.
    What `streamed` matches (method and path) bounds what it takes by itself.
    """

    def __init__(self, app: ASGIApp, *, most: int, record: Record, streamed: re.Pattern[str] | None = None) -> None:
        self.app = app
        self.most = most
        self.record = record
        self.streamed = streamed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._is_streamed(scope):
            await self.app(scope, receive, send)
            return
        body = None if self._declares_too_much(scope) else await self._read(receive)
        if body is None:
            answer = await run_in_threadpool(self._refuse, scope)
            await answer(scope, receive, send)
            return
        await self.app(scope, _replay(body, receive), send)

    def _is_streamed(self, scope: Scope) -> bool:
        return bool(self.streamed and self.streamed.fullmatch(f"{scope['method']} {scope['path']}"))

    def _declares_too_much(self, scope: Scope) -> bool:
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        return not declared.isdigit() or int(declared[:20]) > self.most

    async def _read(self, receive: Receive) -> bytes | None:
        """The body, or None as soon as it is too large. What a caller who left has sent is enough to answer nobody."""
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = bool(message.get("more_body", False))
            if len(body) > self.most:
                return None
        return body

    def _refuse(self, scope: Scope) -> JSONResponse:
        refusal = LimitExceeded(f"A request holds at most {self.most // 1024} KiB.", hint="Send less at once.")
        error: TreError = refusal
        try:
            self.record(str(scope["path"]), refusal)
        except TreError as failed:
            error = failed
        return JSONResponse(error.as_dict(), status_code=error.http_status, headers={"Connection": "close"})


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body once, then whatever happens on the connection."""
    waiting = [body]

    async def next_message() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return next_message
