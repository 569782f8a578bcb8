"""The HTTP server before the guard's function: it listens, and looks once a second at each connection's deadline."""

from __future__ import annotations

import asyncio

from tre.door.guard.browser import Browser, Function


class Front:
    """The listening side, and all connections that are open."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self._loop = asyncio.get_running_loop()
        self.browsers: set[Browser] = set()
        self._server: asyncio.Server | None = None
        self._watch: asyncio.Task[None] | None = None

    def connection(self) -> Browser:
        return Browser(self.function, self.browsers)

    async def listen(self, host: str, port: int) -> None:
        self._server = await self._loop.create_server(self.connection, host, port, backlog=512)
        self._watch = asyncio.create_task(self._look_at_deadlines())

    async def close(self, seconds: float = 2) -> None:
        if self._server:
            self._server.close()
        for browser in list(self.browsers):
            browser.hang_up()
        end = self._loop.time() + seconds
        while self.browsers and self._loop.time() < end:
            await asyncio.sleep(0.02)
        for browser in list(self.browsers):
            browser.abort()
        if self._watch:
            self._watch.cancel()

    async def _look_at_deadlines(self) -> None:
        while True:
            await asyncio.sleep(1)
            now = self._loop.time()
            for browser in [found for found in self.browsers if found.deadline < now]:
                browser.too_late()
