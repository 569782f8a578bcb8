"""A verification beside a converging controller: the one pod that tries lives, no other does, and nothing stays."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete

from tests.cluster.machine.configs import PYTHON_IMAGE
from tests.cluster.projects.house import Installation, Object
from tre.errors import NotFound, TreError
from tre.workspaces import verifications
from tre.workspaces.kubernetes import canary
from tre.workspaces.kubernetes.aims import Surroundings
from tre.workspaces.kubernetes.content import LIMIT_RANGE, NAMESPACE, POD
from tre.workspaces.kubernetes.names import canary_of, workspace_of
from tre.workspaces.kubernetes.proving import Prover
from tre.workspaces.kubernetes.verification import Trial, nobody, probe_pod
from tre.workspaces.kubernetes.verifier import Verifier
from tre.workspaces.model import NodeProof, Verification, Workspace, WorkspaceState
from tre.workspaces.verifications import Told

pytestmark = pytest.mark.timeout(400)


@dataclass
class Scene:
    installation: Installation
    verifier: Verifier
    workspace_id: str

    def row(self) -> Verification | None:
        with self.installation.desk.people.db.read() as session:
            return session.query(Verification).one_or_none()

    def request(self) -> Told:
        return verifications.request(self.verifier.db, self.workspace_id)

    def told(self, number: int) -> Told:
        return verifications.look(self.verifier.db, self.workspace_id, number)

    def pods(self, space: str = "") -> list[str]:
        found = self.installation.api.ask("GET", POD.path(space or self.installation.space), {})["items"]
        return [each["metadata"]["name"] for each in found if "deletionTimestamp" not in each["metadata"]]

    def nothing_stays(self) -> None:
        """But for what a node still ends."""
        assert self.pods() == []
        assert self.pods(canary_of(self.verifier.cluster.control_namespace)) == []

    def begun(self) -> threading.Thread:
        thread = threading.Thread(target=self.verifier.verify, args=(lambda: True,), daemon=True)
        thread.start()
        return thread

    def hub_makes(self, probe: str, name: str) -> Object:
        """As the hub may: a pod with every label of the one that tries, which no node takes."""
        plan = nobody(Trial(self.installation.slug, probe), ())
        made = probe_pod(self.verifier.cluster, plan, "x")
        made["metadata"] |= {"name": name, "annotations": {"tre.example/keep": "yes"}}
        made["spec"]["nodeSelector"] = {"tre.example/none": "x"}
        return self.installation.api.create(POD, made)


@pytest.fixture
def scene(installation: Installation) -> Iterator[Scene]:
    desk = installation.desk
    cluster = replace(installation.cluster, image=PYTHON_IMAGE, pull_policy="Never")
    now = desk.people.clock()
    running = Workspace(
        id="w1",
        project_slug=installation.slug,
        username="bob",
        state=WorkspaceState.running,
        state_since=now,
        requested_at=now,
        expires_at=now + timedelta(days=1),
    )
    with desk.people.db.transaction() as session:
        session.add(running)
    installation.converge()
    around = Surroundings({"servers": ["tcp://192.0.2.1:5432"]}, frozenset({"tcp://192.0.2.1:5432"}))
    verifier = Verifier(
        desk.people.db,
        installation.api,
        cluster,
        lambda: around,
        lambda workspace, probe: None,
        lambda project, probe: nullcontext(),
    )
    yield Scene(installation, verifier, "w1")
    installation.api.ask("DELETE", NAMESPACE.path(name=canary_of(cluster.control_namespace)), {})


def until(right: Callable[[], Any], seconds: float = 120) -> Any:
    end = time.monotonic() + seconds
    while not (answer := right()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return answer


def test_while_it_tries_drift_is_repaired_and_no_other_pod_lives(scene: Scene) -> None:
    installation = scene.installation
    asked, thread = scene.request(), scene.begun()
    row = until(lambda: (found := scene.row()) and found.pod_uid and found)
    true = workspace_of(row.probe)
    scene.hub_makes(row.probe, f"{true}-too")
    installation.api.ask("DELETE", LIMIT_RANGE.path(installation.space, "project"), {})
    installation.converge()
    assert installation.get(LIMIT_RANGE, "project")
    assert scene.pods() == [true]
    assert scene.told(asked.number).state == "running"
    while thread.is_alive():
        installation.converge()
        time.sleep(0.3)
    ended = scene.told(asked.number)
    assert (ended.state, ended.reason) == ("done", "")
    assert ended.report is not None
    assert ended.report["ok"], [each for each in ended.report["probes"] if each["verdict"] != "refused"]
    assert {"pod-servers", "pod-api-server", "pod-kubelet"} <= {each["name"] for each in ended.report["probes"]}
    assert installation.desk.events("workspace.verify")[-1]["detail"]["refused"] > 35
    ends = [name for event in installation.events() for name in event["detail"].get("ended", [])]
    assert ends == [f"Pod/{true}-too"]
    scene.nothing_stays()


def test_a_pod_that_comes_into_its_place_ends_and_its_word_is_no_report(scene: Scene) -> None:
    asked, thread = scene.request(), scene.begun()
    row = until(lambda: (found := scene.row()) and found.pod_uid and found)
    name, api, space = workspace_of(row.probe), scene.installation.api, scene.installation.space
    api.ask("DELETE", POD.path(space, name), {}, {"gracePeriodSeconds": 0})
    until(lambda: _made(scene, row.probe, name))
    scene.installation.converge()
    assert name not in scene.pods()
    thread.join(60)
    ended = scene.told(asked.number)
    assert ended.state == "failed"
    assert "replaced by another" in ended.reason or "ended by somebody" in ended.reason
    assert scene.installation.desk.events("workspace.verify") == []
    scene.nothing_stays()


def _made(scene: Scene, probe: str, name: str) -> bool:
    try:
        scene.hub_makes(probe, name)
    except TreError:
        return False
    return True


def test_the_next_who_leads_cleans_up_what_was_broken_off_and_tries_again(scene: Scene) -> None:
    asked, db, api = scene.request(), scene.verifier.db, scene.installation.api
    first = verifications.take(db)
    assert first is not None
    left = scene.hub_makes(first.probe, workspace_of(first.probe))
    verifications.shows(db, first, left["metadata"]["uid"])
    # Its controller was killed here.
    assert scene.verifier.verify(lambda: True) == 1
    ended = scene.told(asked.number)
    assert (ended.state, scene.row().attempts) == ("done", 2)  # type: ignore[union-attr]
    with pytest.raises(NotFound):
        api.ask("GET", POD.path(scene.installation.space, workspace_of(first.probe)), {})
    scene.nothing_stays()


def test_canaries_and_verifications_clear_each_their_own_pods(scene: Scene) -> None:
    verifier, space = scene.verifier, canary_of(scene.verifier.cluster.control_namespace)
    prover = Prover(verifier.db, verifier.cluster, verifier.api)
    assert prover.prove()
    for name, round in (("of-a-verification", canary.VERIFICATION), ("of-a-round", "x")):
        verifier.api.create(POD, canary.listener(verifier.cluster, name, canary.FREE, round))
    with verifier.db.transaction() as session:
        session.execute(delete(NodeProof))
    assert prover.prove()
    assert scene.pods(space) == ["of-a-verification"]
    verifier.api.create(POD, canary.listener(verifier.cluster, "of-the-next-round", canary.FREE, "x"))
    asked = scene.request()
    assert verifier.verify(lambda: True) == 1, scene.told(asked.number).reason
    assert scene.pods(space) == ["of-the-next-round"]


def test_where_no_pod_can_be_had_it_fails_with_the_reason(scene: Scene) -> None:
    """Another of the project's pods has the whole quota."""
    for number in range(2):
        scene.hub_makes(f"probe-{number}", f"workspace-probe-{number}")
    asked = scene.request()
    assert scene.verifier.verify(lambda: True) == 0
    ended = scene.told(asked.number)
    assert ended.state == "failed"
    assert "exceeded quota" in ended.reason
