"""The chart's rights and admission policies in force for a control namespace without pods; asking as one of them."""

from __future__ import annotations

import json
import secrets
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import objects
from tests.cluster.house import Space
from tests.cluster.machine.contents import Kubectl
from tre.errors import Unavailable
from tre.workspaces.kubernetes import desired
from tre.workspaces.kubernetes.api import Api
from tre.workspaces.kubernetes.apply import Hand
from tre.workspaces.kubernetes.cluster import Cluster
from tre.workspaces.kubernetes.comparison import compare
from tre.workspaces.kubernetes.installation import read
from tre.workspaces.kubernetes.names import INSTALLATION, namespace_of
from tre.workspaces.kubernetes.world import WATCHED, World

from .rendering import OUTSIDE, Object, named, of_kind, render

RIGHTS = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
POLICIES = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
WIDE = (*POLICIES, "ClusterRole", "ClusterRoleBinding")


@dataclass(frozen=True)
class Installation:
    """The control namespace with the chart's rights in force, and the file that its processes read."""

    space: Space
    cluster: Cluster

    def account(self, part: str) -> str:
        return f"--as=system:serviceaccount:{self.space.name}:tre-{part}"


@contextmanager
def in_force(kubectl: Kubectl, helm_program: Path) -> Iterator[Installation]:
    name = f"control-{secrets.token_hex(3)}"
    made = render(helm_program, OUTSIDE, (), f"--namespace={name}")
    kubectl.apply([objects.namespace(name)])
    # An API server alone makes none.
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}}
    kubectl.apply([account])
    kubectl.apply(of_kind(made, *RIGHTS, *POLICIES))
    values = tomllib.loads(named(made, "ConfigMap", "tre-cluster")["data"]["cluster.toml"])["projects"]
    found = Installation(Space(kubectl, name), read(values))
    settle(lambda: refused(kubectl, "create", "--dry-run=server", "-f=-", feed=json.dumps(posing(found.space))))
    yield found
    wide = [f"{each['kind']}/{each['metadata']['name']}" for each in of_kind(made, *WIDE)]
    kubectl("delete", "--ignore-not-found", *wide)
    ours = kubectl("get", "namespaces", f"--selector={INSTALLATION}={name}", "--output=name").split()
    kubectl("delete", "--wait=false", "--ignore-not-found", f"namespace/{name}", *ours)


def posing(space: Space) -> Object:
    return objects.namespace(f"{space.name}-posing", **{INSTALLATION: space.name})


def settle(asked: Callable[[], object]) -> None:
    """The API server takes note of a new policy a moment later: until what it must refuse is refused."""
    until = time.monotonic() + 30
    while not asked():
        assert time.monotonic() < until
        time.sleep(0.5)


def refused(kubectl: Kubectl, *arguments: str, feed: str = "") -> str:
    """Why, or nothing where it is not."""
    try:
        kubectl(*arguments, feed=feed)
    except Unavailable as problem:
        return problem.message
    return ""


def as_controller(installation: Installation, kubectl: Kubectl, file: Path) -> Api:
    """A way to the API server with the controller's own token."""
    token = installation.space("create", "token", "tre-controller").strip()
    whole = json.loads(kubectl("config", "view", "--raw", "--minify", "--flatten", "--output=json"))
    whole["users"] = [{"name": whole["users"][0]["name"], "user": {"token": token}}]
    file.touch(mode=0o600)
    file.write_text(json.dumps(whole))
    return Api.connect(file)


def converge(api: Api, installation: Installation, wish: desired.Wish) -> dict[str, list[str]]:
    name, known = namespace_of(installation.space.name, wish.slug), World(api, installation.space.name)
    made = {(kind, each["metadata"]["name"]): each for kind, each in desired.objects(installation.cluster, wish)}
    for kind in WATCHED:
        known.relist(kind)
    seen = known.spaces().get(name, {})
    todo = compare(wish, name, desired.wanted(installation.cluster, wish), seen)
    done = Hand(api, known, lambda: None).carry_out(name, todo, made, seen)
    assert done.error is None
    return {key: list(value) for key, value in done.detail().items()}
