"""What the API server shows of a cluster, as far as it matters here; gathered, not judged.

Decides that a question that is refused is noted with the reason, and that nothing is written: what is sent is sent as a
dry run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tre.errors import InvalidInput, NotFound, TreError
from tre.stack.examination.installation import Installation
from tre.workspaces.kubernetes.api import Api
from tre.workspaces.kubernetes.namespace import Object

Found = TypeVar("Found")


@dataclass(frozen=True)
class StorageClass:
    provisioner: str
    default: bool


@dataclass(frozen=True)
class Claim:
    phase: str
    modes: tuple[str, ...]


@dataclass(frozen=True)
class Node:
    """One that is ready; `offers` is {resource: amount} of what pods may ask it for."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    offers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """One of our pods that is not as it should be: `said` is its log's first line, or why it has none."""

    pod: str
    reason: str
    image: str
    said: str


@dataclass(frozen=True)
class Cluster:
    """Each None where the API server did not tell it: `unseen` says why. `held` is {(kind, name): keys}."""

    unseen: Mapping[str, str] = field(default_factory=dict)
    version: str | None = None
    admission_policies: bool | None = None
    labels: Mapping[str, str] | None = None
    privileged: str | None = None
    classes: Mapping[str, StorageClass] | None = None
    claims: Mapping[str, Claim] | None = None
    quotas: Mapping[str, Mapping[str, tuple[str, str]]] | None = None
    services: Mapping[str, str] | None = None
    #: {address that a value gives to a Service: why the API server would not take it, "" where it would}.
    addresses: Mapping[str, str] = field(default_factory=dict)
    endpoints: tuple[tuple[str, int], ...] | None = None
    nodes: tuple[Node, ...] | None = None
    images: frozenset[str] | None = None
    ingress_classes: Mapping[str, bool] | None = None
    priority_classes: frozenset[str] | None = None
    held: Mapping[tuple[str, str], Mapping[str, str] | None] = field(default_factory=dict)
    pull_secrets: Mapping[str, bool] = field(default_factory=dict)
    parts: tuple[Part, ...] | None = None


@dataclass
class Gatherer:
    """Asks one API server. What it did not tell is in `unseen`."""

    api: Api
    wanted: Installation
    unseen: dict[str, str] = field(default_factory=dict)

    def gather(self) -> Cluster:
        nodes = self._try("nodes", lambda: self._list("/api/v1/nodes"))
        return Cluster(
            unseen=self.unseen,
            version=self._try("version", lambda: str(self._get("/version")["gitVersion"])),
            admission_policies=self._try("admission policies", self._admission_policies),
            labels=self._try("namespace", self._labels),
            privileged=self._try("admission", self._privileged),
            classes=self._try("storage classes", self._classes),
            claims=self._try("claims", self._claims),
            quotas=self._try("quotas", self._quotas),
            services=self._try("services", self._services),
            addresses=self._addresses() if not self.wanted.installed else {},
            endpoints=self._try("endpoints", self._endpoints),
            nodes=None if nodes is None else tuple(_node(one) for one in nodes if _is(one, "Ready")),
            images=None if nodes is None else frozenset(name for one in nodes for name in _images(one)),
            ingress_classes=self._try("ingress classes", self._ingress_classes),
            priority_classes=self._try("priority classes", self._priority_classes),
            held={(one.kind, one.name): self._held(one.kind, one.name) for one in self.wanted.held()},
            pull_secrets={
                name: self._held("secrets", name) is not None for name in self.wanted.at("images.pullSecrets")
            },
            parts=self._try("pods", self._parts) if self.wanted.installed else None,
        )

    def _try(self, name: str, ask: Callable[[], Found]) -> Found | None:
        try:
            return ask()
        except TreError as error:
            self.unseen[name] = error.message
            return None

    def _get(self, path: str) -> Object:
        return self.api.ask("GET", path, {})

    def _list(self, path: str) -> list[Object]:
        return list(self._get(path)["items"])

    def _inside(self, plural: str, name: str = "", group: str = "/api/v1") -> str:
        return f"{group}/namespaces/{self.wanted.namespace}/{plural}" + (f"/{name}" if name else "")

    def _admission_policies(self) -> bool:
        listed = self._get("/apis/admissionregistration.k8s.io/v1")["resources"]
        return any(one["name"] == "validatingadmissionpolicies" for one in listed)

    def _labels(self) -> dict[str, str]:
        try:
            found = self._get(f"/api/v1/namespaces/{self.wanted.namespace}")
        except NotFound:
            return {}
        return dict(found["metadata"].get("labels") or {})

    def _privileged(self) -> str:
        """What admission says to a pod that would have the node; "" where it would let it in."""
        pod = privileged_pod()
        try:
            self.api.ask("POST", self._inside("pods"), {"dryRun": "All"}, pod)
        except TreError as error:
            return error.message
        return ""

    def _classes(self) -> dict[str, StorageClass]:
        mark = "storageclass.kubernetes.io/is-default-class"
        return {
            one["metadata"]["name"]: StorageClass(
                one["provisioner"], (one["metadata"].get("annotations") or {}).get(mark) == "true"
            )
            for one in self._list("/apis/storage.k8s.io/v1/storageclasses")
        }

    def _claims(self) -> dict[str, Claim]:
        return {
            one["metadata"]["name"]: Claim(one.get("status", {}).get("phase", ""), tuple(one["spec"]["accessModes"]))
            for one in self._list(self._inside("persistentvolumeclaims"))
        }

    def _quotas(self) -> dict[str, dict[str, tuple[str, str]]]:
        found = {}
        for one in self._list(self._inside("resourcequotas")):
            status = one.get("status") or {}
            used, hard = status.get("used") or {}, status.get("hard") or {}
            found[one["metadata"]["name"]] = {
                name: (str(used.get(name, "0")), str(most)) for name, most in hard.items()
            }
        return found

    def _services(self) -> dict[str, str]:
        """{address: namespace/name}."""
        return {
            one["spec"].get("clusterIP", ""): f"{one['metadata']['namespace']}/{one['metadata']['name']}"
            for one in self._list("/api/v1/services")
        }

    def _addresses(self) -> dict[str, str]:
        """It knows its own range, and who has what in it."""
        return {address: self._taken(address) for address in self.wanted.addresses().values() if address}

    def _taken(self, address: str) -> str:
        ports = [{"port": 80, "protocol": "TCP"}]
        made = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"generateName": "tre-doctor-"},
            "spec": {"clusterIP": address, "ports": ports},
        }
        try:
            self.api.ask("POST", self._inside("services"), {"dryRun": "All"}, made)
        except InvalidInput as error:
            return error.message
        except TreError:
            # That the namespace or a right is missing is said elsewhere.
            return ""
        return ""

    def _endpoints(self) -> tuple[tuple[str, int], ...]:
        """Where the API server itself answers."""
        path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
        found = self.api.ask("GET", path, {"labelSelector": "kubernetes.io/service-name=kubernetes"})["items"]
        return tuple(
            (address, port["port"])
            for one in found
            for port in one.get("ports") or ()
            for each in one.get("endpoints") or ()
            for address in each["addresses"]
        )

    def _ingress_classes(self) -> dict[str, bool]:
        mark = "ingressclass.kubernetes.io/is-default-class"
        return {
            one["metadata"]["name"]: (one["metadata"].get("annotations") or {}).get(mark) == "true"
            for one in self._list("/apis/networking.k8s.io/v1/ingressclasses")
        }

    def _priority_classes(self) -> frozenset[str]:
        listed = self._list("/apis/scheduling.k8s.io/v1/priorityclasses")
        return frozenset(one["metadata"]["name"] for one in listed)

    def _held(self, kind: str, name: str) -> dict[str, str] | None:
        """What is in a Secret (as base64) or ConfigMap; None where there is none, or it is not shown (`unseen`)."""
        try:
            return dict(self._get(self._inside(kind, name)).get("data") or {})
        except NotFound:
            return None
        except TreError as error:
            self.unseen[f"{kind}/{name}"] = error.message
            return None

    def _parts(self) -> tuple[Part, ...]:
        query = {"labelSelector": "app.kubernetes.io/name=tre"}
        listed = self.api.ask("GET", self._inside("pods"), query)["items"]
        return tuple(self._part(one) for one in listed if not _settled(one))

    def _part(self, pod: Object) -> Part:
        name = pod["metadata"]["name"]
        status = pod.get("status") or {}
        listed = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
        waiting = [one for one in listed if "waiting" in (one.get("state") or {})]
        first = waiting[0] if waiting else {}
        state = (first.get("state") or {}).get("waiting") or {}
        conditions = [one for one in status.get("conditions") or () if one["type"] == "PodScheduled"]
        unplaced = next((one.get("message", "") for one in conditions if one["status"] == "False"), "")
        reason = state.get("reason") or ("Unschedulable" if unplaced else status.get("phase", "") or "not ready")
        said = unplaced or self._first_line(name) or state.get("message", "")
        return Part(name, reason, first.get("image", ""), said)

    def _first_line(self, pod: str) -> str:
        try:
            text = self.api.text(f"{self._inside('pods', pod)}/log")
        except TreError:
            return ""
        return next((line.strip() for line in text.splitlines() if line.strip()), "")[:500]


def privileged_pod() -> Object:
    """Everything that `restricted` refuses; never made, and of an image that nobody has."""
    security: dict[str, Any] = {"privileged": True, "runAsUser": 0}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "tre-doctor-"},
        "spec": {
            "hostNetwork": True,
            "hostPID": True,
            "containers": [{"name": "x", "image": "tre.invalid/none:0", "securityContext": security}],
        },
    }


def _is(found: Object, condition: str) -> bool:
    listed = (found.get("status") or {}).get("conditions") or ()
    return any(one["type"] == condition and one["status"] == "True" for one in listed)


def _node(found: Object) -> Node:
    metadata = found["metadata"]
    return Node(metadata["name"], metadata.get("labels") or {}, found["status"].get("allocatable") or {})


def _images(node: Object) -> list[str]:
    listed = (node.get("status") or {}).get("images") or ()
    return [name for one in listed for name in one.get("names") or ()]


def _settled(pod: Object) -> bool:
    return _is(pod, "Ready") or (pod.get("status") or {}).get("phase") == "Succeeded"
