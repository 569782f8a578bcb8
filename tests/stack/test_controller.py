"""The controller's process says first what it lacks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_cluster_settings import FILE

PROJECTS = """
control_namespace = "tre-system"
hub_account = "tre-hub"
image = "registry.example/tre-workspace:1"
pod_security_version = "v1.34"
dns_address = "10.96.0.53"
guard = { namespace = "tre-system", labels = { app = "guard" }, port = 8002 }
intake = { namespace = "tre-system", labels = { app = "intake" }, port = 8007 }
dns = { namespace = "tre-system", labels = { app = "dns" }, port = 53 }
"""


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"POD_NAME": "tre-controller-1"}, "TRE_CLUSTER: This is no cluster."),
        ({"TRE_CLUSTER": "FILE"}, "POD_NAME: It is not set."),
        ({"TRE_CLUSTER": "FILE", "POD_NAME": "tre-controller-1"}, "There is no way to the API server"),
    ],
)
def test_what_is_missing_is_the_first_thing_said(tmp_path: Path, environment: dict[str, str], said: str):
    file = tmp_path / "c.toml"
    file.write_text(FILE.replace('control_namespace = "tre-system"\n', PROJECTS.strip() + "\n"))
    given = {name: str(file) if value == "FILE" else value for name, value in environment.items()}
    whole = {"PATH": os.defpath, "TRE_STATE": str(tmp_path / "s"), "TRE_RUN": "/tmp/r", **given}
    command = [sys.executable, "-m", "tre.stack.controller"]
    done = subprocess.run(command, env=whole, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode != 0
    assert done.stderr.startswith(said), done.stderr
