"""`tre verify` on a living platform: with a silent part, alone, recorded; and the platform's end with workspaces."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.demo.conftest import Living
from tests.stack.toys import part_of, wait_until
from tre.demo.stage import Stage, running_platform

pytestmark = pytest.mark.timeout(600)


def live(stage: Stage) -> dict[str, str]:
    """Username → id of the running workspace."""
    return {w["username"]: w["id"] for w in stage.tre("ada", "workspace", "list", "--live")}


def verify(stage: Stage, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tre.cli.main", "verify", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env=stage.environment("machine"), timeout=300, check=False
    )


def recorded(stage: Stage) -> dict[str, Any]:
    """The last verification in the audit record."""
    detail: dict[str, Any] = stage.tre("aude", "audit", "list", "--action", "workspace.verify")[0]["detail"]
    return detail


def test_a_part_that_is_silent_is_no_wall(stage: Stage) -> None:
    """The intake does not answer: its tokens could not be tried, and that is a failure, said to people and recorded."""
    intake = part_of(stage.settings, "intake").pid
    os.kill(intake, signal.SIGSTOP)
    try:
        done = verify(stage, live(stage)["rhea"])
    finally:
        os.kill(intake, signal.SIGCONT)
    assert done.returncode == 20, done.stderr
    assert "could_not_run" in done.stdout
    assert "unsigned-token" in done.stderr
    assert "tre doctor" in done.stderr


def test_alone_it_gets_a_neighbour_of_nobody(stage: Stage) -> None:
    """Otto's workspace ends: rhea's is verified beside one that is gone afterwards."""
    workspaces = live(stage)
    stage.tre("ada", "workspace", "stop", workspaces["otto"], "--reason", "Lunch.")
    wait_until(lambda: "otto" not in live(stage), 30)
    done = verify(stage, workspaces["rhea"], "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0, [probe for probe in report["probes"] if probe["verdict"] != "refused"]
    inside = {probe["workspace_id"] for probe in report["probes"]}
    (stranger,) = {one for one in inside - {workspaces["rhea"]} if f"intake of {one}" in report["left_out"]}
    assert stranger.startswith("probe-")
    assert os.listdir(stage.settings.run / "workspaces") == [workspaces["rhea"]]
    assert not [name for name in os.listdir(stage.settings.state) if name.startswith("verify-")]
    assert not [name for name in os.listdir(home_of(stage, "rhea")) if "probe" in name or "verify" in name]


def home_of(stage: Stage, username: str) -> Path:
    (found,) = stage.settings.homes.glob(f"*/{username}")
    return found


def test_both_verifications_are_recorded(stage: Stage) -> None:
    stage.login("aude")
    last = recorded(stage)
    assert last["ok"]
    assert last["refused"] > 90


@pytest.mark.parametrize(("workspace", "code"), [("nobody-knows", 3), ("../people", 3)])
def test_a_workspace_that_is_not_there_is_named(stage: Stage, workspace: str, code: int) -> None:
    done = verify(stage, workspace, "--json")
    assert done.returncode == code, done.stderr


def test_the_platforms_end_revokes_the_logins_of_its_workspaces(living: Living) -> None:
    stage, workspace = living.stage, live(living.stage)["rhea"]
    living.end()
    with running_platform(stage):
        shown = stage.tre("ada", "workspace", "show", workspace)
        assert (shown["state"], shown["credential"]) == ("stopped", "revoked"), shown
        assert shown["reason"] == "The platform was stopped."
        with psycopg.connect(stage.settings.data_conninfo("tre_admin")) as db:
            assert db.execute("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'w\\_%'").fetchone() == (0,)
