"""Nodes of a real cluster are shown to confine, it is written down, and workspaces then start there and only there."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.cluster.machine.configs import PYTHON_IMAGE
from tests.cluster.projects.house import Installation
from tre.errors import GateClosed
from tre.workspaces import nodes
from tre.workspaces.kubernetes.content import NAMESPACE
from tre.workspaces.kubernetes.names import canary_of
from tre.workspaces.kubernetes.proving import Prover, ready_nodes
from tre.workspaces.model import NodeProof


@pytest.fixture
def prover(installation: Installation):
    cluster = replace(installation.cluster, image=PYTHON_IMAGE, pull_policy="Never")
    yield Prover(installation.desk.people.db, cluster, installation.api)
    installation.api.ask("DELETE", NAMESPACE.path(name=canary_of(cluster.control_namespace)), {})


def test_after_the_canary_a_workspace_starts_there(installation: Installation, prover: Prover):
    desk = installation.desk
    desk.places = replace(desk.places, on_cluster=True)
    with desk.people.db.read() as session, pytest.raises(GateClosed, match="not shown yet"):
        nodes.proven(session, desk.people.clock())
    ready = ready_nodes(installation.api)
    assert prover.prove() == len(ready)
    with desk.people.db.read() as session:
        assert nodes.proven(session, desk.people.clock()) == tuple(sorted(node.name for node in ready))
    assert [event["detail"] for event in desk.events("cluster.prove")] == [{"proven": True, "reason": ""}] * len(ready)
    # Nothing is due, so nothing is done; later it is shown again, and the same once more is no event.
    assert prover.prove() == 0
    desk.people.clock.set(desk.people.clock() + timedelta(minutes=11))
    assert prover.prove() == len(ready)
    assert len(desk.events("cluster.prove")) == len(ready)


def test_another_node_of_the_same_name_is_shown_anew_and_a_gone_one_is_forgotten(
    installation: Installation, prover: Prover
):
    desk, (node, *_) = installation.desk, ready_nodes(installation.api)
    with desk.people.db.transaction() as session:
        for name, uid in ((node.name, "another"), ("gone", "x")):
            proof = NodeProof(node=name, uid=uid, proven=True, reason="", shown_at=desk.people.clock())
            session.add(proof)
    assert prover.prove() >= 1
    with desk.people.db.read() as session:
        assert session.get(NodeProof, node.name).uid == node.uid
        assert session.get(NodeProof, "gone") is None
