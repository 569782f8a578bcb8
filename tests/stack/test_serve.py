"""The api's listeners keep an idle connection longer than whoever uses it does."""

import asyncio

from fastapi import FastAPI

from tre.door.internal_api import way_to
from tre.stack import serve
from tre.stack.ports import free_ports

#: Of Traefik (`idleConnTimeout`).
PROXY_SECONDS = 90


async def test_no_client_of_ours_keeps_one_longer():
    connector, _ = way_to("http://api")
    assert connector._keepalive_timeout < PROXY_SECONDS < serve.server(FastAPI()).config.timeout_keep_alive
    await connector.close()


async def test_a_connection_that_was_idle_for_a_while_still_answers():
    """At uvicorn's own five seconds the server would hang up just when a client with work begins to write."""
    app = FastAPI()

    @app.get("/")
    def here() -> str:
        return "here"

    port, running = free_ports(1), serve.server(app)
    listener = serve.at_port("127.0.0.1", port)
    task = asyncio.ensure_future(running._serve([listener]))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for pause in (0, 6):
            await asyncio.sleep(pause)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            async with asyncio.timeout(20):
                answer = await reader.readuntil(b'"here"')
            assert answer.startswith(b"HTTP/1.1 200")
    finally:
        writer.close()
        running.should_exit = True
        await task
