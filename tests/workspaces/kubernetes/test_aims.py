"""What is aimed at on a cluster, and whose word counts that something answers there."""

from dataclasses import replace
from typing import Any

import pytest

from tests.workspaces.kubernetes.house import CONTROL, cluster
from tre.workspaces.kubernetes.aims import OPTIONAL, asked_by_kubelet, discovered
from tre.workspaces.probes.inside.pod import AIMS

Object = dict[str, Any]
CLUSTER = cluster()
WORKSPACE = {"tre.example/installation": CONTROL, "app.kubernetes.io/component": "workspace"}


def pod(space: str, address: str, port: int = 8080, *, phase: str = "Running", **labels: str) -> Object:
    probe = {"tcpSocket": {"port": port}}
    container = {"ports": [{"name": "web", "containerPort": port}], "readinessProbe": probe}
    ready = [{"type": "Ready", "status": "True"}]
    return {
        "metadata": {"namespace": space, "name": f"pod-{address}", "labels": labels},
        "spec": {"containers": [container]},
        "status": {"phase": phase, "podIP": address, "conditions": ready},
    }


def service(space: str, name: str, address: str, *ports: int, **more: int) -> Object:
    listed = [{"port": port, "protocol": "TCP", **more} for port in ports]
    return {"metadata": {"namespace": space, "name": name}, "spec": {"clusterIP": address, "ports": listed}}


NODE = {
    "status": {
        "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}, {"type": "Hostname", "address": "node-1"}],
    }
}
PODS = [
    pod("tre-cost", "10.1.0.1", 8888, **WORKSPACE),
    pod("tre-benefit", "10.1.0.2", 8888, **WORKSPACE),
    pod(CONTROL, "10.1.0.3", 8000, **{"app.kubernetes.io/component": "guard"}),
    # Open to every workspace: no wall is there.
    pod(CONTROL, "10.1.0.4", 8080, **{"app.kubernetes.io/component": "intake"}),
    pod("kube-system", "10.1.0.5", 53),
    pod("kube-system", "10.1.0.6", 53, phase="Succeeded"),
    # Who labels a pod of another installation as a workspace's is no project of ours.
    pod("other", "10.1.0.7", 8888, **{**WORKSPACE, "tre.example/installation": "other"}),
]
SERVICES = [
    service("default", "kubernetes", "10.96.0.1", 443),
    service("kube-system", "dns", "10.96.0.10", 53, nodePort=30053),
    service("kube-system", "headless", "None", 53),
    service("tre-cost", "own", "10.96.0.77", 80),
]


def test_everything_that_the_api_server_tells_of():
    assert discovered(CLUSTER, "cost", [NODE], PODS, SERVICES) == {
        "api-server": ["tcp://10.96.0.1:443"],
        "kubelet": ["tcp://10.0.0.1:10250"],
        "etcd": ["tcp://10.0.0.1:2379"],
        "nodes": ["tcp://10.0.0.1:1", "tcp://10.0.0.1:22"],
        "metadata": ["tcp://169.254.169.254:80"],
        "neighbour": ["tcp://10.1.0.1:8888"],
        "stranger": ["tcp://10.1.0.2:8888"],
        "guard": ["tcp://10.1.0.3:8000"],
        "other-pods": ["tcp://10.1.0.5:53", "tcp://10.1.0.7:8888"],
        "other-services": ["tcp://10.96.0.1:443", "tcp://10.96.0.10:53"],
        "node-ports": ["tcp://10.0.0.1:30053"],
    }


def test_each_aim_has_its_attempt_and_what_may_be_absent_is_named():
    found = discovered(CLUSTER, "cost", [NODE], PODS, SERVICES)
    assert found.keys() | {"outside", "foreign-resolver", "servers"} == AIMS.keys()
    assert AIMS.keys() - OPTIONAL == {"api-server", "kubelet", "nodes", "other-pods"}


NAMED = {"ports": [{"name": "web", "containerPort": 9}], "readinessProbe": {"httpGet": {"port": "web"}}}


@pytest.mark.parametrize(
    ("container", "asked"),
    [
        ({"readinessProbe": {"tcpSocket": {"port": 7}}}, ["tcp://10.0.0.9:7"]),
        (NAMED, ["tcp://10.0.0.9:9"]),
        ({"readinessProbe": {"exec": {"command": ["true"]}}}, []),
        # At a place of its own it says nothing of the pod's address.
        ({"readinessProbe": {"httpGet": {"port": 7, "host": "127.0.0.1"}}}, []),
        ({}, []),
    ],
)
def test_the_kubelets_word_is_of_the_port_that_it_asks(container: Object, asked: list[str]):
    shown = pod("x", "10.0.0.9")
    shown["spec"]["containers"] = [container]
    assert list(asked_by_kubelet(shown)) == asked
    for conditions in ([], [{"type": "Ready", "status": "False"}]):
        assert list(asked_by_kubelet({**shown, "status": {**shown["status"], "conditions": conditions}})) == []


def test_where_the_database_is_a_pod_its_port_is_no_aim():
    opened = replace(CLUSTER, database=replace(CLUSTER.intake, labels=(("app", "postgresql"),), port=5432))
    more = [*PODS, pod(CONTROL, "10.1.0.8", 5432, app="postgresql")]
    assert discovered(opened, "cost", [NODE], more, SERVICES) == discovered(CLUSTER, "cost", [NODE], PODS, SERVICES)
