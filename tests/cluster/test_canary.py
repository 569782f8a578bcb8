"""The canary on a real node: walls that hold are seen to, and each that is missing is named."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workspaces.kubernetes.house import cluster
from tre.workspaces.kubernetes import canary
from tre.workspaces.kubernetes.api import Api
from tre.workspaces.kubernetes.cluster import Cluster
from tre.workspaces.kubernetes.names import canary_of
from tre.workspaces.kubernetes.namespace import Object
from tre.workspaces.kubernetes.proving import ready_nodes, show

from .machine import lifecycle
from .machine.configs import PYTHON_IMAGE
from .machine.contents import Kubectl
from .machine.place import Place
from .machine.servers import POLICIES
from .test_lifecycle import beside

__all__ = ["beside"]


def an_installation() -> Cluster:
    return cluster(control_namespace=f"tre-c{secrets.token_hex(4)}", image=PYTHON_IMAGE, pull_policy="Never")


@pytest.fixture
def installation(kubectl: Kubectl) -> Iterator[Cluster]:
    found = an_installation()
    yield found
    kubectl("delete", "namespace", "--wait=false", "--ignore-not-found", canary_of(found.control_namespace))


def verdicts(installation: Cluster, kubeconfig: Path) -> list[canary.Verdict]:
    api = Api.connect(kubeconfig)
    return [verdict for _, verdict in show(installation, api, ready_nodes(api))]


def test_walls_that_hold_and_each_that_is_missing(
    kubectl: Kubectl, installation: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubeconfig = Path(kubectl.environment["KUBECONFIG"])
    assert verdicts(installation, kubeconfig) == [canary.Verdict(True, "")]
    for direction, words in (("Ingress", "egress is not enforced"), ("Egress", "ingress is not enforced")):
        monkeypatch.setattr(canary, "policies", lambda installation, kept=direction: weakened(installation, kept))
        (found,) = verdicts(installation, kubeconfig)
        assert not found.proven
        assert words in found.reason


def weakened(installation: Cluster, kept: str) -> list[Object]:
    """Default deny in one direction alone."""
    return [
        canary._policy(installation, "default-deny", {"podSelector": {}, "policyTypes": [kept]}),
        canary._policy(
            installation,
            "free",
            {
                "podSelector": {"matchLabels": {"app.kubernetes.io/component": canary.FREE}},
                "policyTypes": ["Ingress", "Egress"],
                "ingress": [{}],
                "egress": [{}],
            },
        ),
    ]


def test_on_a_cluster_whose_network_enforces_nothing_no_node_is_proven(
    beside: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, POLICIES, "never")
    lifecycle.up(beside)
    (found,) = verdicts(an_installation(), beside.kubeconfig)
    assert not found.proven
    assert "egress is not enforced" in found.reason
