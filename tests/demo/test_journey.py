"""The journey as a newcomer plays it: `tre demo`, every step, nothing left running."""

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from click.testing import CliRunner

from tre.cli.demo import demo
from tre.demo import journey
from tre.demo.journey import Step
from tre.demo.stage import Unexpected

STEPS = 27


@pytest.mark.timeout(600)
def test_the_whole_journey(tmp_path: Path) -> None:
    report = tmp_path / "steps.json"
    command = [sys.executable, "-m", "tre.cli.main", "demo", "--json", str(report)]
    with tempfile.TemporaryDirectory(prefix="j-", dir="/tmp") as folder:
        environment = {**os.environ, "TMPDIR": folder, "COLUMNS": "1000"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=500, env=environment, check=False)
        left = list(processes_of(folder))
    found = json.loads(report.read_text())
    assert found["ok"], [step for step in found["steps"] if not step["ok"]]
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(found["steps"]) >= STEPS
    assert all(step["evidence"] and step["seconds"] >= 0 for step in found["steps"])
    assert left == []
    for name, outcome in told(done.stdout, [step["name"] for step in found["steps"]]).items():
        assert outcome == "ok", name
        assert re.search(rf"^ok +[0-9.]+ s +{re.escape(name)}", done.stderr, re.MULTILINE), "while it runs"


@pytest.mark.timeout(300)
def test_one_that_is_broken_off_leaves_nothing_running() -> None:
    command = [sys.executable, "-m", "tre.cli.main", "demo"]
    with tempfile.TemporaryDirectory(prefix="j-", dir="/tmp") as folder:
        environment = {**os.environ, "TMPDIR": folder}
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as played:
            assert played.stderr
            assert "start: every server" in played.stderr.readline()
            played.terminate()
            played.communicate(timeout=200)
        assert played.returncode != 0
        assert list(processes_of(folder)) == []


def told(table: str, names: list[str]) -> dict[str, str]:
    """Step → outcome, as the table at the end has them on a wide terminal; evidence may go over lines."""
    head, *lines = table.splitlines()
    step, outcome, seconds, evidence = (head.index(title) for title in ("step", "outcome", "seconds", "evidence"))
    assert step < outcome < seconds < evidence
    found = {line[:outcome].strip(): line[outcome:seconds].strip() for line in lines if line[:outcome].strip()}
    assert list(found) == names, table
    return found


def test_a_step_that_fails_ends_the_journey_and_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    played: list[str] = []

    def step(name: str, problem: Exception | None = None) -> Step:
        def run() -> str:
            played.append(name)
            if problem:
                raise problem
            return "seen"

        return name, run

    @contextlib.contextmanager
    def nothing(*_: object) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(url="", settings=SimpleNamespace(state=""))

    monkeypatch.setattr(journey, "temporary_stage", nothing)
    monkeypatch.setattr(journey, "running_platform", nothing)
    monkeypatch.setattr(
        journey, "steps", lambda _: [step("one"), step("two", Unexpected("a wall is open")), step("three")]
    )
    report = tmp_path / "steps.json"
    # What root becomes before the journey has its own tests.
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    ran = CliRunner().invoke(demo, ["--json", str(report)])
    assert (ran.exit_code, played) == (1, ["one", "two"])
    found = json.loads(report.read_text())
    assert not found["ok"]
    assert [(one["ok"], one["problem"]) for one in found["steps"]] == [
        *[(True, ""), (True, ""), (False, "a wall is open"), (True, "")]
    ]
    assert "FAILED" in ran.output


def processes_of(folder: str) -> Iterator[list[str]]:
    """Command lines of processes that were told of a folder. Others' demonstrations may run beside ours."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            told = [*process.cmdline(), *process.environ().values()]
            if any(folder in word for word in told):
                yield process.cmdline()
