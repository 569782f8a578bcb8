"""The journey as a newcomer plays it: `tre demo`, every step, nothing left running."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

STEPS = 27


@pytest.mark.timeout(600)
def test_the_whole_journey(tmp_path: Path) -> None:
    report = tmp_path / "steps.json"
    command = [sys.executable, "-m", "tre.cli.main", "demo", "--json", str(report)]
    before = platform_processes()
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, env=os.environ, check=False)
    found = json.loads(report.read_text())
    assert found["ok"], [step for step in found["steps"] if not step["ok"]]
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(found["steps"]) >= STEPS
    assert all(step["evidence"] and step["seconds"] >= 0 for step in found["steps"])
    assert platform_processes() <= before


def platform_processes() -> set[int]:
    """Processes of this user that only a platform starts."""
    names = {"postgres", "bao", "traefik", "bwrap"}
    mine = os.getuid()
    processes = psutil.process_iter(["pid", "name", "uids"])
    return {p.info["pid"] for p in processes if p.info["name"] in names and p.info["uids"].real == mine}
