"""The embedded journey, the same steps, on a release of the chart: `tre demo --on kubernetes`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.demo.test_journey import STEPS
from tre.demo.governance import OTHER_PROJECT, PROJECT
from tre.workspaces.kubernetes.names import namespace_of

from .release import Release

TEAMS = {PROJECT: ("rhea", "milo"), OTHER_PROJECT: ("otto",)}


@pytest.mark.timeout(900)
def test_the_whole_journey(release: Release, tmp_path: Path) -> None:
    play(release, tmp_path)


def play(release: Release, folder: Path) -> None:
    for project, team in TEAMS.items():
        release.provide(namespace_of(release.space.name, project), "data", *(f"home-{name}" for name in team))
    release.settle()
    report = folder / "steps.json"
    asked = ("demo", "--on", "kubernetes", "--namespace", release.space.name, "--json", str(report))
    path = f"{release.place.programs}:{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "tre.cli.main", *asked],
        capture_output=True,
        text=True,
        timeout=800,
        env={**release.kubectl.environment, "PATH": path},
        check=False,
    )
    found = json.loads(report.read_text())
    assert found["ok"], "\n".join(f"{step['name']}: {step['problem']}" for step in found["steps"] if not step["ok"])
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(found["steps"]) >= STEPS
