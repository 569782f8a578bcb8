"""The cluster is one: its parts are healthy, a pod runs, and names are answered."""

from __future__ import annotations

import json
import subprocess

import pytest

from . import objects
from .conftest import NewSpace
from .house import NO_SUCH_NAME, OPEN, Facts, Space
from .machine.contents import Kubectl
from .machine.place import Place


def test_the_api_server_and_every_node_are_ready(kubectl: Kubectl) -> None:
    assert kubectl("get", "--raw=/readyz") == "ok"
    nodes = json.loads(kubectl("get", "nodes", "--output=json"))["items"]
    assert nodes
    for node in nodes:
        conditions = {one["type"]: one["status"] for one in node["status"]["conditions"]}
        assert conditions["Ready"] == "True"


def test_a_pod_runs_answers_and_is_heard(space: Space) -> None:
    address = space.start(objects.pod("web"), objects.pod("asking"))["web"]
    space.settles("asking", {f"tcp://{address}:{objects.WEB}": OPEN, f"udp://{address}:{objects.WEB}": OPEN})
    assert json.loads(space("get", "pod", "web", "--output=json"))["status"]["phase"] == "Running"


def test_a_service_passes_on_to_its_pod(space: Space) -> None:
    space.apply(objects.service("web", {80: objects.WEB}))
    space.start(objects.pod("web"), objects.pod("asking"))
    space.settles("asking", {f"tcp://{space.service_address('web')}:80": OPEN})


def test_dns_answers_the_clusters_names_and_no_others(space: Space, facts: Facts) -> None:
    space.apply(objects.service("web", {80: objects.WEB}))
    space.start(objects.pod("asking"))
    domain = facts.whole["domain"]
    space.settles(
        "asking",
        {
            f"dns://web.{space.name}.svc.{domain}.": OPEN,
            f"dns://none.{space.name}.svc.{domain}.": NO_SUCH_NAME,
            "dns://example.org.": NO_SUCH_NAME,
        },
    )


def test_helm_finds_the_cluster(kubectl: Kubectl, our_place: Place) -> None:
    helm = our_place.programs / "helm"
    if not helm.exists():
        pytest.skip("helm is built by `make cluster`")
    listed = subprocess.check_output([helm, "list", "--all-namespaces", "--output=json"], env=kubectl.environment)
    assert isinstance(json.loads(listed), list)


def test_namespaces_end(new_space: NewSpace, kubectl: Kubectl) -> None:
    space = new_space("short")
    space.start(objects.pod("web"))
    kubectl("delete", "namespace", space.name, "--timeout=60s")
    assert space.name not in kubectl("get", "namespaces", "--output=name")
