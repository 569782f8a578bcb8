"""What the guard tells the Hub: that a person is active, and that a workspace has had its time.

Decides nothing but the wording of two requests, made with each workspace's own Hub token, which may do these two things
and no more (`tre.door.spawner.SERVER_TOKEN_SCOPES`).
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
        body = {"last_activity": when, "servers": {route.server_name: {"last_activity": when}}}
        return await self._ask(route, "POST", f"/users/{quote(route.user)}/activity", body)

    async def end_server(self, route: Route) -> bool:
        """Ask the Hub to stop the workspace; the spawner then does it in the usual way."""
        return await self._ask(route, "DELETE", f"/users/{quote(route.user)}/servers/{quote(route.server_name)}", None)

    async def _ask(self, route: Route, method: str, path: str, body: object) -> bool:
        try:
            async with self._session.request(
                method,
                self._api_url + path,
                json=body,
                headers={"Authorization": f"token {route.hub_api_token}"},
                allow_redirects=False,
            ) as response:
                if response.status >= 300:
                    log.warning("the Hub answered %s to %s for %r", response.status, method, route)
                return response.status < 300
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("the Hub does not answer (%s)", type(error).__name__)
            return False
