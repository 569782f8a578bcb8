"""Asking the other processes of the door over their private Unix sockets, or ports with a token.

Decides how an answer becomes nothing, or one of our errors. The guard and the intake both answer errors as
`{"error": {...}}`.
"""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from tre.door.internal_api import way_to
from tre.errors import Unavailable, error_of

#: A hub that starts many at once counts its own delay, too: at three seconds to connect, one start in thirteen ended.
TIMEOUT = aiohttp.ClientTimeout(total=20, connect=10)


class Neighbour:
    def __init__(self, address: Path | str, name: str, token: str = "") -> None:
        self._address = address
        self._name = name
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        """What it answers, None for nothing. Raises Unavailable where nobody does, else what the neighbour said."""
        connector, base = way_to(self._address)
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=TIMEOUT, headers=self._headers) as session,
                session.request(method, f"{base}{path}", json=body) as response,
            ):
                answer: Any = await response.json(content_type=None) if response.status != 204 else None
                if response.status < 300:
                    return answer
                raise error_of(response.status, answer)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise Unavailable(f"{self._name} does not answer ({type(error).__name__})") from error


class Neighbours:
    """All that stand behind one name: the guards of a cluster. Each is told; it counts when one of them took it."""

    def __init__(self, url: str, name: str, token: str) -> None:
        self._url, self._name, self._token = urlsplit(url), name, token

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        """What one of them answers. Raises Unavailable where nobody is there, else what the last of them said where all
        refused.
        """
        asked = [one.ask(method, path, body) for one in await self._all()]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        for answer in answers:
            if not isinstance(answer, BaseException):
                return answer
        raise next(answer for answer in reversed(answers) if isinstance(answer, BaseException))

    async def _all(self) -> list[Neighbour]:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self._url.hostname, self._url.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise Unavailable(f"{self._name} has no address ({error.strerror})") from error
        addresses = {f"[{place[0]}]" if kind == socket.AF_INET6 else str(place[0]) for kind, _, _, _, place in found}
        return [Neighbour(f"http://{each}:{self._url.port}", self._name, self._token) for each in sorted(addresses)]
