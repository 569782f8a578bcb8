"""What the guard tells the Hub: that a person is active.

Decides nothing but the wording of the request, made with each workspace's own Hub token, which may say this, let its
owner in, and no more (`tre.door.hub.SERVER_SCOPES`).
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from urllib.parse import quote

import aiohttp

from tre.door.guard.routes import Route

log = logging.getLogger("tre.guard.hub")
TIMEOUT = aiohttp.ClientTimeout(total=15)


class Hub:
    def __init__(self, api_url: str) -> None:
        self._api_url = api_url
        self._session = aiohttp.ClientSession(timeout=TIMEOUT)

    async def close(self) -> None:
        await self._session.close()

    async def tell_activity(self, route: Route, active_at: float) -> bool:
        """Report when the person was last active; whether the Hub took it."""
        when = datetime.fromtimestamp(active_at, UTC).isoformat()
        try:
            async with self._session.post(
                f"{self._api_url}/users/{quote(route.user)}/activity",
                json={"last_activity": when, "servers": {route.server_name: {"last_activity": when}}},
                headers={"Authorization": f"token {route.hub_api_token}"},
                allow_redirects=False,
            ) as response:
                if response.status >= 300:
                    log.warning("the Hub answered %s for %r", response.status, route)
                return response.status < 300
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("the Hub does not answer (%s)", type(error).__name__)
            return False
