"""What is a socket on one machine and a port on a cluster: the token alone says who comes."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.door.intake_house import HOUR, KEY, PEM, good
from tre.door.guard.admin import admin_app
from tre.door.intake import Counter, Intake
from tre.door.tokens import make
from tre.outputs.content.spool import Spool
from tre.stack.ports import free_ports


class Asked:
    """The internal API: whose requests were asked for."""

    def __init__(self) -> None:
        self.workspaces: list[str] = []

    async def intake_key(self) -> str:
        return PEM.decode()

    async def requests(self, workspace: str, request: str = "") -> dict[str, Any]:
        self.workspaces.append(workspace)
        return {"requests": []}


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[tuple[str, Asked]]:
    asked, number = Asked(), free_ports(1)
    intake = Intake(tmp_path / "none", Spool(tmp_path / "arriving"), asked)  # type: ignore[arg-type]
    window = Counter("", intake)
    await window.listen("127.0.0.1", number)
    yield f"http://127.0.0.1:{number}/requests", asked
    await window.close()


async def test_the_token_names_the_workspace(port: tuple[str, Asked]):
    url, asked = port
    async with aiohttp.ClientSession() as session:
        for workspace in ("w1", "w2"):
            headers = {"Authorization": f"Bearer {good(workspace)}"}
            assert (await session.get(url, headers=headers)).status == 200
    assert asked.workspaces == ["w1", "w2"]


async def test_no_token_that_is_not_ours(port: tuple[str, Asked]):
    url, asked = port
    stranger = Ed25519PrivateKey.generate()
    now = datetime.now(UTC)
    wrong = {
        "none": "",
        "not a token": "x.y.z",
        "another's key": make(stranger.sign, workspace_id="w1", now=now, life=HOUR),
        "expired": make(KEY.sign, workspace_id="w1", now=now - 2 * HOUR, life=timedelta(minutes=1)),
        "changed": ".".join([*good("w1").split(".")[:1], good("w2").split(".")[1], good("w1").split(".")[2]]),
    }
    async with aiohttp.ClientSession() as session:
        for what, token in wrong.items():
            answer = await session.get(url, headers={"Authorization": f"Bearer {token}"})
            assert answer.status == 401, what
    assert asked.workspaces == []


async def test_the_guards_second_door_asks_for_its_token():
    app = admin_app(SimpleNamespace(all=list), "secret")  # type: ignore[arg-type]
    async with TestClient(TestServer(app)) as client:
        for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": "Bearer Secret"}):
            assert (await client.get("/health", headers=headers)).status == 401
            assert (await client.delete("/routes/w1", headers=headers)).status == 401
        assert (await client.get("/health", headers={"Authorization": "Bearer secret"})).status == 200
