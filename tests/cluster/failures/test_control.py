"""The cluster's own servers go away and come back: who works goes on, who comes is told why not yet.

People come through proxy and guard alone, so that an open workspace needs none of them.
"""

from __future__ import annotations

import time

import pytest

from tests.cluster.chart.researcher import Researcher
from tre.workspaces.kubernetes.absent import GRACE

from .machine import Machine
from .scene import LOG_IN, Scene, succeeds, within

pytestmark = pytest.mark.timeout(500)


def test_the_api_server_is_killed(scene: Scene, machine: Machine) -> None:
    before = machine.kill("kube-apiserver")
    assert scene.researcher.says("print(x)") == "41"
    assert scene.researcher.rows() == "60 60"
    assert scene.researcher.live() == [scene.workspace]
    within(60, lambda: scene.release.kubectl("get", "--raw=/readyz"))
    assert machine.process("kube-apiserver") != before
    scene.nothing_is_lost()


def test_the_api_server_does_not_answer_for_a_while(scene: Scene, newcomer: Researcher, machine: Machine) -> None:
    """Longer than a Lease. Nobody can see or make a pod: what runs goes on, what would start is refused in words."""
    with machine.stopped("kube-apiserver"):
        scene.refused(newcomer, "cluster", 150)
        assert scene.researcher.says("print(x)") == "41"
        assert scene.researcher.rows() == "60 60"
    within(60, lambda: scene.release.kubectl("get", "--raw=/readyz"))
    assert within(60, scene.leader) in scene.pods("controller")
    scene.nothing_is_lost()
    succeeds(60, newcomer.start)
    assert newcomer.rows() == "60 60"
    newcomer.leave()


def test_a_hub_that_begins_while_the_api_server_is_away(scene: Scene, machine: Machine) -> None:
    """The kubelet begins its container anew, and it can see no pod: longer than it waits for the first look."""
    with machine.stopped("kube-apiserver"):
        machine.kill("python", "jupyterhub")
        time.sleep(75)
        assert scene.researcher.says("print(x)") == "41"
        assert scene.researcher.live() == [scene.workspace]
    within(60, lambda: scene.release.kubectl("get", "--raw=/readyz"))
    scene.nothing_is_lost()


def test_etcd_is_slow(scene: Scene, newcomer: Researcher, machine: Machine) -> None:
    """Every write waits for it. A start takes longer, or is refused in words; nothing is done twice."""
    with machine.slow("etcd", runs=0.3, stands=1.2):
        assert scene.researcher.says("print(x)") == "41"
        succeeds(60, newcomer.start)
        assert newcomer.rows() == "60 60"
    newcomer.leave()
    scene.nothing_is_lost()


def test_the_kubelet_is_killed(scene: Scene, machine: Machine) -> None:
    before = machine.kill("kubelet")
    assert scene.researcher.says("print(x)") == "41"
    within(60, lambda: machine.process("kubelet"), lambda found: found != before)
    scene.nothing_is_lost()


def test_the_kubelet_stands_still_for_a_moment(scene: Scene, machine: Machine) -> None:
    """Shorter than what the cluster takes for the loss of a node."""
    with machine.stopped("kubelet"):
        time.sleep(15)
        assert scene.researcher.says("print(x)") == "41"
        assert scene.researcher.rows() == "60 60"
    scene.nothing_is_lost()


def test_a_node_that_is_lost(scene: Scene, newcomer: Researcher, machine: Machine) -> None:
    """It goes on without anybody who could end what runs on it: the workspace's login ends all the same, and the list
    says why. Our own parts are on the same node, where they would be on others: their Services keep them.
    """
    login = scene.login()
    assert machine.on_the_node(LOG_IN, login) == "works"
    with scene.parts_elsewhere(), machine.stopped("kubelet"):
        assert scene.researcher.rows() == "60 60"
        found = within(150, scene.ended, lambda said: said[0] == "failed")
        assert found == ("failed", "Its node was lost."), found
        assert scene.pod()["metadata"]["deletionTimestamp"]
        assert machine.on_the_node(LOG_IN, login) == "refused"
    scene.release.settle()
    within(60, scene.gone)
    # The canary looks at a node that came back as at a new one.
    succeeds(150, scene.again)
    scene.nothing_is_lost()
    newcomer.start()
    assert newcomer.rows() == "60 60"
    newcomer.leave()


def test_a_leader_that_is_cut_off_stops_acting(scene: Scene, newcomer: Researcher, machine: Machine) -> None:
    """Of two controllers the other leads. The one reaches the database still, and could end what it did not see."""
    policy = ("--namespace", scene.space, "networkpolicy/default-deny")
    leader = scene.leader()
    with machine.cut_off(scene.address(leader)):
        other = within(60, scene.leader, lambda found: found not in ("", leader))
        # Where the one was proving a node just then, the other proves it anew.
        succeeds(60, newcomer.start)
        scene.release.kubectl("delete", *policy)
        assert within(10, lambda: scene.release.kubectl("get", *policy, "--output=name"))
        time.sleep(GRACE.total_seconds() + 10)
        assert newcomer.rows() == "60 60"
        assert "the lease was not renewed" in scene.release.space("logs", leader)
    assert scene.leader() == other
    scene.kill(other)
    assert within(60, scene.leader, lambda found: found not in ("", other))
    scene.nothing_is_lost()
    assert newcomer.rows() == "60 60"
    newcomer.leave()
