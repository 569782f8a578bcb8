"""Websockets, suspension, kill -9 and the end of workspaces at the guard."""

import json
import signal
import time
from dataclasses import asdict
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.door.browsing import channels, drain, execute, request, suspended_run
from tests.door.parts import GuardHouse, route_for, wait_for
from tre.workspaces.plan import DoorLimits


def test_kernel_websocket(front, house: GuardHouse, kernel):
    with channels(front, house, kernel) as socket:
        assert execute(socket, "print(6*7)") == "42\n"
        assert len(execute(socket, "print('x' * 5_000_000)")) == 5_000_001
    wait_for(lambda: house.api.traffic.get("w1", [0, 0])[0] > 5_000_000, "the report of the bytes", 10)


@pytest.mark.parametrize("changes", [{"Cookie": ""}, {"Origin": ""}, {"Origin": "http://evil.example"}])
def test_websockets_of_others(front, house: GuardHouse, kernel, changes):
    with pytest.raises(InvalidStatus) as refused, channels(front, house, kernel, **changes):
        pass
    assert refused.value.response.status_code == 403


def test_a_websocket_ends_with_the_sign_in(front, house: GuardHouse, kernel):
    with channels(front, house, kernel) as socket:
        execute(socket, "1")
        house.hub.tokens.clear()
        with pytest.raises(ConnectionClosed) as closed:
            drain(socket, 60)
    assert closed.value.rcvd.code == 1008
    assert closed.value.rcvd.reason == "your sign-in has ended"


def test_suspension_closes_everything(front, house: GuardHouse, kernel):
    with channels(front, house, kernel) as socket:
        execute(socket, "1")
        house.api.suspended["w1"] = "Too much has left this workspace today."
        with pytest.raises(ConnectionClosed) as closed:
            suspended_run(socket)
        assert closed.value.rcvd.reason == "Too much has left this workspace today."
    answer = front.get("api/contents/a.txt")
    assert answer.status_code == 403
    assert answer.json()["message"] == "Too much has left this workspace today."
    house.api.suspended.clear()
    wait_for(lambda: front.get("api/contents/a.txt").status_code == 200, "the workspace to open again", 15)


def test_a_silent_control_plane_closes_a_new_workspace(house: GuardHouse, jupyter: Path):
    house.api.silent = True
    route = route_for(jupyter, workspace_id="w9", server="lung")
    house.add_route(route)
    address = f"{house.places.guard_url}{route['base_url']}api/status"
    assert httpx.get(address, headers=house.browser(route)).status_code == 403
    house.api.silent = False
    wait_for(lambda: httpx.get(address, headers=house.browser(route)).status_code == 200, "an answer", 15)


def test_routes_survive_kill_9(house: GuardHouse, front):
    house.stop(signal.SIGKILL)
    house.start()
    assert front.get("api/contents/a.txt").json()["content"] == "hello"
    assert house.places.routes_file.stat().st_mode & 0o077 == 0
    assert house.settings.guard_socket.stat().st_mode & 0o077 == 0


def test_a_removed_route_is_gone_at_once(front, house: GuardHouse, kernel):
    with channels(front, house, kernel) as socket:
        execute(socket, "1")
        assert house.admin("DELETE", "/routes/w1")[0] == 204
        with pytest.raises(ConnectionClosed):
            drain(socket, 10)
    assert front.get("api/contents/a.txt").status_code == 404
    assert house.admin("DELETE", "/routes/w1")[0] == 404
    house.add_route(front.route)


@pytest.mark.parametrize(
    "changes",
    [
        {"base_url": "/hub/"},
        {"base_url": "/user/alice/../bob/"},
        {"upstream": "relative.sock"},
        {"upstream_token": "a\r\nX: y"},
        {"workspace_id": ""},
        {"limits": {}},
        {"limits": asdict(DoorLimits()) | {"idle_seconds": 0}},
        {"limits": asdict(DoorLimits()) | {"response_bytes": True}},
        {"limits": asdict(DoorLimits()) | {"idle": 1}},
        {"more": "x"},
    ],
)
def test_odd_routes_are_refused(house: GuardHouse, jupyter: Path, changes):
    route = route_for(jupyter) | changes
    status, text = house.admin("PUT", "/routes/w1", json.dumps(route).encode())
    assert status == 422
    assert b"hub-token" not in text
    assert house.admin("GET", "/routes/w1")[0] == 404


def test_activity_is_what_a_person_does(front, house: GuardHouse):
    """Lab's polling is none; opening Lab is, and the Hub is told."""
    before = json.loads(house.admin("GET", "/routes/w1")[1])["active_at"]
    front.get("api/kernels")
    front.get("api/contents/a.txt")
    assert json.loads(house.admin("GET", "/routes/w1")[1])["active_at"] == before
    front.get("lab", headers={"Sec-Fetch-Mode": "navigate"})
    assert json.loads(house.admin("GET", "/routes/w1")[1])["active_at"] > before
    wait_for(lambda: any(name == "alice" for name, _ in house.hub.activity), "the Hub to be told", 10)


def short(**changes: float) -> dict[str, float]:
    return asdict(DoorLimits(**changes))


def test_a_workspace_that_nobody_uses_is_ended(house: GuardHouse, jupyter: Path):
    house.add_route(route_for(jupyter, workspace_id="w7", server="idle", limits=short(idle_seconds=1)))
    wait_for(lambda: "w7" in house.api.idle, "the control plane to be asked", 10)
    assert house.api.idle["w7"] == "Nobody has worked in it for 0.000278 hours."


def test_a_kernel_that_computes_keeps_its_workspace_for_as_long_as_the_policy_says(house: GuardHouse, jupyter: Path):
    """Both see the same busy kernel, without any browser: only the policy's number differs."""
    patient, strict = short(idle_seconds=3, busy_seconds=60), short(idle_seconds=3, busy_seconds=1)
    worker = route_for(jupyter, workspace_id="w5", server="night", limits=patient)
    house.add_route(worker)
    headers, base = house.browser(worker), house.places.guard_url + worker["base_url"]
    with httpx.Client(base_url=base, headers=headers, timeout=60) as front:
        front.route = worker
        kernel = front.post("api/kernels", json={"name": "python3"}).json()["id"]
        with channels(front, house, kernel) as socket:
            socket.send(request("import time; time.sleep(600)"))
            wait_for(lambda: front.get(f"api/kernels/{kernel}").json()["execution_state"] == "busy", "the job", 30)
        house.add_route(route_for(jupyter, workspace_id="w6", server="short", limits=strict))
        wait_for(lambda: "w6" in house.api.idle, "the strict one's end", 15)
        time.sleep(4)
        assert "w5" not in house.api.idle
        front.delete(f"api/kernels/{kernel}")
    wait_for(lambda: "w5" in house.api.idle, "the end after the job", 15)


def test_an_upstream_that_is_gone(house: GuardHouse, tmp_path: Path):
    route = route_for(tmp_path, workspace_id="w8", server="gone")
    house.add_route(route)
    answer = httpx.get(
        f"{house.places.guard_url}{route['base_url']}api/status", headers=house.browser(route), timeout=30
    )
    assert answer.status_code == 503
    assert "does not answer" in answer.json()["message"]
