"""The way to the cluster for tests that run as an ordinary user: what it is, not where, since root's files are not
theirs to read.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.projects.house import Installation
from tests.fixtures.workspaces import Desk
from tests.workspaces.kubernetes import house
from tre.workspaces.kubernetes.api import Api
from tre.workspaces.kubernetes.content import NAMESPACE

VARIABLE = "TRE_TEST_KUBECONFIG"


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fails, never skips, where there is no cluster."""
    text = os.environ.get(VARIABLE, "")
    if not text:
        pytest.fail(f"no cluster: run `make test-cluster`, or put a kubeconfig's text into {VARIABLE}")
    file = tmp_path_factory.mktemp("kube") / "kubeconfig"
    file.touch(mode=0o600)
    file.write_text(text)
    return file


@pytest.fixture
def api(kubeconfig: Path) -> Api:
    return Api.connect(kubeconfig)


@pytest.fixture
def installation(desk: Desk, api: Api) -> Iterator[Installation]:
    """In a cluster that others use: its label is its own, and so are the names of its projects."""
    mark = secrets.token_hex(4)
    found = Installation(desk, api, house.cluster(control_namespace=f"tre-control-{mark}"), f"t{mark}")
    yield found
    for space in api.ask("GET", NAMESPACE.path(), {})["items"]:
        if (name := space["metadata"]["name"]).startswith(found.space):
            api.ask("DELETE", NAMESPACE.path(name=name), {})
