"""Fixtures of the door's tests."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.door.hostile import HostileServer, Open, RawBrowser
from tests.door.parts import GuardHouse, bare_jupyter, door_settings, route_for
from tests.door.platform import Platform, new_platform
from tests.door.stand_in import InternalApi, StandInHub
from tre.door.places import Places

LONG = bool(os.environ.get("TRE_TEST_LONG"))


@pytest.fixture(scope="session")
def jupyter() -> Iterator[Path]:
    """Folder of a bare Jupyter server: `jupyter.sock`, `home`."""
    folder = Path(tempfile.mkdtemp(prefix="tre-bare-", dir="/tmp"))
    process = bare_jupyter(folder)
    yield folder
    process.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def session_house() -> Iterator[GuardHouse]:
    settings = door_settings()
    places = Places(settings)
    places.prepare()
    api, hub = InternalApi(settings.internal_socket), StandInHub(places.hub_port)
    api.start()
    hub.start()
    house = GuardHouse(settings, api, hub, program="tests.door.quick_guard")
    house.start()
    yield house
    house.stop()
    hub.stop()
    api.stop()
    shutil.rmtree(settings.state.parent, ignore_errors=True)


@pytest.fixture
def house(session_house: GuardHouse) -> Iterator[GuardHouse]:
    """The session's guard, with no routes at the end of each test."""
    yield session_house
    session_house.api.silent = False
    session_house.api.suspended.clear()
    if session_house.process is None:
        session_house.start()
    for workspace_id in list(session_house.routes):
        session_house.admin("DELETE", f"/routes/{workspace_id}")
    session_house.routes.clear()
    session_house.hub.tokens.clear()


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """The whole door, with alice in `heart` and `lung` and bob in `heart`."""
    found = new_platform()
    found.add_person("alice", "heart", "lung")
    found.add_person("bob", "heart")
    try:
        found.start()
        yield found
    finally:
        found.stop()


@pytest.fixture
def front(house: GuardHouse, jupyter: Path):
    route = route_for(jupyter)
    house.add_route(route)
    with httpx.Client(
        base_url=house.places.guard_url + route["base_url"], headers=house.browser(route), timeout=60
    ) as client:
        client.route = route
        (jupyter / "home" / "a.txt").write_text("hello")
        yield client


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileServer]:
    """Where the workspace's Jupyter server should be."""
    found = HostileServer(tmp_path_factory.mktemp("h"))
    yield found
    found.close()


@pytest.fixture
def knock(house: GuardHouse, server: HostileServer) -> Iterator[Open]:
    """Opens connections to the guard as the owner's browser, with a route of its own or the server's."""
    opened: list[RawBrowser] = []

    def new(route: dict | None = None, buffer: int = 0, **headers: str) -> RawBrowser:
        route = route or route_for(server.folder)
        if house.routes.get(route["workspace_id"]) != route:
            house.add_route(route)
        headers = house.browser(route) | headers
        opened.append(RawBrowser(house.places.guard_port, route["base_url"], headers, buffer))
        return opened[-1]

    yield new
    for browser in opened:
        browser.socket.close()


@pytest.fixture
def browse(knock: Open, server: HostileServer) -> Open:
    """The same, once the Hub and the control plane were asked."""
    first = knock()
    assert first.send(first.head("api/contents/warm")).answer()[0] == 200
    server.heads.clear()
    return knock


@pytest.fixture
def kernel(front: httpx.Client):
    identity = front.post("api/kernels", json={"name": "python3"}).json()["id"]
    yield identity
    front.delete(f"api/kernels/{identity}")
