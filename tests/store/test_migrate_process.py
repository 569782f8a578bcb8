"""Migrations as a process: a database that is not there is said in one line, with where it was looked for."""

import subprocess
import sys
from pathlib import Path


def test_a_server_that_is_away_is_named_with_the_reason(tmp_path: Path):
    environment = {"TRE_STATE": str(tmp_path / "state"), "TRE_RUN": "/tmp/none"}
    command = [sys.executable, "-m", "tre.store.migrate"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 75
    assert done.stderr.startswith("[state] /tmp/none/pg-state: ")
    assert done.stderr.count("\n") == 1
