"""What a person is told of a pod: each state as the API server shows it, and each refusal in its own words."""

import json
from typing import Any

import pytest

from tre.errors import Conflict, LimitExceeded, TreError, Unavailable
from tre.workspaces.kubernetes import life


def pod(phase: str = "Pending", **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "workspace-1"}, "status": {"phase": phase, **status}}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    state = {"waiting": {"reason": reason, **({"message": message} if message else {})}}
    return pod(containerStatuses=[{"name": "workspace", "state": state}])


def over(**terminated: Any) -> dict[str, Any]:
    return pod("Failed", containerStatuses=[{"name": "workspace", "state": {"terminated": terminated}}])


def disrupted(reason: str) -> dict[str, Any]:
    target = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": "m"}
    return pod("Running", conditions=[target]) | {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}


def on_its_node(made_ready: str) -> dict[str, Any]:
    state = {"waiting": {"reason": "ContainerCreating"}}
    conditions = [
        {"type": "PodScheduled", "status": "True"},
        {"type": "PodReadyToStartContainers", "status": made_ready},
    ]
    return pod(conditions=conditions, containerStatuses=[{"name": "workspace", "state": state}])


UNBOUND_WORDS = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."
UNBOUND = pod(conditions=[{"type": "PodScheduled", "status": "False", "message": UNBOUND_WORDS}])
UNSCHEDULABLE = pod(
    conditions=[{"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available: 1 Insufficient cpu."}]
)


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (
            waiting("ErrImageNeverPull", "x is not present"),
            "The workspace cannot start: its image is not on the node: x",
        ),
        (waiting("ImagePullBackOff"), "The workspace cannot start: its image cannot be fetched."),
        (over(exitCode=3), "Its server ended with code 3."),
        (waiting("ContainerCreating"), ""),
        (waiting("ErrImagePull"), ""),  # tried once more by the kubelet
        (UNSCHEDULABLE, ""),  # a node may come
        (pod(), ""),
        (pod("Running"), ""),
    ],
)
def test_hopeless(shown: dict[str, Any], words: str):
    assert life.hopeless(shown).startswith(words)
    assert bool(life.hopeless(shown)) == bool(words)


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (None, "The cluster has not shown the workspace yet."),
        (UNSCHEDULABLE, "No node has room for the workspace: 0/1 nodes are available: 1 Insufficient cpu."),
        (UNBOUND, f"A volume of it is not there: {UNBOUND_WORDS}"),
        (on_its_node("False"), "Its node has not made the workspace's volumes and network ready."),
        (on_its_node("True"), "The workspace waits (ContainerCreating)."),
        (waiting("ContainerCreating"), "The workspace waits (ContainerCreating)."),
        (pod("Running"), "The workspace's server does not answer yet."),
    ],
)
def test_waits(shown: dict[str, Any] | None, words: str):
    assert life.waits(shown) == words


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (None, "Its pod is gone."),
        (pod("Running"), ""),
        (pod("Running") | {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}, "Its pod was deleted."),
        (disrupted("DeletionByTaintManager"), "Its node was lost."),
        (disrupted("EvictionByEvictionAPI"), "Its node is emptied by an administrator."),
        (disrupted("Unheard"), "Its pod was deleted."),
        (disrupted("DeletionByTaintManager") | {"metadata": {}}, ""),
        (pod("Failed", reason="DeadlineExceeded"), "It had reached its longest life."),
        (pod("Failed", reason="Evicted", message="low on memory"), "Its pod was ended (Evicted): low on memory."),
        (over(reason="OOMKilled", exitCode=137), "It used more memory than it may."),
        (pod("Succeeded"), "Its pod ended."),
    ],
)
def test_ended(shown: dict[str, Any] | None, words: str):
    assert life.ended(shown) == words


@pytest.mark.parametrize(
    ("status", "said", "kind", "words"),
    [
        (
            403,
            'pods "w" is forbidden: exceeded quota: project, requested',
            LimitExceeded,
            "all that it may have",
        ),
        (403, 'violates PodSecurity "restricted:v1.34"', Unavailable, "does not admit the workspace: violates Pod"),
        (404, 'namespaces "tre-cost" not found', Unavailable, "not ready yet"),
        (409, "exists", Conflict, "there already"),
        (500, "", Unavailable, "status 500"),
    ],
)
def test_refusals(status: int, said: str, kind: type[TreError], words: str):
    for body in (json.dumps({"message": said}), "[]", "no JSON"):
        assert isinstance(life.refusal(status, body), TreError)
    error = life.refusal(status, json.dumps({"message": said}))
    assert type(error) is kind
    assert words in error.message
