"""Workspaces in a short folder of their own, started for real and gone afterwards."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tre.workspaces.plan import DataMount, LaunchPlan, Limits
from tre.workspaces.runtime import REPOSITORY, SandboxRuntime

ENVIRONMENT = REPOSITORY / ".workspace-env"
LIMITS = Limits(
    memory_bytes=600 << 20, processes=120, cpus=1, file_bytes=64 << 20, home_bytes=128 << 20, open_files=512
)
Plan = Callable[..., LaunchPlan]


def new_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="tw", dir="/tmp"))


def make_plan(folder: Path, name: str, **changes: Any) -> LaunchPlan:
    """A plan whose host folders exist below `folder/name`."""
    for part in ("intake", "data", "pg"):
        (folder / name / part).mkdir(parents=True, exist_ok=True)
    (folder / name / "data" / "table.csv").write_text("a,b\n1,2\n")
    plan = LaunchPlan(
        workspace_id=name,
        person="alice",
        project=f"project-{name}",
        home=str(folder / name / "home"),
        base_url=f"/user/alice/project-{name}/",
        intake_socket=str(folder / name / "intake" / "intake.sock"),
        jupyter_token=secrets.token_hex(32),
        data=(DataMount(f"data-{name}", str(folder / name / "data")),),
        secrets={"intake.token": "token-" + secrets.token_hex(16), "pg_service.conf": "[project]\nport=5432\n"},
        postgres_socket_dir=str(folder / name / "pg"),
        limits=LIMITS,
    )
    return replace(plan, **changes)


@pytest.fixture
def folder() -> Iterator[Path]:
    found = new_folder()
    yield found
    shutil.rmtree(found, ignore_errors=True)


@pytest.fixture
def plan(folder: Path) -> Plan:
    return lambda name="one", **changes: make_plan(folder, name, **changes)


@pytest.fixture
def quick_image(folder: Path) -> Path:
    """Our image with a server that only says it is ready: what is tested is around it."""
    image = folder / "image"
    shutil.copytree(REPOSITORY / "images" / "workspace", image)
    (image / "start" / "serve.py").write_text(QUICK_SERVER)
    return image


QUICK_SERVER = """
import ctypes, json, os, time
ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
settings = json.load(os.fdopen(0))
os.write(settings["ready"], b"ready")
os.close(settings["ready"])
while True:
    time.sleep(60)
"""


@pytest.fixture
def runtime(folder: Path, quick_image: Path) -> Iterator[SandboxRuntime]:
    """Starts workspaces without Jupyter; whatever still runs at the end is stopped."""
    found = SandboxRuntime(folder / "run", ENVIRONMENT, image=quick_image)
    yield found
    stop_all(found)


def stop_all(runtime: SandboxRuntime) -> None:
    if runtime.run_dir.exists():
        for name in os.listdir(runtime.run_dir):
            runtime.stop({"workspace_id": name})


def processes_with(text: str) -> list[int]:
    """Host processes that have a text in their command line, environment or mounts."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        for part in ("cmdline", "environ", "mountinfo"):
            try:
                if text.encode() in Path(f"/proc/{name}/{part}").read_bytes():
                    found.append(int(name))
            except OSError:
                continue
    return [process for process in found if process != os.getpid()]
