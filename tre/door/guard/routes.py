"""Which workspaces the guard serves, and their secrets.

Decides what a route is and keeps the table in one 0600 file, written before a change is acknowledged, so that the guard
comes back after `kill -9` with every route. Leaves to the spawner when routes come and go.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import tempfile
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from tre.errors import Conflict, InvalidInput
from tre.workspaces.plan import DoorLimits

BASE_URL = re.compile(r"/user/[a-z0-9][a-z0-9._@-]*/[a-z0-9][a-z0-9-]*/")
PLAIN = re.compile(r"[A-Za-z0-9._~:@/+=-]{1,512}")


@dataclass(frozen=True)
class Route:
    """One running workspace. `base_url`: where people see it; `upstream`: its own server, a socket's path or a pod's
    address and port; `upstream_base`: where that has its root.
    """

    workspace_id: str
    user: str
    server_name: str
    base_url: str
    upstream: str
    upstream_base: str
    upstream_token: str
    hub_api_token: str
    oauth_client_id: str
    limits: DoorLimits

    def __repr__(self) -> str:
        return f"Route({self.workspace_id}, {self.base_url})"

    @classmethod
    def from_json(cls, data: Any) -> Route:
        """Raises InvalidInput naming the field that is missing or not plain text, or the limit that is no number."""
        names = {field.name for field in fields(cls)}
        if not isinstance(data, dict) or data.keys() != names:
            raise InvalidInput(f"a route has exactly the fields {', '.join(sorted(names))}", field="route")
        texts = {name: value for name, value in data.items() if name != "limits"}
        for name, value in texts.items():
            if not isinstance(value, str) or not PLAIN.fullmatch(value):
                raise InvalidInput(f"{name} is not plain text", field=name)
        if not BASE_URL.fullmatch(data["base_url"]):
            raise InvalidInput("base_url is /user/<name>/<project>/", field="base_url")
        if not data["upstream_base"].startswith("/"):
            raise InvalidInput("upstream_base starts with a slash", field="upstream_base")
        if not data["upstream"].startswith("/") and address_of(data["upstream"]) is None:
            raise InvalidInput("upstream is a socket's path, or an address and a port", field="upstream")
        return cls(**texts, limits=DoorLimits.from_dict(data["limits"]))


def address_of(upstream: str) -> tuple[str, int] | None:
    """(address, port) of a pod; never a name, which could lead elsewhere later. None where it is none."""
    host, _, port = upstream.rpartition(":")
    try:
        found = str(ipaddress.ip_address(host.removeprefix("[").removesuffix("]")))
        return (found, int(port)) if 0 < int(port) < 65536 else None
    except ValueError:
        return None


class RouteTable:
    """Routes by base URL, kept in `file`."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._by_base: dict[str, Route] = {}

    def load(self) -> None:
        """Read the file where it exists; an unreadable one is an error, never an empty table."""
        try:
            found = json.loads(self._file.read_text())
            self._by_base = {route.base_url: route for route in map(Route.from_json, found)}
        except FileNotFoundError:
            return
        except (ValueError, TypeError, InvalidInput) as error:
            raise InvalidInput(
                f"{self._file} is damaged, or another version's",
                field=str(self._file),
                hint="Remove it; people start their workspaces again.",
            ) from error

    def find(self, base_url: str) -> Route | None:
        return self._by_base.get(base_url)

    def by_workspace(self, workspace_id: str) -> Route | None:
        return next((route for route in self._by_base.values() if route.workspace_id == workspace_id), None)

    def all(self) -> list[Route]:
        return list(self._by_base.values())

    def put(self, route: Route) -> Route | None:
        """Add or replace; returns what was there. Raises Conflict where the workspace has another base URL."""
        other = self.by_workspace(route.workspace_id)
        if other and other.base_url != route.base_url:
            raise Conflict(f"workspace {route.workspace_id} is already served at {other.base_url}")
        before = self._by_base.get(route.base_url)
        if before != route:
            self._by_base[route.base_url] = route
            self._save()
        return before

    def remove(self, workspace_id: str) -> Route | None:
        route = self.by_workspace(workspace_id)
        if route:
            del self._by_base[route.base_url]
            self._save()
        return route

    def _save(self) -> None:
        text = json.dumps([asdict(route) for route in self._by_base.values()])
        write_private(self._file, text.encode())


def write_private(path: Path, data: bytes) -> None:
    """Replace a 0600 file in one step; after a crash there is the old or the new one, whole."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
