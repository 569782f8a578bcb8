"""`tre verify` in a pod of the api: asked for over the internal API, waited for, told as on one machine."""

import json
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
