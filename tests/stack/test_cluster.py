"""A process in its pod: its secrets become its own, and what is wrong is the first thing that it says."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_cluster_settings import FILE
from tre.credentials.files import read_secret
from tre.settings import Settings
from tre.stack.cluster import adopt


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose path a socket bears."""
    with tempfile.TemporaryDirectory(prefix="tre-", dir="/tmp") as name:
        yield Path(name)


def started(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tre.stack.cluster", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_secrets_that_everybody_may_read_become_ours(tmp_path: Path):
    """As the kubelet shows them: links to a folder of the moment."""
    real = tmp_path / "..2026"
    real.mkdir()
    (real / "hub-cookie").write_text("abc")
    (real / "hub-cookie").chmod(0o644)
    source = tmp_path / "shown"
    source.mkdir()
    (source / "hub-cookie").symlink_to(real / "hub-cookie")
    (source / "..data").symlink_to(real)
    settings = Settings(tmp_path / "state", Path("/tmp/r"))
    assert adopt(source, settings) == ["hub-cookie"]
    assert read_secret(settings.secret_file("hub-cookie")) == "abc"


def test_what_is_wrong_is_the_first_thing_said(tmp_path: Path, short: Path):
    (tmp_path / "c.toml").write_text(FILE)
    places = {"TRE_STATE": str(tmp_path / "state"), "TRE_RUN": str(short)}
    none = started("api", **places)
    assert (none.returncode, none.stderr) == (2, "TRE_CLUSTER: It names no file. On one machine, use `tre up`.\n")
    unread = started("api", **places, TRE_CLUSTER=str(tmp_path / "c.toml"), TRE_SECRETS=str(tmp_path / "none"))
    assert unread.returncode == 2
    assert unread.stderr.startswith(f"TRE_SECRETS: the pod's secrets in {tmp_path}/none cannot be read")
    unknown = started("proxy", **places)
    assert (unknown.returncode, unknown.stderr.split(":")[0]) == (2, "PROCESS")
