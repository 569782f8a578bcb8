"""What the guard holds in memory for one running workspace.

Decides what counts as a sign of life: what a person does (opening Lab, changing something, a message to a kernel). What
the workspace sends, and Lab's own polling, does not; that a kernel computes (`busy_at`) counts within bounds. Leaves
the rules to `budget`, `keeper`, `signin` and `paths`.
"""

from __future__ import annotations

import time
from typing import Protocol
from urllib.parse import quote

from tre.door.guard.routes import Route
from tre.door.guard.signin import SignIn
from tre.door.guard.traffic import Meter
from tre.door.guard.upstream import Upstream
from tre.door.internal_api import InternalApi

#: RFC 6455 section 7.4.1: the connection breaks a policy.
POLICY_VIOLATION = 1008


class LiveSocket(Protocol):
    """One open websocket, with the sign-in it was opened with."""

    token: str
    session_id: str

    def end(self, code: int, reason: str) -> None: ...


class Workspace:
    def __init__(self, route: Route, *, api: InternalApi, hub_api_url: str, cookie_secret: bytes) -> None:
        self.route = route
        self.upstream = Upstream(route.upstream)
        self.upstream_prefix = quote(route.upstream_base.rstrip("/"), safe="/@~")
        self.signin = SignIn(route, hub_api_url=hub_api_url, cookie_secret=cookie_secret)
        self.sockets: set[LiveSocket] = set()
        self.meter = Meter(route.workspace_id, api, route.limits, self.end_sockets)
        self.active_at = time.time()
        self.busy_at = self.looked_at = 0.0
        self.told_hub_at = 0.0
        self.end_again_at = 0.0

    def touch(self) -> None:
        self.active_at = time.time()

    def end_sockets(self, reason: str) -> None:
        for socket in list(self.sockets):
            socket.end(POLICY_VIOLATION, reason)

    def close(self, reason: str) -> None:
        self.end_sockets(reason)
        self.upstream.close()
