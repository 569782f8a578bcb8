"""A release is saved, lost with everything, restored, and its keys are rotated, as docs/operating-cluster.md says.

In the order of the document: each test goes on where the one before it ended.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import objects
from tests.cluster.failures.scene import within
from tre.workspaces.kubernetes.names import namespace_of

from .release import CLAIMS, VALUES, Release
from .rendering import Object
from .researcher import NAME, Researcher, researcher_on

pytestmark = pytest.mark.timeout(600)
#: What the API server adds to an object, and takes from nobody.
ITS_OWN = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation")


@dataclass
class Safe:
    """Where a backup lies."""

    folder: Path
    kept: list[Object] = field(default_factory=list)
    request: dict[str, Any] = field(default_factory=dict)
    events: int = 0


@pytest.fixture(scope="module")
def safe(tmp_path_factory: pytest.TempPathFactory) -> Safe:
    return Safe(tmp_path_factory.mktemp("safe"))


@pytest.fixture(scope="module")
def researcher(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Researcher]:
    with researcher_on(release, tmp_path_factory.mktemp("stage")) as found:
        yield found


def test_there_is_something_to_lose(release: Release, researcher: Researcher, safe: Safe) -> None:
    release.settle()
    researcher.settle_in()
    researcher.open()
    researcher.says("print(open('note.txt', 'w').write('kept'))")
    safe.request = researcher.submits()
    assert safe.request["state"] == "in_review", safe.request
    researcher.leave()
    within(60, lambda: researcher.live() == [])
    safe.events = researcher.stage.tre("ada", "audit", "verify")["events"]
    assert safe.events > 0


def test_it_is_saved_while_nothing_of_it_runs(release: Release, researcher: Researcher, safe: Safe) -> None:
    for kind in ("deployments", "statefulsets"):
        release.space("scale", kind, "--all", "--replicas=0")
    release.space("wait", "--for=delete", "pods", "--selector=app.kubernetes.io/name=tre", "--timeout=120s")
    kept = ("secrets,configmaps", "--selector=app.kubernetes.io/name=tre", "--output=json")
    safe.kept = [bare(found) for found in json.loads(release.space("get", *kept))["items"]]
    assert {found["metadata"]["name"] for found in safe.kept} >= {"tre-door", "tre-logins", "tre-ca"}
    for folder in release.folders:
        copy(folder, safe.folder)
    assert any((safe.folder / release.space.name / "tre-content").rglob("*"))


def bare(found: Object) -> Object:
    kept = {key: value for key, value in found["metadata"].items() if key not in ITS_OWN}
    return {**found, "metadata": kept}


def copy(folder: Path, into: Path) -> None:
    """With owners and modes: the servers insist on them."""
    subprocess.run(["cp", "--archive", str(folder), str(into)], check=True)


def test_everything_is_lost(release: Release, safe: Safe) -> None:
    release.remove()
    assert not any(folder.exists() for folder in release.folders)
    release.volumes.clear()


def test_it_is_the_same_again(release: Release, researcher: Researcher, safe: Safe) -> None:
    release.kubectl.apply([objects.namespace(release.space.name)])
    release.kubectl.apply(safe.kept)
    for folder in release.folders:
        copy(safe.folder / folder.name, folder.parent)
    release.provide(release.space.name, *CLAIMS)
    release.provide(namespace_of(release.space.name, researcher.project), f"home-{NAME}", "data")
    release.install()
    release.settle()
    researcher.stage.wait_until_people_can_come(60)
    assert researcher.stage.tre("ada", "audit", "verify")["events"] >= safe.events
    assert researcher.stage.tre(NAME, "request", "show", str(safe.request["id"]))["state"] == "in_review"


def test_work_goes_on(researcher: Researcher) -> None:
    researcher.open()
    assert researcher.says("print(open('note.txt').read())") == "kept"
    assert researcher.rows() == "60 60"


def test_signing_keys_are_rotated_under_an_open_workspace(researcher: Researcher) -> None:
    """What the workspace holds was signed by the old version of its key; what it gets and submits next, by the new."""
    for key in ("audit", "release", "intake"):
        assert researcher.stage.tre("ada", "key", "rotate", key, "--reason", "Once a year.")["version"] == 2
    assert researcher.submits()["state"] == "in_review"
    assert researcher.stage.tre("ada", "audit", "verify")["ok"]


def test_the_doors_secrets_are_made_anew(release: Release, researcher: Researcher) -> None:
    """Everybody signs in again: no cookie of before is good. Terminals' tokens are of the database, and stay."""
    researcher.leave()
    before = secret_of(release, "tre-door")
    release.space("delete", "secret/tre-door")
    release.upgrade(VALUES)
    release.space("rollout", "restart", "deployment")
    release.settle()
    after = secret_of(release, "tre-door")
    assert before.keys() == after.keys()
    assert not [name for name in before if before[name] == after[name]]
    researcher.stage.wait_until_people_can_come(60)
    assert researcher.browser.http.get("/hub/home").url.path.endswith("/hub/login")
    researcher.open()
    assert researcher.rows() == "60 60"


def secret_of(release: Release, name: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(release.space("get", f"secret/{name}", "--output=json"))["data"]
    return found
