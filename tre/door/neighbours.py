"""Asking the other processes of the door over their private Unix sockets, or ports with a token.

Decides how an answer becomes nothing, or one of our errors. The guard and the intake both answer errors as
`{"error": {...}}`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp

from tre.door.internal_api import way_to
from tre.errors import Unavailable, error_of

TIMEOUT = aiohttp.ClientTimeout(total=20, connect=3)


class Neighbour:
    def __init__(self, address: Path | str, name: str, token: str = "") -> None:
        self._address = address
        self._name = name
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def ask(self, method: str, path: str, body: object = None) -> None:
        """Raises Unavailable where nobody answers, else what the neighbour said."""
        connector, base = way_to(self._address)
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=TIMEOUT, headers=self._headers) as session,
                session.request(method, f"{base}{path}", json=body) as response,
            ):
                if response.status < 300:
                    return
                answer: Any = await response.json(content_type=None)
                raise error_of(response.status, answer)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise Unavailable(f"{self._name} does not answer ({type(error).__name__})") from error
