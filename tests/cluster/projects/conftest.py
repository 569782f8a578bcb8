"""The way to the cluster for tests that run as an ordinary user: what it is, not where, since root's files are not
theirs to read.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tre.workspaces.kubernetes.api import Api

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
