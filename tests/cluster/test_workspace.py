"""A workspace's pod as it is built, on a node: its walls seen from inside, in a project's namespace as it is built.

The image is the probe's, which serves on Jupyter's port; volumes are folders of the node.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.workspaces.kubernetes.house import PLAN, cluster
from tre.workspaces.kubernetes import desired, life
from tre.workspaces.kubernetes.api import Api
from tre.workspaces.kubernetes.apply import Hand
from tre.workspaces.kubernetes.cluster import Cluster, Gpu, Pods
from tre.workspaces.kubernetes.comparison import compare
from tre.workspaces.kubernetes.content import POD, SECRET
from tre.workspaces.kubernetes.names import namespace_of, workspace_of
from tre.workspaces.kubernetes.network import JUPYTER_PORT
from tre.workspaces.kubernetes.pod import workspace_pod
from tre.workspaces.kubernetes.secret import replacement, workspace_secret
from tre.workspaces.kubernetes.world import WATCHED, World
from tre.workspaces.plan import LaunchPlan, Limits

from . import objects
from .conftest import NewSpace
from .house import OPEN, SILENT, Facts, Space, of
from .machine import network
from .machine.configs import PROBE_IMAGE
from .machine.contents import Kubectl
from .objects import ADMIN, WEB

#: Two of them fit on a node of two processors.
SMALL = Limits(memory_bytes=256 << 20, cpus=0.2, home_bytes=1 << 30)


@dataclass(frozen=True)
class Project:
    """A project's namespace with one running workspace, and the control namespace beside it."""

    api: Api
    cluster: Cluster
    plan: LaunchPlan
    space: Space
    control: Space
    parts: dict[str, str]

    @property
    def pod(self) -> str:
        return workspace_of(self.plan.workspace_id)


@pytest.fixture
def project(kubectl: Kubectl, new_space: NewSpace, facts: Facts) -> Iterator[Project]:
    control = new_space("control")
    parts = control.start(*(objects.pod(name) for name in ("guard", "intake", "stranger")))
    installation = cluster(
        control_namespace=control.name,
        guard=Pods(control.name, (("app", "guard"),), WEB),
        intake=Pods(control.name, (("app", "intake"),), WEB),
        dns=Pods(control.name, (("app", "none"),), 53),
        database=None,
        image=PROBE_IMAGE,
        pull_policy="Never",
    )
    slug = f"w{secrets.token_hex(4)}"
    plan = replace(PLAN, project=slug, limits=SMALL)
    api = Api.connect(Path(kubectl.environment["KUBECONFIG"]))
    space = Space(kubectl, namespace_of(control.name, slug))
    volumes = [volume(space.name, name) for name in ("data", "home-bob")]
    kubectl.apply(volumes)
    converge(api, installation, wish(slug))
    found = Project(api, installation, plan, space, control, parts)
    space("wait", "--for=condition=Ready", "--timeout=90s", f"pod/{started(found, installation, plan.workspace_id)}")
    yield found
    kubectl(
        "delete", "--wait=false", f"namespace/{space.name}", *(f"pv/{each['metadata']['name']}" for each in volumes)
    )


def wish(slug: str) -> desired.Wish:
    live = frozenset({PLAN.workspace_id})
    return desired.Wish(slug, open=True, over=False, people=1, homes=("bob",), limits=SMALL, live=live)


def converge(api: Api, installation: Cluster, wanted: desired.Wish) -> None:
    name = namespace_of(installation.control_namespace, wanted.slug)
    made = {(kind, each["metadata"]["name"]): each for kind, each in desired.objects(installation, wanted)}
    known = World(api, installation.control_namespace)
    for kind in WATCHED:
        known.relist(kind)
    seen = known.spaces().get(name, {})
    todo = compare(wanted, name, desired.wanted(installation, wanted), seen)
    done = Hand(api, known, lambda: None).carry_out(name, todo, made, seen)
    assert done.error is None


def volume(space: str, claim: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"{space}-{claim}"},
        "spec": {
            "capacity": {"storage": "1Ti"},
            "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
            "hostPath": {"path": f"/var/tmp/{space}/{claim}", "type": "DirectoryOrCreate"},
            "claimRef": {"namespace": space, "name": claim},
        },
    }


def test_from_inside_only_the_intake_is_reached_and_from_outside_only_by_the_guard(
    project: Project, facts: Facts
) -> None:
    parts = project.parts
    intake = [f"tcp://{parts['intake']}:{WEB}"]
    closed = [
        f"tcp://{parts['intake']}:{ADMIN}",
        *(f"tcp://{parts[name]}:{WEB}" for name in ("guard", "stranger")),
        f"dns://kubernetes.default.svc.{facts.whole['domain']}.",
        *facts.outside(),
        *facts.node(),
    ]
    project.space.settles(project.pod, {**of(intake, OPEN), **of(closed, SILENT)})
    address = project.space.addresses()[project.pod]
    jupyter, other = f"tcp://{address}:{JUPYTER_PORT}", f"tcp://{address}:{ADMIN}"
    project.control.settles("guard", {jupyter: OPEN, other: SILENT})
    project.control.settles("stranger", {jupyter: SILENT, other: SILENT})


def test_a_neighbour_is_not_reached_unless_the_installation_says_so(project: Project) -> None:
    neighbour = objects.pod(
        "neighbour", ("serve", str(JUPYTER_PORT), "10000"), **{"app.kubernetes.io/component": "workspace"}
    )
    neighbour["spec"]["containers"][0].pop("readinessProbe")
    address = project.space.start(neighbour)["neighbour"]
    jupyter, high = f"tcp://{address}:{JUPYTER_PORT}", f"tcp://{address}:10000"
    project.space.settles(project.pod, {jupyter: SILENT, high: SILENT})
    among = replace(project.cluster, among_workspaces=True)
    converge(project.api, among, wish(project.plan.project))
    project.space.settles(project.pod, {jupyter: SILENT, high: OPEN})


def test_what_the_kubelet_made_of_it(project: Project) -> None:
    shown = json.loads(project.space("get", "pod", project.pod, "--output=json"))
    assert shown["status"]["qosClass"] == "Guaranteed"
    assert "kube-api-access" not in json.dumps(shown)
    # Its Secret is replaced while it runs, and is the pod's: it goes with it.
    project.api.merge(SECRET, project.space.name, project.pod, replacement("intake.token", "new"))
    project.space("delete", "pod", project.pod, "--wait=true", "--timeout=30s")
    end = time.monotonic() + 30
    while project.space("get", "secrets", "--output=name"):
        assert time.monotonic() < end
        time.sleep(0.2)


def test_an_accelerator_is_had_by_whom_it_was_given(project: Project) -> None:
    """The node says that it has one; the second workspace that asks waits, and says for what."""
    with accelerated(project.space.kubectl):
        gpu = Gpu(ACCELERATOR, 1, ((LABEL, "here"),), "", frozenset({project.plan.project}))
        installation = replace(project.cluster, gpu=gpu)
        converge(project.api, installation, replace(wish(project.plan.project), people=3))
        first, second = (started(project, installation, f"{number:016x}") for number in (1, 2))
        project.space("wait", "--for=condition=Ready", "--timeout=90s", f"pod/{first}")
        shown = json.loads(project.space("get", "pod", first, "--output=json"))
        assert shown["spec"]["containers"][0]["resources"]["limits"][ACCELERATOR] == "1"
        end = time.monotonic() + 60
        while "No node has room" not in (
            said := life.waits(json.loads(project.space("get", "pod", second, "-o=json")))
        ):
            assert time.monotonic() < end, said
            time.sleep(0.2)
        project.space("delete", "pod", first, second, "--wait=true", "--timeout=60s")


ACCELERATOR, LABEL = "example.org/accelerator", "example.org/has"


@contextlib.contextmanager
def accelerated(kubectl: Kubectl) -> Iterator[None]:
    """As a device plugin tells the node's kubelet."""
    kubectl("label", f"node/{network.NODE}", f"{LABEL}=here")
    offer(kubectl, "1")
    try:
        yield
    finally:
        offer(kubectl, None)
        kubectl("label", f"node/{network.NODE}", f"{LABEL}-")


def offer(kubectl: Kubectl, count: str | None) -> None:
    patch = {"status": {"capacity": {ACCELERATOR: count}, "allocatable": {ACCELERATOR: count}}}
    kubectl("patch", f"node/{network.NODE}", "--subresource=status", "--type=merge", f"--patch={json.dumps(patch)}")


def started(project: Project, installation: Cluster, workspace_id: str) -> str:
    """The pod's name."""
    plan = replace(project.plan, workspace_id=workspace_id)
    made = workspace_pod(installation, plan)
    made["spec"]["containers"][0]["args"] = ["serve", str(JUPYTER_PORT), str(ADMIN)]
    pod = project.api.create(POD, made)
    project.api.create(SECRET, workspace_secret(installation, plan, pod_uid=pod["metadata"]["uid"]))
    return str(pod["metadata"]["name"])
