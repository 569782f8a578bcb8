"""The two applications over real servers, called in this process."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from tests.fixtures.workspaces import Desk
from tre.api.app import PREFIX, internal_app, public_app
from tre.api.auth import Client
from tre.api.platform import Platform
from tre.credentials import Secrets
from tre.credentials.files import write_secret
from tre.outputs.content.folder import in_folder
from tre.people.signin import SignedIn, issue_token
from tre.settings import Settings

# What anybody may call: to sign in, to know that it is up, to verify an export, to read the agreement.
KEYS = {("GET", "/audit/public-key"), ("GET", "/release-key")}
TERMINAL = {("POST", "/sign-in/terminal"), ("POST", "/sign-in/terminal/token")}
OPEN = {("POST", "/sign-in"), *TERMINAL, ("GET", "/health"), ("GET", "/agreement"), *KEYS}
METHODS = ("get", "post", "put", "patch", "delete")


@dataclass
class Api:
    """`call` as somebody, by a token that lives as long as the test."""

    desk: Desk
    platform: Platform
    client: TestClient
    internal: TestClient
    clients: dict[Client, str]
    tokens: dict[tuple[str, str], str] = field(default_factory=dict)

    def token(self, username: str, scope: str = "all") -> str:
        if (username, scope) not in self.tokens:
            who = SignedIn(username, username, frozenset(), self.desk.people.session_round(username))
            self.tokens[username, scope] = issue_token(self.platform.db, who, scope=scope, via="cli")[0]
        return self.tokens[username, scope]

    def call(self, method: str, path: str, *, by: str = "", scope: str = "all", **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token(by, scope)}"} if by else {}
        return self.client.request(method, PREFIX + path, headers={**headers, **more.pop("headers", {})}, **more)

    def inside(self, client: Client | None, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.clients[client]}"} if client else {}
        return self.internal.request(method, "/internal" + path, headers=headers, **more)

    def refusals(self) -> list[dict[str, Any]]:
        return [event for event in self.desk.events() if event["outcome"] == "refused"]


def routes(document: dict[str, Any], prefix: str) -> list[tuple[str, str, dict[str, Any]]]:
    """(METHOD, path below the prefix, operation) of everything in an OpenAPI document."""
    return [
        (method.upper(), path.removeprefix(prefix), item[method])
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item
    ]


def filled(path: str) -> str:
    """A path with something in its places."""
    parts = ("1" if part.startswith("{") else part for part in path.split("/"))
    return "/".join(parts)


@pytest.fixture
def make_platform(desk: Desk, secrets: Secrets, settings: Settings, tmp_path: Path) -> Callable[..., Platform]:
    return lambda: Platform(settings, desk.people.db, secrets, in_folder(tmp_path / "content"))


@pytest.fixture
def api(desk: Desk, make_platform: Callable[..., Platform], settings: Settings) -> Iterator[Api]:
    platform = make_platform()
    clients = {client: f"token-of-{client}" for client in Client}
    for client, token in clients.items():
        write_secret(settings.secret_file(f"internal-{client}.token"), token + "\n")
    outside = TestClient(public_app(platform), raise_server_exceptions=False)
    inside = TestClient(internal_app(platform), raise_server_exceptions=False)
    yield Api(desk, platform, outside, inside, clients)
    for client in Client:
        settings.secret_file(f"internal-{client}.token").unlink()
