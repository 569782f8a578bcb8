"""What every Containerfile and every list of packages must be, read from the files themselves."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from images.builder.place import CHECKOUT, NAMES
from tests.images.locks import locked
from tre.stack.cluster import PROCESSES

IMAGES = CHECKOUT / "images"
#: What runs in an image, as the modules that its processes begin with.
RUNS = {
    "control": (
        "tre.stack.serve",
        "tre.stack.worker",
        "tre.store.migrate",
        "tre.stack.controller",
        "tre.stack.examination.start",
    ),
    "hub": (
        "jupyterhub.app",
        "tre.door.hub",
        "tre.door.pod_spawner",
        "tre.door.authenticator",
        "tre.door.fixed_proxy",
        "tre.stack.examination.start",
    ),
    "guard": ("tre.door.guard.__main__", "tre.door.intake", "tre.door.probes.__main__"),
    "servers": ("tre.stack.servers",),
}
CLOSURE = """
import importlib, json, sys
from importlib.metadata import packages_distributions
for name in sys.argv[1:]:
    importlib.import_module(name)
tops = {name.split(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
known = packages_distributions()
print(json.dumps(sorted({each for top in tops for each in known.get(top, [])})))
"""
#: Of the test's own environment: an editable install's finder, and what it brings with it.
NOT_OURS = {"tre", "setuptools"}
#: Imported where it is there, for colours and for tracing; nothing is missing without.
OPTIONAL = {"pygments", "opentelemetry-api", "greenlet", "rich", "bcrypt"}


def text(name: str) -> str:
    return (IMAGES / name / "Containerfile").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_an_image_begins_with_a_base_and_ends_as_a_plain_user_from_nothing(name: str):
    stages = re.findall(r"^FROM (\S+)", text(name), re.MULTILINE)
    assert text(name).count("\nARG BASE=") == 1
    assert stages[-1] == "scratch"
    assert set(stages[:-1]) == {"${BASE}"}
    (user,) = re.findall(r"^USER (\d+):(\d+)$", text(name), re.MULTILINE)
    assert "0" not in user
    for label in ("title", "description", "version", "licenses"):
        assert f'org.opencontainers.image.{label}="' in text(name)
    assert not re.search(r"^ADD |curl|wget|apt-get", text(name), re.MULTILINE)


@pytest.mark.parametrize(
    "file", [IMAGES / "build.lock", *(IMAGES / name / "requirements.lock" for name in NAMES)], ids=str
)
def test_every_package_is_pinned_by_hash_and_nothing_says_where_it_came_from(file: Path):
    content = file.read_text()
    entries = re.split(r"\n(?=[A-Za-z0-9])", content.strip())
    assert entries
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._\[\]-]+==\S+", entry), entry[:80]
        assert "--hash=sha256:" in entry, entry[:80]
    assert "://" not in content


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"workspace", "workspace-r"}))
def test_what_is_shipped_is_what_is_tested(name: str):
    """The versions of `make test`, and no others."""
    ours, tested = locked(IMAGES / name / "requirements.lock"), locked(CHECKOUT / "requirements" / "platform.lock")
    assert {each: version for each, version in ours.items() if tested.get(each) != version} == {}


def test_python_beside_r_is_of_the_workspaces_versions():
    beside, whole = (locked(IMAGES / name / "requirements.lock") for name in ("workspace-r", "workspace"))
    assert {each: version for each, version in beside.items() if whole.get(each) != version} == {}
    assert {"jupyter-server", "ipykernel", "pandas", "highspy"} <= beside.keys()


@pytest.mark.parametrize("name", sorted(RUNS))
def test_an_image_has_what_its_processes_import(name: str):
    command = [sys.executable, "-c", CLOSURE, *RUNS[name], "tre.stack.cluster"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    wanted = {canonicalize_name(each) for each in json.loads(done.stdout)} - NOT_OURS - OPTIONAL
    assert wanted - locked(IMAGES / name / "requirements.lock").keys() == set()


def test_the_processes_of_a_cluster_are_those_of_the_images():
    assert PROCESSES.keys() == {"api", "worker", "controller", "hub", "guard", "intake", "migrate"}


def test_the_workspace_and_the_sandbox_share_one_list():
    """The embedded sandbox's environment is installed from the image's lock file (Makefile)."""
    assert "images/workspace/requirements.lock" in (CHECKOUT / "Makefile").read_text()
    names = {
        canonicalize_name(Requirement(line).name) for line in wanted_lines(IMAGES / "workspace" / "requirements.in")
    }
    assert names <= locked(IMAGES / "workspace" / "requirements.lock").keys()


def wanted_lines(file: Path) -> list[str]:
    return [line for line in file.read_text().splitlines() if line and line[0] not in "#-"]
