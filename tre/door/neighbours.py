"""Asking the other processes of the door over their private Unix sockets.

Decides how an answer becomes nothing, or one of our errors. The guard and the intake both answer errors as
`{"error": {...}}`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp

from tre.errors import Unavailable, error_of

TIMEOUT = aiohttp.ClientTimeout(total=20, connect=3)


class Neighbour:
    def __init__(self, socket: Path, name: str) -> None:
        self._socket = socket
        self._name = name

    async def ask(self, method: str, path: str, body: object = None) -> None:
        """Raises Unavailable where nobody answers, else what the neighbour said."""
        connector = aiohttp.UnixConnector(path=str(self._socket))
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=TIMEOUT) as session,
                session.request(method, f"http://neighbour{path}", json=body) as response,
            ):
                if response.status < 300:
                    return
                answer: Any = await response.json(content_type=None)
                raise error_of(response.status, answer)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise Unavailable(f"{self._name} does not answer ({type(error).__name__})") from error
