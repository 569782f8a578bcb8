"""`tre verify` in a pod of the api: asked for over the internal API, waited for, told as on one machine."""

import io
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import uvicorn

from tests.cli.conftest import Run
from tests.fixtures.workspaces import Desk
from tests.test_cluster_settings import FILE
from tre.api.app import internal_app
from tre.api.platform import Platform
from tre.cli import verify
from tre.credentials import Secrets
from tre.credentials.files import write_secret
from tre.door.probes.told import NAMES
from tre.errors import TreError
from tre.outputs.content.folder import in_folder
from tre.settings import Settings
from tre.settings.cluster import load
from tre.stack.ports import free_ports
from tre.workspaces import verifications
from tre.workspaces.probes.report import Report, Result
from tre.workspaces.verifications import Task

INTERNAL = 5
WALL = "network policy"
GOOD = Result("pod-api-server", "probe-1", WALL, "talk to the API server", "refused", "nothing there")
BAD = Result("pod-kubelet", "probe-1", WALL, "talk to the kubelet of a node", "reached", "tcp://10.0.0.1:10250 is open")
GREEN, RED = Report((GOOD,), ("etcd (nobody gets an answer)",)), Report((GOOD, BAD))


@dataclass
class Pod:
    """The api's pod, and a controller's part of the work by hand."""

    desk: Desk
    tre: Run

    def controlled(self, act: Callable[[Task], object]) -> threading.Thread:
        """Takes the first verification there is and acts on it."""

        def run() -> None:
            while (task := verifications.take(self.desk.people.db)) is None:
                time.sleep(0.05)
            act(task)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def report(self, report: Report) -> Callable[[Task], object]:
        def act(task: Task) -> None:
            verifications.says(self.desk.people.db, task, "from inside a pod as a workspace's")
            time.sleep(0.2)
            verifications.done(self.desk.people.db, task, report)

        return act


@pytest.fixture
def pod(
    desk: Desk, tre: Run, secrets: Secrets, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Pod]:
    file, port = tmp_path / "cluster.toml", free_ports(1)
    file.write_text(FILE.replace("[hosts]\n", '[hosts]\napi = "127.0.0.1"\n'))
    found = replace(settings, port=port - INTERNAL, cluster_file=file, cluster=load(file))
    write_secret(found.secret_file("internal-machine.token"), "token-of-machine\n")
    for name, value in found.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(verify, "LOOK_SECONDS", 0.05)
    platform = Platform(found, desk.people.db, secrets, in_folder(tmp_path / "content"))
    server = uvicorn.Server(uvicorn.Config(internal_app(platform), port=port, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield Pod(desk, tre)
    server.should_exit = True
    thread.join()
    found.secret_file("internal-machine.token").unlink()


def test_the_controller_tries_and_the_command_tells_as_on_one_machine(pod: Pod):
    workspace_id = pod.desk.running()
    for report, code in ((GREEN, 0), (RED, 20)):
        thread = pod.controlled(pod.report(report))
        ran = pod.tre("verify", workspace_id, "--json")
        thread.join(10)
        assert (ran.code, json.loads(ran.out)) == (code, report.to_dict()), ran.err
        assert "Trying every way out from inside a pod as a workspace's" in ran.err
    assert '"message":"Not refused: pod-kubelet."' in ran.err.replace('": "', '":"')
    assert [event["detail"]["ok"] for event in pod.desk.events("workspace.verify")] == [True, False]


def test_for_people_it_is_a_table_and_what_was_left_out(pod: Pod):
    thread = pod.controlled(pod.report(GREEN))
    ran = pod.tre("verify", pod.desk.running())
    thread.join(10)
    assert ran.code == 0, ran.err
    assert WALL in ran.out
    assert "Left out, since there is none: etcd (nobody gets an answer).\n1 of 1 attempts were refused" in ran.out


def test_what_cannot_be_tried_is_said_in_words(pod: Pod):
    workspace_id, db = pod.desk.running(), pod.desk.people.db
    thread = pod.controlled(lambda task: verifications.fail(db, task, "No node is ready."))
    ran = pod.tre("verify", workspace_id)
    thread.join(10)
    assert (ran.code, ran.out) == (75, "")
    assert "The walls were not tried: No node is ready." in ran.err


def test_a_second_one_is_refused_and_so_is_a_workspace_that_does_not_run(pod: Pod):
    workspace_id = pod.desk.running()
    verifications.request(pod.desk.people.db, workspace_id)
    ran = pod.tre("verify", workspace_id)
    assert (ran.code, ran.out) == (4, "")
    assert "of this workspace is under way" in ran.err
    assert pod.tre("verify", "nobody-knows").code == 3
    pod.desk.report(workspace_id, "stopped")
    assert "The workspace is stopped." in pod.tre("verify", workspace_id).err


def test_who_asks_about_one_machine_in_a_pod_is_told_so(pod: Pod):
    from tre.cli.internal import internal_call

    with pytest.raises(TreError, match="On a cluster the controller tries"):
        internal_call("GET", f"/internal/workspaces/{pod.desk.running()}/verification")


# What was asked in a guard's pod.


def door(workspace_id: str, **verdicts: str) -> Report:
    """What a guard's pod prints."""
    values = dict.fromkeys(NAMES - {"guard-traps"}, "refused") | {f"guard-{key}": verdicts[key] for key in verdicts}
    return Report(tuple(Result(name, workspace_id, "guard", "fetch", values[name], "") for name in sorted(values)))


def printed(monkeypatch: pytest.MonkeyPatch, report: object) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(report if isinstance(report, str) else json.dumps(report)))


@pytest.mark.parametrize(("verdict", "code"), [("refused", 0), ("reached", 20), ("could_not_run", 20)])
def test_what_a_guards_pod_printed_is_a_part_of_the_report(
    pod: Pod, monkeypatch: pytest.MonkeyPatch, verdict: str, code: int
):
    workspace_id = pod.desk.running()
    told = door(workspace_id, files=verdict)
    printed(monkeypatch, told.to_dict())
    thread = pod.controlled(pod.report(GREEN))
    ran = pod.tre("verify", workspace_id, "--door", "-", "--json")
    thread.join(10)
    assert (ran.code, json.loads(ran.out)) == (code, GREEN.beside(told).to_dict()), ran.err
    (event,) = pod.desk.events("workspace.verify")
    assert event["detail"] == GREEN.beside(told).record()


def test_a_part_of_it_is_a_failure_whatever_it_says_of_itself(pod: Pod, monkeypatch: pytest.MonkeyPatch):
    workspace_id = pod.desk.running()
    whole = door(workspace_id).to_dict()
    printed(monkeypatch, whole | {"ok": True, "probes": whole["probes"][1:]})
    thread = pod.controlled(pod.report(GREEN))
    ran = pod.tre("verify", workspace_id, "--door", "-")
    thread.join(10)
    assert (ran.code, "Not refused: guard-another-workspace." in ran.err) == (20, True), ran.err


def test_what_is_no_report_about_this_workspaces_guard_is_not_taken_in(pod: Pod, monkeypatch: pytest.MonkeyPatch):
    workspace_id = pod.desk.running()
    whole = door(workspace_id).to_dict()
    foreign = {**whole, "probes": [{**whole["probes"][0], "name": "pod-kubelet"}]}
    for wrong in ("", "[" * 100_000, [], "null", whole | {"more": 1}, {"ok": True}, door("w2").to_dict(), foreign):
        printed(monkeypatch, wrong)
        ran = pod.tre("verify", workspace_id, "--door", "-")
        assert (ran.code, ran.out) == (2, ""), (wrong, ran)
        assert "door" in ran.err, (wrong, ran)
    assert pod.desk.events("verification.request") == []


def test_without_it_people_are_told_what_was_not_tried(pod: Pod):
    thread = pod.controlled(pod.report(GREEN))
    ran = pod.tre("verify", pod.desk.running())
    thread.join(10)
    assert "Not tried: the guard, in every spelling" in ran.out


def test_on_one_machine_there_is_nothing_to_take_in(tre: Run, settings: Settings, monkeypatch: pytest.MonkeyPatch):
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    printed(monkeypatch, door("w1").to_dict())
    ran = tre("verify", "w1", "--door", "-")
    assert (ran.code, "On one machine the guard is asked by this command itself." in ran.err) == (2, True)
