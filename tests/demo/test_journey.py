"""The journey as a newcomer plays it: `tre demo`, every step, nothing left running."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

STEPS = 27


@pytest.mark.timeout(600)
def test_the_whole_journey(tmp_path: Path) -> None:
    report = tmp_path / "steps.json"
    command = [sys.executable, "-m", "tre.cli.main", "demo", "--json", str(report)]
    with tempfile.TemporaryDirectory(prefix="j-", dir="/tmp") as folder:
        environment = {**os.environ, "TMPDIR": folder}
        done = subprocess.run(command, capture_output=True, text=True, timeout=500, env=environment, check=False)
        left = list(processes_of(folder))
    found = json.loads(report.read_text())
    assert found["ok"], [step for step in found["steps"] if not step["ok"]]
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(found["steps"]) >= STEPS
    assert all(step["evidence"] and step["seconds"] >= 0 for step in found["steps"])
    assert left == []


def processes_of(folder: str) -> Iterator[list[str]]:
    """Command lines of processes that were told of a folder. Others' demonstrations may run beside ours."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            told = [*process.cmdline(), *process.environ().values()]
            if any(folder in word for word in told):
                yield process.cmdline()
