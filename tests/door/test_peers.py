"""A guard that begins learns the routes of those that serve, and from nobody without the token."""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from tre.door.guard import peers
from tre.door.guard.admin import admin_app
from tre.door.guard.routes import Route
from tre.door.neighbours import Neighbours
from tre.workspaces.plan import DoorLimits


def route(number: int, **changes: Any) -> Route:
    values: dict[str, Any] = {
        "workspace_id": f"w{number}",
        "user": "bob",
        "server_name": f"p{number}",
        "base_url": f"/user/bob/p{number}/",
        "upstream": "10.0.0.1:8888",
        "upstream_base": f"/user/bob/p{number}/",
        "upstream_token": "t" * 32,
        "hub_api_token": "h" * 32,
        "oauth_client_id": "jupyterhub-user-bob",
        "limits": DoorLimits(),
    }
    return Route(**values | changes)


class Table:
    """The guard's workspaces, as little of them as routes need."""

    def __init__(self, *routes: Route) -> None:
        self.routes = {each.base_url: each for each in routes}

    def all(self) -> list[Any]:
        return [SimpleNamespace(route=each) for each in self.routes.values()]

    def find(self, base_url: str) -> Any:
        return self.routes.get(base_url)

    def by_id(self, workspace_id: str) -> Any:
        return next((each for each in self.routes.values() if each.workspace_id == workspace_id), None)

    def put(self, given: Route) -> None:
        self.routes[given.base_url] = given


@pytest.fixture
async def serving() -> AsyncIterator[tuple[Table, int]]:
    table = Table(route(1), route(2))
    async with TestServer(admin_app(table, "secret"), host="127.0.0.1") as server:  # type: ignore[arg-type]
        yield table, server.port or 0


def guards(port: int, token: str = "secret") -> Neighbours:
    return Neighbours(f"http://127.0.0.1:{port}", "another guard", token)


async def test_it_learns_what_it_does_not_know_and_keeps_what_it_knows(serving: tuple[Table, int]):
    _, port = serving
    own = Table(route(2, upstream="10.0.0.9:8888"))
    assert await peers.learn(guards(port), own) == 1  # type: ignore[arg-type]
    assert own.routes == {"/user/bob/p1/": route(1), "/user/bob/p2/": route(2, upstream="10.0.0.9:8888")}
    assert await peers.learn(guards(port), own) == 0  # type: ignore[arg-type]


async def test_a_route_that_comes_while_it_begins_is_learnt_as_well(
    serving: tuple[Table, int], monkeypatch: pytest.MonkeyPatch
):
    table, port = serving
    own = Table()
    await peers.learn(guards(port), own)  # type: ignore[arg-type]
    table.put(route(3))
    monkeypatch.setattr(peers, "PAUSE", 0.01)
    await peers.go_on_learning(guards(port), own)  # type: ignore[arg-type]
    assert own.routes == table.routes


async def test_nobody_learns_without_the_token(serving: tuple[Table, int]):
    _, port = serving
    own = Table()
    assert await peers.learn(guards(port, "other"), own) == 0  # type: ignore[arg-type]
    assert own.routes == {}


async def test_where_nobody_serves_there_is_nothing_to_learn():
    assert await peers.learn(guards(1), Table()) == 0  # type: ignore[arg-type]
    assert await peers.learn(Neighbours("http://nowhere.invalid:1", "x", "t"), Table()) == 0  # type: ignore[arg-type]


async def test_on_one_machine_nobody_gets_them_all():
    async with TestClient(TestServer(admin_app(Table(route(1))))) as client:  # type: ignore[arg-type]
        assert (await client.get("/routes")).status == 404
