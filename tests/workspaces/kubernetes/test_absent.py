"""A running workspace without a pod ends; one whose pod was not seen because nobody looked does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from tests.fixtures.workspaces import Desk
from tre.errors import Unavailable
from tre.workspaces.kubernetes.absent import GRACE, end_absent
from tre.workspaces.kubernetes.content import POD, Kind
from tre.workspaces.kubernetes.names import COMPONENT, INSTALLATION, PROJECT, WORKSPACE, workspace_of
from tre.workspaces.kubernetes.world import WATCHED, World
from tre.workspaces.model import WorkspaceState

CONTROL = "tre-system"
BOOKMARK = {"kind": "Pod", "metadata": {"name": "", "resourceVersion": "9"}}


@dataclass
class ApiServer:
    """What it lists, and then tells; it can be away, as a network between can be."""

    pods: dict[str, dict[str, Any]] = field(default_factory=dict)
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    away: bool = False

    def pages(self, kind: Kind, query: Mapping[str, str]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        if self.away:
            raise Unavailable("The API server does not answer.")
        yield "5", list(self.pods.values()) if kind is POD else []

    def watch(
        self, kind: Kind, query: Mapping[str, str], version: str, seconds: int
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        yield from self.told
        self.told = []
        raise Unavailable("The API server's stream of changes broke off.")

    def run(self, workspace_id: str, **metadata: Any) -> None:
        labels = {INSTALLATION: CONTROL, PROJECT: "cost", WORKSPACE: workspace_id, COMPONENT: "workspace"}
        named = {"name": workspace_of(workspace_id), "namespace": "tre-cost", "uid": f"u-{workspace_id}"}
        self.pods[workspace_id] = {
            "metadata": {**named, "resourceVersion": "3", "labels": labels, **metadata},
            "status": {"phase": "Running"},
        }


@dataclass
class Cluster:
    desk: Desk
    server: ApiServer
    world: World

    def look(self) -> None:
        for kind in WATCHED:
            self.world.relist(kind)

    def hear(self) -> None:
        """What the stream of pods tells until it breaks off."""
        with pytest.raises(Unavailable):
            self.world._watch(POD, "5")

    def later(self, by: timedelta = GRACE) -> None:
        self.desk.people.clock.advance(seconds=by.total_seconds() + 1)

    def end_absent(self) -> int:
        return end_absent(self.desk.people.db, self.desk.leases, self.world, CONTROL)


@pytest.fixture
def cluster(desk: Desk) -> Cluster:
    server = ApiServer()
    return Cluster(desk, server, World(server, CONTROL, clock=desk.people.clock))  # type: ignore[arg-type]


def test_one_without_a_pod_ends_with_its_login(cluster: Cluster):
    workspace_id = cluster.desk.running()
    cluster.look()
    assert cluster.end_absent() == 0
    cluster.later()
    cluster.look()
    assert cluster.end_absent() == 1
    ended = cluster.desk.workspace(workspace_id)
    assert (ended.state, ended.reason) == (WorkspaceState.failed, "Its pod is gone.")
    assert cluster.desk.leases.live == {}
    assert cluster.end_absent() == 0


def test_one_whose_pod_is_there_stays(cluster: Cluster):
    cluster.server.run(cluster.desk.running())
    cluster.later()
    cluster.look()
    assert cluster.end_absent() == 0


def test_one_whose_pod_is_to_end_ends_with_the_reason(cluster: Cluster):
    workspace_id = cluster.desk.running()
    cluster.server.run(workspace_id, deletionTimestamp="2026-06-01T00:00:00Z")
    lost = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}
    cluster.server.pods[workspace_id]["status"]["conditions"] = [lost]
    cluster.later()
    cluster.look()
    assert cluster.end_absent() == 1
    assert cluster.desk.workspace(workspace_id).reason == "Its node was lost."


def test_before_anything_was_listed_nothing_is_absent(cluster: Cluster):
    cluster.desk.running()
    cluster.later()
    assert cluster.end_absent() == 0


def test_one_that_began_while_nobody_looked_is_not_absent(cluster: Cluster):
    """Cut off from the API server for a minute, a controller that leads again has an old picture for a moment."""
    cluster.look()
    cluster.server.away = True
    workspace_id = cluster.desk.running()
    cluster.server.run(workspace_id)
    cluster.later(timedelta(minutes=1))
    assert cluster.end_absent() == 0
    cluster.server.away = False
    cluster.look()
    assert cluster.end_absent() == 0
    assert cluster.desk.state(workspace_id) == WorkspaceState.running


@pytest.mark.parametrize("change", ["BOOKMARK", "DELETED"])
def test_a_stream_that_tells_something_is_a_look(cluster: Cluster, change: str):
    workspace_id = cluster.desk.running()
    cluster.server.run(workspace_id)
    cluster.look()
    shown = cluster.server.pods.pop(workspace_id)
    cluster.later()
    cluster.server.told = [("DELETED", shown)]
    if change == "BOOKMARK":
        cluster.hear()
        cluster.server.told = [("BOOKMARK", BOOKMARK)]
    cluster.hear()
    assert cluster.end_absent() == 1
