"""`tre up` as a whole: every part real, each killed, everything seen from outside, nothing left behind."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from tests.fixtures.folders import new_settings
from tests.stack.toys import is_ready, part_of, wait_until
from tre.settings import Settings
from tre.stack import process, status
from tre.stack.platform import PORTS, accepts_port, parts
from tre.stack.status import State

UP = [sys.executable, "-m", "tre.cli.main", "up"]
NAMES = tuple(part.name for part in parts())
APPLICATIONS = ("api", "worker", "traefik", "guard", "intake", "hub")


@dataclass(frozen=True)
class Running:
    settings: Settings
    child: subprocess.Popen[bytes]

    def processes(self) -> list[psutil.Process]:
        return psutil.Process(self.child.pid).children(recursive=True)


@pytest.fixture(scope="module")
def up() -> Iterator[Running]:
    settings = new_settings()
    log = settings.state.parent / "up.log"
    with log.open("wb") as output:
        child = subprocess.Popen(
            UP, env={**os.environ, **settings.environment()}, stdout=output, stderr=output, start_new_session=True
        )
    try:
        wait_until(lambda: is_ready(settings, *NAMES) or child.poll() is not None, 120)
        assert child.poll() is None, log.read_text()
        yield Running(settings, child)
    finally:
        if child.poll() is None:
            child.terminate()
            child.wait(60)
        shutil.rmtree(settings.state.parent)


def test_every_part_is_ready_and_states_its_memory(up: Running):
    found = status.read(up.settings)
    assert [part.name for part in found] == list(NAMES)
    assert all(part.memory > 1_000_000 for part in found if part.state == State.ready)


def test_people_reach_hub_and_pages_through_the_one_port(up: Running):
    base = f"http://127.0.0.1:{up.settings.port}"
    assert httpx.get(f"{base}/hub/health").status_code == 200
    assert httpx.get(f"{base}/tre/api/v1/health").status_code == 200


def test_nobody_listens_beyond_loopback(up: Running):
    seen = set()
    for one in up.processes():
        for connection in one.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                seen.add(connection.laddr.ip)
            assert connection.type.name == "SOCK_STREAM", (one.name(), connection)
    assert seen == {"127.0.0.1"}


def test_no_process_and_no_log_shows_a_secret(up: Running):
    texts = [path.read_bytes() for path in (up.settings.state / "secrets").iterdir() if "url" not in path.name]
    words = {word for text in texts for word in text.replace(b'"', b":").strip().split(b":") if len(word) > 20}
    assert len(words) > 10
    for one in up.processes():
        for name in ("cmdline", "environ"):
            shown = Path(f"/proc/{one.pid}/{name}").read_bytes()
            assert not any(word in shown for word in words), (one.cmdline(), name)
    for log in up.settings.logs.iterdir():
        content = log.read_bytes()
        assert not any(word in content for word in words), log


def test_every_process_is_ours_and_none_has_a_capability(up: Running):
    for one in (psutil.Process(up.child.pid), *up.processes()):
        fields = dict(line.split(":\t", 1) for line in Path(f"/proc/{one.pid}/status").read_text().splitlines())
        assert set(fields["Uid"].split()) == {str(os.getuid())}
        assert int(fields["CapEff"], 16) == 0


def test_a_second_platform_on_the_same_folder_is_refused(up: Running):
    done = subprocess.run(
        UP, env={**os.environ, **up.settings.environment()}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 4
    assert f"runs already (process {up.child.pid})" in done.stderr


def test_another_platform_on_a_taken_port_is_refused_by_name(up: Running, fresh_settings: Settings):
    there = {**os.environ, **fresh_settings.environment(), "TRE_PORT": str(up.settings.port - 1)}
    done = subprocess.run(UP, env=there, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert f"port {up.settings.port} is in use" in done.stderr


def test_killed_applications_come_back(up: Running):
    before = {name: part_of(up.settings, name).pid for name in APPLICATIONS}
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)

    def all_back() -> bool:
        return all(
            is_ready(up.settings, name) and part_of(up.settings, name).pid != pid for name, pid in before.items()
        )

    wait_until(all_back, 120)
    test_people_reach_hub_and_pages_through_the_one_port(up)


def test_control_c_leaves_nothing_behind(up: Running):
    pids = [one.pid for one in up.processes()]
    up.child.send_signal(signal.SIGINT)
    assert up.child.wait(60) == 0
    assert not [pid for pid in pids if process.identify(pid)]
    assert status.read(up.settings) == []
    assert not any(accepts_port(up.settings.port + more) for more in range(PORTS))
