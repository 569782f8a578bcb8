"""A release of the chart on the cluster of the tests: its values, its volumes, helm's commands, what is left."""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.cluster import objects
from tests.cluster.house import Space
from tests.cluster.machine import network
from tests.cluster.machine.configs import DNS_IMAGE
from tests.cluster.machine.contents import Kubectl
from tests.cluster.machine.place import Place

from .rendering import CHART, SMALL, Object, helm

#: Everything in the cluster, with what this one has: its addresses, and images that are on the node already.
VALUES: Object = {
    **SMALL,
    "kubernetes": {"cidr": f"{network.NODE_ADDRESS}/32", "port": network.API_PORT},
    "images": {"pullPolicy": "Never"},
    "dns": {"image": DNS_IMAGE, "clusterIP": SMALL["dns"]["clusterIP"]},
}
CLAIMS = ("tre-content", *(f"volume-tre-{name}-0" for name in ("postgres-state", "postgres-data", "openbao")))
#: Kinds that a release has, by the names that kubectl takes.
KINDS = (
    *("deployments", "statefulsets", "jobs", "pods", "services", "secrets", "configmaps", "serviceaccounts"),
    *("networkpolicies", "roles", "rolebindings", "poddisruptionbudgets", "ingresses", "leases"),
)
WIDE = (
    *("clusterroles", "clusterrolebindings"),
    *("validatingadmissionpolicies", "validatingadmissionpolicybindings"),
)
#: What every namespace has, whoever lives there.
ALWAYS = {"configmap/kube-root-ca.crt", "serviceaccount/default"}


def local_volume(space: str, claim: str, folder: Path) -> Object:
    """A folder of the node, for one claim. A local volume is given to the pod's group; a hostPath never is."""
    hostname = {"key": "kubernetes.io/hostname", "operator": "In", "values": [network.NODE]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"{space}-{claim}", "labels": {"tests": "chart"}},
        "spec": {
            "capacity": {"storage": "1Ti"},
            "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
            "persistentVolumeReclaimPolicy": "Retain",
            "local": {"path": str(folder)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [hostname]}]}},
            "claimRef": {"namespace": space, "name": claim},
        },
    }


def plain(name: str) -> str:
    """kubectl's deployment.apps/x as deployment/x."""
    kind, own = name.split("/", 1)
    return f"{kind.split('.')[0]}/{own}"


@dataclass
class Release:
    """One release in a namespace of its own."""

    space: Space
    place: Place
    program: Path
    volumes: list[str] = field(default_factory=list)
    folders: set[Path] = field(default_factory=set)

    @property
    def kubectl(self) -> Kubectl:
        return self.space.kubectl

    def provide(self, space: str, *claims: str) -> None:
        for claim in claims:
            folder = self.folder(space, claim)
            folder.mkdir(parents=True, exist_ok=True)
            self.folders.add(folder.parent)
            volume = local_volume(space, claim, folder)
            self.kubectl.apply([volume])
            self.volumes.append(f"persistentvolume/{volume['metadata']['name']}")

    def folder(self, space: str, claim: str) -> Path:
        return self.place.run / "volumes" / space / claim

    def helm(self, *arguments: str, values: Mapping[str, Any] | None = None) -> str:
        """Raises `Refused` with helm's words."""
        command = [*arguments, f"--namespace={self.space.name}"]
        if values is None:
            return helm(self.program, *command, environment=self.kubectl.environment)
        files = [f"--values={CHART / 'values-small.yaml'}", "--values=-"]
        feed = yaml.safe_dump(dict(values))
        return helm(self.program, *command, *files, feed=feed, environment=self.kubectl.environment)

    def install(self, values: Mapping[str, Any] = VALUES) -> None:
        self.helm("install", "tre", str(CHART), "--timeout=4m", values=values)

    def upgrade(self, values: Mapping[str, Any]) -> None:
        self.helm("upgrade", "tre", str(CHART), "--timeout=4m", values=values)

    def settle(self) -> None:
        """Waits until every part runs as it was last asked for."""
        for kind in ("statefulset", "deployment"):
            for name in self.space("get", kind, "--output=name").split():
                self.space("rollout", "status", name, "--timeout=180s")

    def pods(self) -> dict[str, Object]:
        listed = json.loads(self.space("get", "pods", "--output=json"))["items"]
        return {each["metadata"]["name"]: each for each in listed}

    def left(self) -> set[str]:
        """Every object in the namespace, and those of the whole cluster that name it, as kind/name."""
        names = self.space("get", ",".join(KINDS), "--output=name", "--ignore-not-found").split()
        wide = self.kubectl("get", ",".join(WIDE), "--output=name").split()
        found = {*names, *(name for name in wide if self.space.name in name)}
        return {plain(name) for name in found} - ALWAYS

    def remove(self) -> None:
        """All of it, also what outlives a release on purpose. Nobody ends in order: their servers go, too."""
        self.helm("uninstall", "tre", "--ignore-not-found")
        self.space("delete", "pods", "--all", "--grace-period=1", "--wait=false")
        label = f"tre.example/installation={self.space.name}"
        theirs = self.kubectl("get", "namespaces", f"--selector={label}", "--output=name").split()
        self.kubectl("delete", "--ignore-not-found", "--timeout=120s", f"namespace/{self.space.name}", *theirs)
        if self.volumes:
            self.kubectl("delete", "--ignore-not-found", "--timeout=60s", *self.volumes)
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def installed(
    kubectl: Kubectl, place: Place, program: Path, values: Mapping[str, Any] = VALUES, held: tuple[Object, ...] = ()
) -> Iterator[Release]:
    """A release in a namespace of its own, where `held` is before it; nothing of it stays. One at a time: its Services
    have fixed addresses.
    """
    name = f"chart-{secrets.token_hex(3)}"
    kubectl.apply([objects.namespace(name)])
    found = Release(Space(kubectl, name), place, program)
    try:
        found.provide(name, *CLAIMS)
        if held:
            found.space.apply(*held)
        found.install(values)
        yield found
    finally:
        found.remove()
