"""What the suite says of itself: what it did not run, and what it did not try."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests import covered
from tests.cluster import suite

CHECKOUT = Path(__file__).parents[1]


def run_suite(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A suite of its own, which knows nothing of this one."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "TRE_COVERAGE"))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=CHECKOUT, env={**own, **environment}, timeout=120, check=False
    )


def test_without_a_browser_its_tests_are_named_as_not_run():
    files = ("tests/web/test_browser.py", "tests/door/test_browser.py")
    done = run_suite(*files, TRE_CHROMIUM="/nonexistent/chromium")
    assert done.returncode == 0, done.stdout
    assert "passed" not in done.stdout
    for file in files:
        named = [line for line in done.stdout.splitlines() if line.startswith("SKIPPED") and file in line]
        assert named
        assert all("NOT RUN: chromium is missing" in line for line in named)


def test_rules_and_services_are_measured_and_nothing_below_their_rooms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(covered, "FOLDER", tmp_path)
    assert run_suite("tests/people/test_rules.py", TRE_COVERAGE=str(tmp_path)).returncode == 0
    measured = covered.measurement(tmp_path, suffix=False)
    measured.combine([str(path) for path in tmp_path.glob("all.*")], keep=True)
    files = {str(Path(file).relative_to(CHECKOUT)) for file in measured.get_data().measured_files()}
    assert "tre/people/rules.py" in files
    assert not [file for file in files if file.count("/") != 2 or file.split("/")[1] not in covered.SUBJECTS]
    assert covered.main() == 1, "one file of tests does not take them all"
    assert "least: 95 %" in capsys.readouterr().out
    monkeypatch.setattr(covered, "LEAST", 0.0)
    assert covered.main() == 0


def test_what_tests_said_is_told_also_where_their_cluster_does_not_go(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(command: list[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, int("down" in command), stdout=f"{command[2:4]}\n")

    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setattr(suite, "told", told)
    assert not suite.passes(suite.Part("failures", ("tests/x",), images=("hub",)))
    said = capsys.readouterr().out
    assert "['pytest', '-q']" in said
    assert "['tests.cluster', 'down']" in said
