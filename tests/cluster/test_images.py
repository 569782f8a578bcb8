"""The images as they were built: what is in them and what is not, that they are the same twice, that they run."""

from __future__ import annotations

import json
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from images.builder import __main__ as builder
from images.builder.place import NAMES, place, reference
from tests.images.locks import locked

from . import objects
from .house import Facts, Space
from .machine.place import CHECKOUT

#: What makes, fetches or installs programs.
TOOLS = {
    *("apt", "apt-get", "dpkg", "dpkg-deb", "pip", "pip3", "conda", "npm", "gem", "perl"),
    *("cc", "gcc", "g++", "c++", "clang", "ld", "as", "make", "go", "curl", "wget", "git", "mount", "su", "sudo"),
}
#: As its start program does, with the filter of system calls that was made for it.
CONFINED = """
import sys
sys.path.insert(0, "/opt/tre/start")
import confine
confine.confine({"limits": {}, "devices": False})
"""
#: R as a notebook starts it, by Unix sockets; and what it has, Parquet and submitting by way of Python.
R_KERNEL = """
import os
os.environ |= {"JUPYTER_RUNTIME_DIR": "/tmp", "HOME": "/tmp"}
os.chdir("/tmp")  # Where a kernel without a file of its own has its sockets.
from jupyter_client.manager import KernelManager
kernel = KernelManager(kernel_name="ir", transport="ipc")
kernel.start_kernel()
client = kernel.blocking_client()
client.start_channels()
client.wait_for_ready(timeout=60)
said = []
answer = client.execute_interactive('''
library(survival); library(dplyr); library(ggplot2); library(haven); library(data.table); library(DBI)
library(RPostgreSQL); library(lme4); library(tidyr)
pandas <- reticulate::import("pandas"); release <- reticulate::import("release")
cat(6 * 7, "\\n"); print(ggplot(data.frame(x = 1:3), aes(x, x)) + geom_point())
''', timeout=100, output_hook=said.append)
kernel.shutdown_kernel(now=True)
kinds = {message["msg_type"] for message in said}
assert answer["content"]["status"] == "ok", answer
assert "42" in "".join(message["content"].get("text", "") for message in said), said
assert "display_data" in kinds, kinds
"""
#: What each is asked to show that it runs, with nothing but memory to write to.
ASKED = {
    "control": ["tre", "--help"],
    "hub": ["jupyterhub", "--version"],
    "guard": [
        "python",
        "-c",
        "import tre.door.intake, tre.door.probes.__main__; from tre.door.guard.lab import LabFiles; LabFiles()",
    ],
    "proxy": ["/usr/bin/traefik", "version"],
    "servers": ["bao", "version"],
    "workspace-r": ["/opt/tre/env/bin/python", "-c", CONFINED + R_KERNEL],
    "workspace": [
        "/opt/tre/env/bin/python",
        "-c",
        CONFINED + "import pandas, duckdb, statsmodels.api, jupyter_server, release",
    ],
}
LONG = os.environ.get("TRE_TEST_LONG") == "1"


@dataclass(frozen=True)
class Contents:
    """An image's configuration, and {path: entry} of its files."""

    config: dict[str, Any]
    files: dict[str, tarfile.TarInfo]
    texts: dict[str, bytes]


def read(file: Path) -> Contents:
    with tarfile.open(file) as tar:

        def blob(digest: str) -> Any:
            return tar.extractfile(f"blobs/{digest.replace(':', '/')}")

        index = json.load(tar.extractfile("index.json"))  # type: ignore[arg-type]
        manifest = json.load(blob(index["manifests"][0]["digest"]))
        config = json.load(blob(manifest["config"]["digest"]))
        files: dict[str, tarfile.TarInfo] = {}
        texts: dict[str, bytes] = {}
        for layer in manifest["layers"]:
            with tarfile.open(fileobj=blob(layer["digest"]), mode="r:gz") as inner:
                for entry in inner:
                    name = entry.name.removeprefix("./")
                    files[name] = entry
                    if name.startswith("usr/share/sbom/") and entry.isfile():
                        texts[name] = inner.extractfile(entry).read()  # type: ignore[union-attr]
    return Contents(config, files, texts)


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture(scope="module")
def built(name: str) -> Contents:
    """Fails, never skips, where it was not built."""
    file = place().archive(name)
    if not file.exists():
        pytest.fail(f"no {file.relative_to(CHECKOUT)}: `make images` builds it")
    return read(file)


def test_it_runs_as_a_plain_user_and_says_what_it_is(name: str, built: Contents) -> None:
    assert built.config["config"]["User"] == ("1000:1000" if name.startswith("workspace") else "10001:10001")
    assert built.config["config"]["Labels"]["org.opencontainers.image.title"] == f"tre-{name}"
    assert built.config["created"].startswith("1970-01-01T00:00:00")


def test_nothing_in_it_makes_or_fetches_programs_or_gains_rights(name: str, built: Contents) -> None:
    programs = {Path(path).name for path, entry in built.files.items() if entry.mode & 0o111 and not entry.isdir()}
    # A project may have a package mirror: pip is the researcher's, in their own environment.
    allowed, theirs = ({"pip", "pip3"}, "opt/tre/env/") if name == "workspace" else (set(), "nowhere")
    assert programs & TOOLS == allowed
    assert [path for path in built.files if "/site-packages/pip/" in path and not path.startswith(theirs)] == []
    assert [path for path, entry in built.files.items() if entry.mode & 0o6000 and entry.isfile()] == []


def test_nobody_but_root_could_change_it_even_where_it_is_not_read_only(built: Contents) -> None:
    odd = [
        path
        for path, entry in built.files.items()
        if not entry.issym() and (entry.mode & 0o022) and not (entry.isdir() and entry.mode & 0o1000)
    ]
    assert odd == []
    assert {entry.uid for entry in built.files.values()} == {0}
    assert {int(entry.mtime) for entry in built.files.values()} == {0}


def test_its_list_of_contents_has_every_package(name: str, built: Contents) -> None:
    said = json.loads(built.texts[f"usr/share/sbom/{name}.python.cdx.json"])
    listed = {each["name"].lower().replace("_", "-").replace(".", "-") for each in said["components"]}
    lock = locked(CHECKOUT / "images" / name / "requirements.lock").keys()
    # Locks are for every platform; what is for another one is not installed.
    assert len(lock - listed) <= len(lock) // 4
    if name != "proxy":
        debian = json.loads(built.texts["usr/share/sbom/debian.cdx.json"])["components"]
        assert {"libc6", "libssl3"} <= {each["name"] for each in debian}
        assert not {"dpkg", "apt"} & {each["name"] for each in debian}


@pytest.mark.parametrize("again", NAMES if LONG else ("proxy",))
def test_a_second_build_has_the_same_digest(again: str) -> None:
    """From nothing: no step is taken from the first."""
    where = place()
    first = json.loads(where.report.read_text())[again]["digest"]
    builder.build_all(where, [again], anew=True)
    assert json.loads(where.report.read_text())[again]["digest"] == first


def test_it_runs_in_a_restricted_pod_with_nothing_to_write_to(name: str, facts: Facts, space: Space) -> None:
    """On our own cluster (`facts`), which `make images` puts them onto."""
    made = objects.pod(name, ("run",))
    container = made["spec"]["containers"][0]
    container.pop("args", None)
    container |= {"image": reference(name), "imagePullPolicy": "Never", "command": ASKED[name]}
    if name == "workspace-r":
        # R begins with a folder of its own in /tmp.
        made["spec"]["volumes"] = [{"name": "tmp", "emptyDir": {"medium": "Memory"}}]
        container |= {"volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}]}
    made["spec"]["restartPolicy"] = "Never"
    space.apply(made)
    assert space.ends(name, within=180) == "Succeeded", space("logs", name)
