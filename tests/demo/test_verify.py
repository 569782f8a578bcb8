"""`tre verify` on a living platform: with a silent part, alone, recorded; and the platform's end with workspaces."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.demo.conftest import Living
from tests.stack.toys import part_of, wait_until
from tre.demo.machine import OneMachine
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


def test_a_lost_precondition_ends_a_workspace_within_ten_seconds(stage: Stage) -> None:
    """Otto's training ends: every process of his workspace is gone, and the login of its database."""
    mine = live(stage)["otto"]
    machine, login = OneMachine(stage), "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'w\\_%'"
    with psycopg.connect(stage.settings.data_conninfo("tre_admin"), autocommit=True) as db:
        before = db.execute(login).fetchone()
        assert machine.hold(mine) > 3
        yesterday = str(date.today() - timedelta(days=1))
        stage.tre("ada", "person", "end-standing", "otto", "training", "--on", yesterday)
        start = time.monotonic()
        assert machine.left(seconds=10) == []
        wait_until(lambda: db.execute(login).fetchone() != before, 10 - (time.monotonic() - start))
    wait_until(lambda: "otto" not in live(stage), 30)
    shown = stage.tre("ada", "workspace", "show", mine)
    assert (shown["state"], shown["credential"]) == ("stopped", "revoked")
    assert "training" in shown["reason"]


def test_alone_it_gets_a_neighbour_of_nobody(stage: Stage) -> None:
    """Otto's workspace has ended: rhea's is verified beside one that is gone afterwards."""
    workspaces = live(stage)
    assert "otto" not in workspaces
    done = verify(stage, workspaces["rhea"], "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0, [probe for probe in report["probes"] if probe["verdict"] != "refused"]
    assert {probe["verdict"] for probe in report["probes"]} == {"refused"}
    assert len({probe["name"] for probe in report["probes"]}) >= 35
    told = [re.match(r"(\d+) spellings", probe["detail"]) for probe in report["probes"] if probe["wall"] == "guard"]
    assert sum(int(found[1]) for found in told if found) >= 10_000
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
