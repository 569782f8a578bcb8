"""The guard asked in its own pod: `python -m tre.door.probes`, against a real guard before a real Jupyter server."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.door.parts import ROOT, GuardHouse, door_settings, route_for, wait_for
from tests.door.platform import Person, Platform
from tests.door.stand_in import InternalApi, StandInHub, owner_model
from tests.door.test_kept import Guards, guards
from tests.door.wide_guard import MISTAKES
from tre.door.guard import paths
from tre.door.guard.kept import Seal
from tre.door.guard.routes import Route
from tre.door.internal_api import read_secret
from tre.door.places import Places
from tre.door.probes import guard, raw
from tre.door.probes.contents import MOST, with_traps_in_the_home
from tre.door.probes.guard import NO_OTHER, OTHER, Door, name_of
from tre.door.probes.owner import at_the_guard
from tre.door.probes.spellings import ADDRESSES
from tre.door.probes.told import taken_in
from tre.workspaces.probes.report import Report, Result

__all__ = ["guards"]
FAMILIES = {name_of(family) for family in ADDRESSES}
PER_FAMILY = 60


@dataclass(frozen=True)
class Ran:
    code: int
    report: dict[str, Any]
    err: str

    def verdicts(self) -> dict[str, str]:
        return {each["name"]: each["verdict"] for each in self.report["probes"]}


def begin(house: GuardHouse, workspace_id: str) -> subprocess.Popen[str]:
    """As `kubectl exec` does: beside the guard, with its settings."""
    return subprocess.Popen(
        [sys.executable, "-m", "tre.door.probes", workspace_id],
        env=house.settings.environment(),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ran(house: GuardHouse, workspace_id: str) -> Ran:
    process = begin(house, workspace_id)
    out, err = process.communicate(timeout=300)
    return Ran(process.returncode, json.loads(out) if out else {}, err)


def served(house: GuardHouse, jupyter: Path, workspace_id: str = "w1", user: str = "alice", to: str = "heart") -> None:
    """A workspace that the guard serves, and whose own token the Hub takes for its owner."""
    route: dict[str, Any] = route_for(jupyter, workspace_id, user, to)
    house.add_route(route)
    house.hub.tokens[route["hub_api_token"]] = owner_model(user, to)


def laid(jupyter: Path) -> list[str]:
    return sorted(file.name for file in (jupyter / "home").iterdir() if file.name.startswith("tre-verify-"))


def in_small(door: Door) -> dict[str, str]:
    return {result.name: result.verdict for result in with_traps_in_the_home(door, count=PER_FAMILY)}


def test_ten_thousand_spellings_are_refused_and_nothing_is_left(house: GuardHouse, jupyter: Path) -> None:
    served(house, jupyter)
    served(house, jupyter, "w2", "bob")
    found = ran(house, "w1")
    assert (found.code, found.err, found.report["left_out"]) == (0, "", []), found.report
    assert found.verdicts() == dict.fromkeys(FAMILIES | {name_of(OTHER)}, "refused")
    told = [re.match(r"(\d+) spellings", each["detail"]) for each in found.report["probes"]]
    assert sum(int(each[1]) for each in told if each) >= 10_000
    assert laid(jupyter) == []
    assert taken_in("w1", Report.from_dict(found.report).results, []) == Report.from_dict(found.report)


def test_without_another_persons_workspace_that_is_said(house: GuardHouse, jupyter: Path) -> None:
    served(house, jupyter)
    served(house, jupyter, "w2", to="lung")
    assert at_the_guard(house.places, "w1").other_base == ""
    report = ran(house, "w1").report
    assert report["left_out"] == [NO_OTHER]
    assert taken_in("w1", Report.from_dict(report).results, [NO_OTHER]).ok


@pytest.fixture(scope="module")
def wide() -> Iterator[GuardHouse]:
    settings = door_settings("tre-wide-")
    Places(settings).prepare()
    api, hub = InternalApi(settings.internal_socket), StandInHub(Places(settings).hub_port)
    api.start()
    hub.start()
    found = GuardHouse(settings, api, hub, program="tests.door.wide_guard")
    found.start()
    yield found
    found.stop()
    hub.stop()
    api.stop()
    shutil.rmtree(settings.state.parent, ignore_errors=True)


def test_each_mistake_in_the_guards_list_is_reached(wide: GuardHouse, jupyter: Path) -> None:
    """Also where no file of ours can lie, and where the workspace's server only said that nothing is there."""
    served(wide, jupyter)
    found = {
        result.name: result for result in with_traps_in_the_home(at_the_guard(wide.places, "w1"), count=PER_FAMILY)
    }
    assert {name: each.verdict for name, each in found.items()} == dict.fromkeys(FAMILIES, "reached")
    assert "content came out" in found["guard-files"].detail
    assert "the workspace's own server answered with 404" in found["guard-kernelspecs"].detail
    assert laid(jupyter) == []


def test_the_list_does_not_speak_for_itself(wide: GuardHouse, jupyter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks is of the same code as the guard: what its list has by mistake is no excuse."""
    served(wide, jupyter)
    monkeypatch.setattr(paths, "RULES", paths.RULES + MISTAKES)
    paths.admit.cache_clear()
    try:
        assert in_small(at_the_guard(wide.places, "w1")) == dict.fromkeys(FAMILIES, "reached")
    finally:
        paths.admit.cache_clear()


def test_with_the_real_hub_and_a_workspaces_own_server(platform: Platform) -> None:
    """The workspace's own token opens the door for its owner, and its server takes traps and gives them back."""
    people = [Person(platform, name) for name in ("alice", "bob")]
    for person in people:
        person.sign_in()
        person.start("heart")
    mine = next(plan for plan in platform.plans[::-1] if (plan["person"], plan["project"]) == ("alice", "heart"))
    try:
        found = in_small(at_the_guard(platform.places, mine["workspace_id"]))
    finally:
        for person in people:
            person.stop("heart")
    assert found == dict.fromkeys(FAMILIES | {name_of(OTHER)}, "refused")
    assert not list(platform.home("alice", "heart").glob("tre-verify-*"))


def test_a_workspace_that_this_guard_does_not_serve_was_not_asked_about(house: GuardHouse) -> None:
    found = ran(house, "w9")
    assert (found.code, found.verdicts()) == (20, dict.fromkeys(FAMILIES, "could_not_run"))
    assert "no route to workspace w9" in found.report["probes"][0]["detail"]
    assert "Not refused: guard-" in found.err


def test_a_session_that_the_hub_does_not_know_proves_nothing(house: GuardHouse, jupyter: Path) -> None:
    served(house, jupyter)
    house.hub.tokens.clear()
    assert set(in_small(at_the_guard(house.places, "w1")).values()) == {"could_not_run"}


def test_what_is_not_taken_away_is_told(house: GuardHouse, jupyter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served(house, jupyter)
    ask = guard._family

    def closing(*arguments: Any) -> Result:
        result = ask(*arguments)
        house.admin("DELETE", "/routes/w1")
        return result

    monkeypatch.setattr(guard, "_family", closing)
    try:
        expected = dict.fromkeys(FAMILIES | {"guard-traps"}, "could_not_run")
        # The guard that serves it no more says 404 of everything: only the workspace's server knows what is gone.
        assert in_small(at_the_guard(house.places, "w1")) == expected
    finally:
        for name in laid(jupyter):
            (jupyter / "home" / name).unlink()


def test_who_is_ended_takes_away_what_was_laid(house: GuardHouse, jupyter: Path) -> None:
    served(house, jupyter)
    process = begin(house, "w1")
    wait_for(lambda: len(laid(jupyter)) == 2, "the traps")
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=120)
    assert (process.returncode, out, laid(jupyter)) == (128 + signal.SIGTERM, "", [])


def test_what_one_that_was_killed_left_goes_with_the_next(house: GuardHouse, jupyter: Path) -> None:
    served(house, jupyter)
    process = begin(house, "w1")
    wait_for(lambda: len(laid(jupyter)) == 2, "the traps")
    process.kill()
    process.communicate(timeout=60)
    assert len(laid(jupyter)) == 2
    mine = jupyter / "home" / "tre-verify-notes.txt"
    mine.write_text("a person's own")
    try:
        assert set(in_small(at_the_guard(house.places, "w1")).values()) == {"refused"}
        assert laid(jupyter) == [mine.name]
    finally:
        mine.unlink()


def test_a_workspace_does_not_decide_how_much_is_taken_away(house: GuardHouse, jupyter: Path) -> None:
    served(house, jupyter)
    for number in range(MOST + 2):
        (jupyter / "home" / f"tre-verify-{number:08x}.txt").write_text("left")
    assert set(in_small(at_the_guard(house.places, "w1")).values()) == {"refused"}
    assert len(laid(jupyter)) == 2
    assert set(in_small(at_the_guard(house.places, "w1")).values()) == {"refused"}
    assert laid(jupyter) == []


def test_one_at_a_time_in_a_pod(house: GuardHouse, jupyter: Path) -> None:
    served(house, jupyter)
    first = begin(house, "w1")
    wait_for(lambda: len(laid(jupyter)) == 2, "the traps")
    first.send_signal(signal.SIGSTOP)
    second = ran(house, "w1")
    first.send_signal(signal.SIGCONT)
    first.communicate(timeout=120)
    assert (first.returncode, second.code, second.report) == (0, 4, {})
    assert "is being asked already" in second.err


class Hostile(socketserver.BaseRequestHandler):
    """An answer without end; `pause` between two pieces."""

    pause, sent = 0.0, 0

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            self.request.recv(65536)
            self.request.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while True:
                self.request.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")
                Hostile.sent += 4096
                time.sleep(self.pause)


@pytest.mark.parametrize("pause", [0.0, 0.02])
def test_an_answer_without_end_takes_neither_memory_nor_time(monkeypatch: pytest.MonkeyPatch, pause: float) -> None:
    """A guard shares its pod's memory with who asks: 4 MiB are held, or what comes in time."""
    monkeypatch.setattr(raw, "SECONDS", 0.5 if pause else 10.0)
    monkeypatch.setattr(Hostile, "pause", pause)
    monkeypatch.setattr(Hostile, "sent", 0)
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Hostile) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with raw.RawHttp(("127.0.0.1", server.server_address[1]), {}) as browser:
            assert browser.ask("GET", "/") == (0, b"")
        server.shutdown()
    # Asked twice, and as much again for what lies between the two; who dribbles is left long before.
    assert Hostile.sent < (raw.MOST_BYTES if pause else 4 * raw.MOST_BYTES)


# As it is in a pod.


def test_in_a_pod_the_route_is_one_that_the_guard_learnt(guards: Guards, jupyter: Path) -> None:
    """With the settings of a cluster, at a guard that nobody told of it: the control plane kept its route."""
    route, hub = route_for(jupyter), StandInHub(guards.places.hub_port)
    hub.tokens[route["hub_api_token"]] = owner_model("alice", "heart")
    secret = read_secret(guards.places.secret("guard-cookie")).encode()
    guards.api.live["w1"] = Seal(secret).close(Route.from_json(route))
    hub.start()
    try:
        guards.begin()
        wait_for(lambda: guards.serves() and guards.knows(1), "the guard")
        found = ran(GuardHouse(guards.settings, guards.api, hub), "w1")
    finally:
        hub.stop()
    assert (found.code, set(found.verdicts().values())) == (0, {"refused"}), found
