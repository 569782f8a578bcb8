"""The guards of a cluster are gone, all of them, with everything that they wrote: those that begin serve what runs."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.door.parts import ROOT, Process, door_settings, is_free, wait_for
from tests.door.stand_in import InternalApi
from tre.door.guard.kept import Seal
from tre.door.guard.routes import Route
from tre.door.internal_api import read_secret
from tre.door.places import Places
from tre.errors import InvalidInput
from tre.settings import Settings
from tre.workspaces.plan import DoorLimits

FILE = """
[state]
host = "/nowhere"
[data]
host = "/nowhere"
[openbao]
url = "https://127.0.0.1:1"
[hosts]
api = "127.0.0.1"
hub = "127.0.0.1"
guard = "127.0.0.1"
[projects]
"""


def route(number: int, **changes: Any) -> dict[str, Any]:
    """Of a workspace where nobody answers."""
    values = {
        "workspace_id": f"w{number}",
        "user": "bob",
        "server_name": f"p{number}",
        "base_url": f"/user/bob/p{number}/",
        "upstream": "127.0.0.1:1",
        "upstream_base": f"/user/bob/p{number}/",
        "upstream_token": "t" * 32,
        "hub_api_token": "h" * 32,
        "oauth_client_id": "jupyterhub-user-bob",
        "limits": DoorLimits().__dict__,
    }
    return values | changes


@dataclass
class Guards:
    """One guard after another, and what the control plane keeps meanwhile."""

    settings: Settings
    api: InternalApi
    process: Process | None = None
    kept: dict[str, str] = field(default_factory=dict)

    @property
    def places(self) -> Places:
        return Places(self.settings)

    def begin(self) -> None:
        command, log = [sys.executable, "-m", "tests.door.quick_guard"], self.settings.state / "guard.log"
        self.process = Process(command, log, env=self.settings.environment(), cwd=ROOT)

    def serves(self) -> bool:
        """Somebody may come."""
        return not is_free(self.places.guard_port) and not is_free(self.places.guard_admin_port)

    def lose(self) -> None:
        """With everything that it wrote: its pod is gone."""
        assert self.process
        self.process.stop(signal.SIGKILL)
        self.places.routes_file.unlink(missing_ok=True)

    def ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {read_secret(self.places.secret('guard-admin.token'))}"}
        with httpx.Client(trust_env=False, headers=headers) as client:
            return client.request(method, f"{self.places.guard_admin}{path}", json=body)

    def put(self, number: int) -> str:
        answer = self.ask("PUT", f"/routes/w{number}", route(number))
        assert answer.status_code == 200, answer.text
        return str(answer.json()["kept"])

    def sealed(self, number: int) -> str:
        """As another guard did."""
        secret = read_secret(self.places.secret("guard-cookie")).encode()
        return Seal(secret).close(Route.from_json(route(number)))

    def knows(self, number: int) -> bool:
        return self.ask("GET", f"/routes/w{number}").status_code == 200

    def page(self, number: int) -> httpx.Response:
        return httpx.get(f"{self.places.guard_url}/user/bob/p{number}/lab", trust_env=False)


@pytest.fixture
def guards() -> Iterator[Guards]:
    plain = door_settings("tre-kept-")
    plain.state.mkdir(parents=True, mode=0o700)
    (plain.state / "cluster.toml").write_text(FILE)
    settings = Settings.load({**plain.environment(), "TRE_CLUSTER": str(plain.state / "cluster.toml")})
    Places(settings).prepare()
    api = InternalApi(Places(settings).internal_port)
    api.start()
    found = Guards(settings, api)
    yield found
    if found.process:
        found.process.stop()
    api.stop()
    shutil.rmtree(settings.state.parent, ignore_errors=True)


def test_a_guard_that_begins_serves_what_the_last_one_served(guards: Guards) -> None:
    guards.begin()
    wait_for(guards.serves, "the first guard")
    guards.api.live["w1"] = guards.put(1)
    guards.lose()
    guards.begin()
    wait_for(guards.serves, "the second guard")
    assert guards.knows(1)
    assert guards.page(1).status_code == 302


def test_what_it_missed_comes_and_what_ended_goes(guards: Guards) -> None:
    """The hub told another guard of the one, and nobody of the other's end."""
    guards.begin()
    wait_for(guards.serves, "the guard")
    guards.api.live = {"w1": guards.put(1), "w2": guards.sealed(2)}
    wait_for(lambda: guards.knows(2), "the route that it was not told")
    del guards.api.live["w1"]
    wait_for(lambda: not guards.knows(1), "the end that it was not told")
    assert guards.knows(2)


def test_what_the_hub_ended_does_not_come_back(guards: Guards) -> None:
    """The control plane is told last, when the pod is gone."""
    guards.begin()
    wait_for(guards.serves, "the guard")
    guards.api.live["w1"] = guards.put(1)
    assert guards.ask("DELETE", "/routes/w1").status_code == 204
    asked = len(guards.api.calls)
    wait_for(lambda: len(guards.api.calls) > asked + 2, "two more questions")
    assert not guards.knows(1)


def test_while_the_control_plane_is_away_it_keeps_what_it_has(guards: Guards) -> None:
    guards.begin()
    wait_for(guards.serves, "the guard")
    guards.api.live["w1"] = guards.put(1)
    asked = len(guards.api.calls)
    guards.api.silent = True
    log = guards.settings.state / "guard.log"
    wait_for(lambda: "routes were not learnt" in log.read_text(), "a question without an answer")
    guards.api.silent = False
    wait_for(lambda: len(guards.api.calls) > asked + 1, "the next question")
    assert guards.knows(1)


def test_one_that_was_told_nothing_says_so(guards: Guards) -> None:
    """It does not say that there is no such workspace: it cannot know."""
    guards.api.silent = True
    guards.begin()
    wait_for(guards.serves, "a guard that waited in vain")
    answer = guards.page(1)
    assert (answer.status_code, "was not told yet which workspaces run" in answer.text) == (503, True)
    guards.api.silent = False
    wait_for(lambda: guards.page(1).status_code == 404, "the guard to know that there is none")


def test_nobody_but_the_guards_of_an_installation_can_open_what_is_kept() -> None:
    mine = Route.from_json(route(1))
    text = Seal(b"secret").close(mine)
    assert Seal(b"secret").open("w1", text) == mine
    assert mine.hub_api_token not in text
    assert Seal(b"secret").close(mine) != text
    for seal, workspace, kept in (
        (Seal(b"other"), "w1", text),
        (Seal(b"secret"), "w2", text),
        (Seal(b"secret"), "w1", text[:-8] + "AAAAAAA="),
        (Seal(b"secret"), "w1", ""),
        (Seal(b"secret"), "w1", "no base64"),
    ):
        with pytest.raises(InvalidInput):
            seal.open(workspace, kept)


def test_one_that_cannot_be_opened_holds_up_no_other(guards: Guards) -> None:
    guards.api.live = {"w1": Seal(b"another").close(Route.from_json(route(1))), "w2": guards.sealed(2)}
    guards.begin()
    wait_for(guards.serves, "the guard")
    assert guards.knows(2)
    assert not guards.knows(1)
    assert (guards.settings.state / "guard.log").read_text().count("cannot be opened") == 1


def test_nobody_gets_them_all_with_the_hubs_token(guards: Guards) -> None:
    guards.begin()
    wait_for(guards.serves, "the guard")
    assert guards.ask("GET", "/routes").status_code == 404
