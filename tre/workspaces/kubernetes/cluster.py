"""What the installation decides about the cluster that projects live on: plain values, checked when they are made.

Decides what makes such values acceptable: nothing that would open more than the one thing it names. Leaves what the
database decides (projects, people, limits) to `desired`.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from tre.errors import InvalidInput
from tre.people.rules import check_slug
from tre.workspaces.kubernetes.names import check_dns_label

Labels = tuple[tuple[str, str], ...]
PullPolicy = Literal["Always", "IfNotPresent", "Never"]
AccessMode = Literal["ReadWriteOnce", "ReadWriteMany", "ReadWriteOncePod"]

_LABEL_NAME = re.compile(r"([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
_IMAGE = re.compile(r"[a-z0-9][a-z0-9._/:-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|@sha256:[0-9a-f]{64})")
_INDEX = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?")
_VERSION = re.compile(r"v1\.[0-9]{1,3}")
#: A database's address stands for one server or a few, never for a network.
MOST_ADDRESSES = 256


@dataclass(frozen=True)
class Pods:
    """One of our own parts: its pods by all of these labels in one namespace, and the port that they listen on."""

    namespace: str
    labels: Labels
    port: int

    def check(self, name: str) -> None:
        check_dns_label(self.namespace, field=f"{name}.namespace")
        _check_labels(self.labels, f"{name}.labels")
        _check(bool(self.labels), f"{name}.labels", "Name at least one label: none would mean every pod there.")
        _check_port(self.port, name)


@dataclass(frozen=True)
class Mirror(Pods):
    """Packages for workspaces of these projects. `url` is the index as pip is told it; its name is for `dns` to know.

    One that fetches what it is asked for tells the outside what was asked: it is to hold what it was filled with.
    """

    url: str
    projects: frozenset[str]

    def check(self, name: str) -> None:
        super().check(name)
        _check(_INDEX.fullmatch(self.url), f"{name}.url", "As in http://mirror.example:8080/simple/; no password.")
        _check_slugs(self.projects, f"{name}.projects")

    @property
    def host(self) -> str:
        return str(urlsplit(self.url).hostname)

    @property
    def plain(self) -> bool:
        """Without TLS, as inside a cluster."""
        return self.url.startswith("http:")


@dataclass(frozen=True)
class Addresses:
    """Servers outside the cluster: a block of addresses (10.0.5.7/32) and their port."""

    cidr: str
    port: int

    def check(self, name: str) -> None:
        try:
            network = ipaddress.ip_network(self.cidr)
        except ValueError:
            raise InvalidInput(f"{self.cidr} is no block of addresses.", field=f"{name}.cidr") from None
        rule = f"At most {MOST_ADDRESSES} addresses, spelled {network}."
        _check(network.num_addresses <= MOST_ADDRESSES and str(network) == self.cidr, f"{name}.cidr", rule)
        _check_port(self.port, name)


@dataclass(frozen=True)
class Gpu:
    """The one profile of nodes with accelerators, and the projects whose workspaces each get `count` of them."""

    resource: str
    count: int
    node_labels: Labels
    taint: str
    projects: frozenset[str]

    def check(self, name: str) -> None:
        _check(_LABEL_NAME.fullmatch(self.resource) and "/" in self.resource, f"{name}.resource", "As in vendor/gpu.")
        _check(self.count > 0, f"{name}.count", "At least one.")
        _check_labels(self.node_labels, f"{name}.node_labels")
        _check(not self.taint or _LABEL_NAME.fullmatch(self.taint), f"{name}.taint", "The key of a taint, or nothing.")
        _check_slugs(self.projects, f"{name}.projects")


@dataclass(frozen=True)
class Storage:
    """Where homes and data lie: storage classes ("" for the cluster's own choice), how volumes are mounted, bytes."""

    home_class: str = ""
    home_access: AccessMode = "ReadWriteOnce"
    data_class: str = ""
    data_access: AccessMode = "ReadWriteMany"
    data_bytes: int = 100 << 30
    #: What one workspace may write besides its home: logs, and nothing else that is not memory.
    ephemeral_bytes: int = 256 << 20

    def check(self, name: str) -> None:
        for part in ("home_class", "data_class"):
            if value := getattr(self, part):
                check_dns_label(value.replace(".", "-"), field=f"{name}.{part}")
        for part in ("data_bytes", "ephemeral_bytes"):
            _check(getattr(self, part) >= 1 << 20, f"{name}.{part}", "At least one MiB.")


@dataclass(frozen=True)
class Cluster:
    """Everything about the installation that objects of projects depend on.

    `hub_account` is the hub's service account in the control namespace; `pod_security_version` the Kubernetes version
    whose Pod Security rules hold, so that an upgrade of the cluster changes no wall unnoticed. `user_namespaces` where
    the nodes can (`hostUsers: false`). With `among_workspaces`, pods of one project may talk to each other.
    """

    control_namespace: str
    hub_account: str
    guard: Pods
    intake: Pods
    dns: Pods
    dns_address: str
    database: Pods | Addresses | None
    mirror: Mirror | None
    image: str
    pod_security_version: str
    pull_policy: PullPolicy = "IfNotPresent"
    priority_class: str = ""
    user_namespaces: bool = False
    among_workspaces: bool = False
    storage: Storage = field(default_factory=Storage)
    gpu: Gpu | None = None
    #: Projects whose workspaces run another image than the rest, each with it.
    images: Labels = ()
    retention_days: int = 90
    #: Where workspaces submit, as their DNS knows it.
    intake_url: str = ""
    #: A Python in the workspaces' image, for canaries and probes.
    python: str = "/opt/tre/env/bin/python"

    def __post_init__(self) -> None:
        check_dns_label(self.control_namespace, field="control_namespace")
        check_dns_label(self.hub_account, field="hub_account")
        for name in ("guard", "intake", "dns", "database", "mirror", "storage", "gpu"):
            if (part := getattr(self, name)) is not None:
                part.check(name)
        _check(_is_address(self.dns_address), "dns_address", "One address, without a port.")
        _check(_IMAGE.fullmatch(self.image), "image", "A name with a tag or a digest.")
        for project, image in self.images:
            check_slug(project, field="images")
            _check(_IMAGE.fullmatch(image), f"images.{project}", "A name with a tag or a digest.")
        _check(_VERSION.fullmatch(self.pod_security_version), "pod_security_version", "As in v1.34.")
        if self.priority_class:
            check_dns_label(self.priority_class, field="priority_class")
            _check(not self.priority_class.startswith("system-"), "priority_class", "Not one of the cluster's own.")
        _check(self.retention_days >= 0, "retention_days", "No fewer than 0.")

    def image_of(self, project: str) -> str:
        """What workspaces of a project run."""
        return dict(self.images).get(project, self.image)

    def mirror_of(self, project: str) -> Mirror | None:
        return self.mirror if self.mirror and project in self.mirror.projects else None

    def has_gpu(self, project: str) -> bool:
        return self.gpu is not None and project in self.gpu.projects


def _is_address(text: str) -> bool:
    try:
        return str(ipaddress.ip_address(text)) == text
    except ValueError:
        return False


def _check(good: object, name: str, rule: str) -> None:
    if not good:
        raise InvalidInput(rule, field=name)


def _check_slugs(projects: frozenset[str], name: str) -> None:
    for project in projects:
        check_slug(project, field=name)


def _check_port(port: int, name: str) -> None:
    _check(0 < port < 65536, f"{name}.port", "Between 1 and 65535.")


def _check_labels(labels: Labels, name: str) -> None:
    for key, value in labels:
        _check(_LABEL_NAME.fullmatch(key) and _LABEL_VALUE.fullmatch(value), name, f"{key}={value} is no label.")
    _check(len(dict(labels)) == len(labels), name, "Each label once.")
