"""The hub, taken over, at a real API server: it asks for pods and Secrets of a project's namespace in its own name, and
admission lets in nothing but workspaces as we make them. No node is needed; nothing that is asked for is kept.
"""

from __future__ import annotations

import copy
import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tests.cluster.machine.contents import Kubectl
from tests.workspaces.kubernetes.house import PLAN
from tre.workspaces.kubernetes import desired
from tre.workspaces.kubernetes.names import INSTALLATION, PROJECT, namespace_of
from tre.workspaces.kubernetes.pod import workspace_pod
from tre.workspaces.plan import Limits

from .rendering import Object
from .rights import Installation, as_controller, converge, refused, settle

Change = Callable[[Object], None]


def container(pod: Object) -> Object:
    found: Object = pod["spec"]["containers"][0]
    return found


def volume(pod: Object, name: str) -> Object:
    found: Object = next(each for each in pod["spec"]["volumes"] if each["name"] == name)
    return found


def second(pod: Object) -> None:
    """Both small enough for the namespace's numbers."""
    few = {"cpu": "1m", "memory": "16Mi", "ephemeral-storage": "1Mi"}
    container(pod)["resources"] = {"requests": few, "limits": few}
    pod["spec"]["containers"].append({**container(pod), "name": "more", "ports": []})


def another_volume(**source: Object) -> Change:
    return lambda pod: pod["spec"]["volumes"].append({"name": "more", **source})


RUNTIME = f"tests-{secrets.token_hex(3)}"
TOKEN = {"sources": [{"serviceAccountToken": {"path": "token"}}]}
#: What the hub asks for → what of the refusal's words says why.
ATTACKS: dict[str, tuple[Change, str]] = {
    "no label": (lambda pod: pod["metadata"].pop("labels"), "labelled as a workspace"),
    "another's label": (lambda pod: pod["metadata"]["labels"].update({INSTALLATION: "other"}), "labelled"),
    "another project": (lambda pod: pod["metadata"]["labels"].update({PROJECT: "other"}), "labelled"),
    "a component of ours": (
        lambda pod: pod["metadata"]["labels"].update({"app.kubernetes.io/component": "carrier"}),
        "labelled",
    ),
    "a name of its own": (lambda pod: pod["metadata"].update(name="miner"), "labelled"),
    "its own image": (lambda pod: container(pod).update(image="registry.example/miner"), "project's image"),
    "its own command": (lambda pod: container(pod).update(command=["sleep", "inf"]), "as the image says"),
    "its own arguments": (lambda pod: container(pod).update(args=["--evil"]), "as the image says"),
    "a hook": (
        lambda pod: container(pod).update(lifecycle={"postStart": {"exec": {"command": ["id"]}}}),
        "as the image says",
    ),
    "another's Secret as environment": (
        lambda pod: container(pod).update(envFrom=[{"secretRef": {"name": "workspace-other"}}]),
        "as the image says",
    ),
    "another's key as environment": (
        lambda pod: container(pod)["env"].append(
            {"name": "A", "valueFrom": {"secretKeyRef": {"name": "workspace-other", "key": "server"}}}
        ),
        "as the image says",
    ),
    "a second container": (second, "one container"),
    "one before it": (
        lambda pod: pod["spec"].update(initContainers=[{**container(pod), "name": "first", "readinessProbe": None}]),
        "one container",
    ),
    "a token": (lambda pod: pod["spec"].update(automountServiceAccountToken=True), "no token"),
    "a token by omission": (lambda pod: pod["spec"].pop("automountServiceAccountToken"), "no token"),
    "a projected token": (another_volume(projected=TOKEN), "its own Secret"),
    "a node of its choice": (lambda pod: pod["spec"].update(nodeName="node1"), "to the scheduler"),
    "another runtime": (lambda pod: pod["spec"].update(runtimeClassName=RUNTIME), "to the scheduler"),
    "everybody's place": (lambda pod: pod["spec"].update(priorityClassName="system-node-critical"), "to the scheduler"),
    "the user of our own parts": (
        lambda pod: pod["spec"]["securityContext"].update(runAsUser=10001),
        "users that nobody",
    ),
    "the image's user": (lambda pod: pod["spec"]["securityContext"].pop("runAsUser"), "users that nobody"),
    "a user for the container": (
        lambda pod: container(pod)["securityContext"].update(runAsUser=10001),
        "users that nobody",
    ),
    "no end": (lambda pod: pod["spec"].pop("activeDeadlineSeconds"), "an end"),
    "a root to write to": (
        lambda pod: container(pod)["securityContext"].update(readOnlyRootFilesystem=False),
        "read-only root",
    ),
    "another's Secret": (another_volume(secret={"secretName": "workspace-other"}), "its own Secret"),
    "another's home": (another_volume(persistentVolumeClaim={"claimName": "home-ann"}), "its person's home"),
    "data to write to": (
        lambda pod: volume(pod, "data")["persistentVolumeClaim"].update(readOnly=False),
        "the data to read",
    ),
    "the cluster's own words": (another_volume(configMap={"name": "kube-root-ca.crt"}), "its own Secret"),
}


@pytest.fixture(scope="module")
def project(installation: Installation, kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A project whose namespace the controller made, with the hub's Role in it."""
    slug = f"w{secrets.token_hex(4)}"
    # A name of none is refused before it is asked whose pod it is.
    runtime = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": RUNTIME}, "handler": "runc"}
    kubectl.apply([runtime])
    api = as_controller(installation, kubectl, tmp_path_factory.mktemp("controller") / "kubeconfig")
    wish = desired.Wish(slug, open=True, over=False, people=2, homes=("bob",), limits=Limits(), live=frozenset())
    converge(api, installation, wish)
    space = namespace_of(installation.space.name, slug)
    nameless = workspace(installation, slug)
    nameless["metadata"]["name"] = "mine"
    settle(lambda: "tre's hub" in asked(installation, kubectl, secret("mine", space)))
    settle(lambda: "tre's hub" in asked(installation, kubectl, nameless))
    yield slug
    kubectl("delete", "--wait=false", f"namespace/{space}", f"runtimeclass/{RUNTIME}")


@pytest.fixture
def pod(installation: Installation, project: str) -> Object:
    return workspace(installation, project)


def workspace(installation: Installation, project: str) -> Object:
    """As the hub makes it."""
    return copy.deepcopy(workspace_pod(installation.cluster, replace(PLAN, project=project)))


def asked(installation: Installation, kubectl: Kubectl, wanted: Object) -> str:
    """Why the hub is refused, or nothing."""
    command = ("create", "--dry-run=server", "--filename=-", installation.account("hub"))
    return refused(kubectl, *command, feed=json.dumps(wanted))


def test_a_workspace_is_let_in(installation: Installation, kubectl: Kubectl, pod: Object) -> None:
    assert asked(installation, kubectl, pod) == ""


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_else_is(installation: Installation, kubectl: Kubectl, pod: Object, attack: str) -> None:
    change, why = ATTACKS[attack]
    change(pod)
    words = asked(installation, kubectl, pod)
    assert "tre's hub" in words
    assert why in words


def secret(name: str, space: str, kind: str = "Opaque", **annotations: str) -> Object:
    metadata = {"name": name, "namespace": space, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind}


def test_it_writes_only_the_secrets_of_workspaces(installation: Installation, kubectl: Kubectl, project: str) -> None:
    space = namespace_of(installation.space.name, project)
    assert asked(installation, kubectl, secret("workspace-1", space)) == ""
    account = {"kubernetes.io/service-account.name": "default"}
    for wanted in (
        secret("workspace-1", space, "kubernetes.io/service-account-token", **account),
        secret("default-token", space),
    ):
        assert "only the Secrets of workspaces" in asked(installation, kubectl, wanted)
