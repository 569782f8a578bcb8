"""How the R kernel is started: by a link its sockets are found where Jupyter looks. R itself is in tests/cluster."""

import importlib.util
import json
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from images.builder.place import CHECKOUT

FOLDER = CHECKOUT / "images" / "workspace-r" / "kernel"


@pytest.fixture
def start() -> ModuleType:
    spec = importlib.util.spec_from_file_location("r_start", FOLDER / "start.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def connection(folder: Path, transport: str) -> Path:
    ports = {f"{name}_port": number for number, name in enumerate(("shell", "iopub", "stdin", "control", "hb"), 1)}
    file = folder / "kernel.json"
    file.write_text(json.dumps({"transport": transport, "ip": str(folder / "kernel-ipc"), "key": "k", **ports}))
    return file


def test_each_socket_is_found_by_jupyters_name(start: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    ended: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda program, argv: ended.append(argv))
    start.main(str(connection(tmp_path, "ipc")))
    found = {path.name: os.readlink(path) for path in tmp_path.iterdir() if path.is_symlink()}
    assert found == {f"kernel-ipc-{number}": f"{tmp_path}/kernel-ipc:{number}" for number in range(1, 6)}
    assert ended == [start.command(str(tmp_path / "kernel.json"))]
    # A kernel that is started again finds them there.
    start.main(str(tmp_path / "kernel.json"))


def test_by_tcp_there_is_nothing_to_link(start: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "execv", lambda program, argv: None)
    start.main(str(connection(tmp_path, "tcp")))
    assert [path.name for path in tmp_path.iterdir()] == ["kernel.json"]


def test_a_kernel_is_started_from_the_image_alone():
    """Nothing that a researcher may write comes into it: neither the program nor its path."""
    told = json.loads((FOLDER / "kernel.json").read_text())
    assert told["argv"][:3] == [
        "/opt/tre/env/bin/python",
        "-I",
        "/opt/tre/env/share/jupyter/kernels/ir/start.py",
    ]


def test_the_servers_kernels_are_those_of_the_images():
    sys.path.insert(0, str(CHECKOUT / "images" / "workspace" / "start"))
    try:
        import serve
    finally:
        sys.path.pop(0)
    given = serve.configuration(base_url="/", token_hash="t")
    assert given["KernelSpecManager"]["allowed_kernelspecs"] == ["python3", "ir"]
    copied = (FOLDER.parent / "Containerfile").read_text()
    assert "/opt/tre/env/share/jupyter/kernels/ir" in copied


def test_what_debian_gives_is_r_without_a_compiler():
    listed = [line for line in (FOLDER.parent / "debian.txt").read_text().splitlines() if not line.startswith("#")]
    assert listed[0] == "r-base-core"
    assert all(each.startswith("r-cran-") or each == "libpython3.11" for each in listed[1:])
    assert "--no-install-recommends" in (FOLDER.parent / "r.sh").read_text()
