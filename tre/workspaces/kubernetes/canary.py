"""Whether a node's network confines a pod, both ways and from its first instruction: objects, and a judgement.

On each node three pods of nobody: one that is free and tries, one that is confined and tries the same, and one that is
confined and listens. Beside them, anywhere, one that is free and listens. What the free one reaches shows that there is
something to reach; the confined ones may neither reach nor be reached. Pure; leaves making and asking to `proving`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tre.workspaces.kubernetes import reach
from tre.workspaces.kubernetes.cluster import Cluster
from tre.workspaces.kubernetes.names import COMPONENT, INSTALLATION, MANAGER, canary_of
from tre.workspaces.kubernetes.namespace import POD_SECURITY, Object
from tre.workspaces.kubernetes.user import GID, UID

PORT = 8080
FREE, CONFINED = "canary-free", "canary-confined"
ROUND = "tre.example/round"
#: In place of a round: pods that only ask, for a verification, what answers at all.
VERIFICATION = "verification"
KUBELET = 10250
#: Something came back.
REACHED = frozenset({"open", "refused"})
SECONDS = 120
CODE = Path(reach.__file__).read_text()


@dataclass(frozen=True)
class Node:
    name: str
    uid: str
    address: str

    @property
    def mark(self) -> str:
        """Short and safe in a pod's name."""
        return hashlib.sha256(self.name.encode()).hexdigest()[:10]


@dataclass(frozen=True)
class Verdict:
    proven: bool
    reason: str


def namespace(cluster: Cluster) -> Object:
    security = {
        f"{POD_SECURITY}/{mode}{suffix}": value
        for mode in ("enforce", "audit", "warn")
        for suffix, value in (("", "restricted"), ("-version", cluster.pod_security_version))
    }
    metadata = {"name": canary_of(cluster.control_namespace), "labels": _labels(cluster, "canary") | security}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def policies(cluster: Cluster) -> list[Object]:
    """Default deny, as in a project, and everything for the free ones."""
    free = {"podSelector": {"matchLabels": {COMPONENT: FREE}}, "policyTypes": ["Ingress", "Egress"]}
    return [
        _policy(cluster, "default-deny", {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}),
        _policy(cluster, "free", free | {"ingress": [{}], "egress": [{}]}),
    ]


def listener(cluster: Cluster, name: str, component: str, turn: str, node: Node | None = None) -> Object:
    pod = _pod(cluster, name, component, turn, ["serve", str(PORT)], node)
    pod["spec"]["containers"][0]["readinessProbe"] = {"tcpSocket": {"port": PORT}, "periodSeconds": 1}
    return pod


def trier(cluster: Cluster, name: str, component: str, turn: str, node: Node, targets: list[str]) -> Object:
    return _pod(cluster, name, component, turn, ["reach", *targets], node)


def targets(beacon: str, closed: str, api: tuple[str, int], node: Node) -> list[str]:
    """The free listener, the confined one, the API server, the node's kubelet."""
    return [
        f"tcp://{beacon}:{PORT}",
        f"udp://{beacon}:{PORT}",
        f"tcp://{closed}:{PORT}",
        f"tcp://{api[0]}:{api[1]}",
        f"tcp://{node.address}:{KUBELET}",
    ]


def judge(tried: list[str], free: Mapping[str, str], confined: Mapping[str, str]) -> Verdict:
    """`tried` is what `targets` gave, in its order."""
    beacon, beacon_udp, closed, *_ = tried
    if not all(target in seen for target in tried for seen in (free, confined)):
        return Verdict(False, "the canary did not tell what it saw.")
    if got := [target for target in tried if confined[target] in REACHED]:
        return Verdict(False, f"a pod that no policy lets out reached {', '.join(got)}: egress is not enforced.")
    if free[closed] in REACHED:
        return Verdict(False, "a pod that no policy opens was reached: ingress is not enforced.")
    if silent := [target for target in (beacon, beacon_udp) if free[target] not in REACHED]:
        return Verdict(False, f"a pod that may do so did not reach {', '.join(silent)}: nothing can be told.")
    return Verdict(True, "")


def _pod(
    cluster: Cluster, name: str, component: str, turn: str, arguments: list[str], node: Node | None = None
) -> Object:
    """As confined as a workspace's, tiny, and gone after a while whatever happens."""
    amounts = {"cpu": "50m", "memory": "64Mi"}
    container: Object = {
        "name": "canary",
        "image": cluster.image,
        "imagePullPolicy": cluster.pull_policy,
        "command": [cluster.python, "-I", "-c", CODE],
        "args": arguments,
        "resources": {"requests": amounts, "limits": amounts},
        "terminationMessagePolicy": "File",
        "securityContext": {
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    spec: Object = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "activeDeadlineSeconds": SECONDS,
        "terminationGracePeriodSeconds": 0,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": UID,
            "runAsGroup": GID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
    }
    if node:
        # Not the scheduler's choice: whatever a node is marked with, it is this one that is looked at.
        spec["nodeName"] = node.name
    metadata = {
        "name": name,
        "namespace": canary_of(cluster.control_namespace),
        "labels": _labels(cluster, component) | {ROUND: turn},
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _policy(cluster: Cluster, name: str, spec: Object) -> Object:
    metadata = {
        "name": name,
        "namespace": canary_of(cluster.control_namespace),
        "labels": _labels(cluster, "canary"),
    }
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


def _labels(cluster: Cluster, component: str) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": "tre",
        "app.kubernetes.io/managed-by": MANAGER,
        COMPONENT: component,
        INSTALLATION: cluster.control_namespace,
    }
