"""What a pod in a project's namespace must not reach on this cluster, and that each of it answers somebody.

Decides what is aimed at: what the API server tells of nodes, pods and services, and what the caller names. An aim
counts only where somebody gets an answer there: a pod that may reach everything, the kubelet that asks a ready pod's
port, or the caller. Leaves trying from inside to `verification`.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tre.errors import Unavailable
from tre.workspaces.kubernetes import canary
from tre.workspaces.kubernetes.api import Api
from tre.workspaces.kubernetes.cluster import Cluster, Pods
from tre.workspaces.kubernetes.content import NAMESPACE, NETWORK_POLICY, POD
from tre.workspaces.kubernetes.names import COMPONENT, INSTALLATION, canary_of, namespace_of
from tre.workspaces.kubernetes.namespace import Object
from tre.workspaces.kubernetes.proving import NODE, SERVICE, ready_nodes, told, wait_for

Aims = Mapping[str, Sequence[str]]
METADATA = "tcp://169.254.169.254:80"
LOOKED_AT = 20
#: What a pod can tell of at its end in 4096 bytes, with room to spare.
AT_ONCE = 40
#: What a cluster may not have, or not where a pod could ever reach it. All other aims must be real.
OPTIONAL = frozenset(
    {
        *("etcd", "metadata", "outside", "foreign-resolver", "node-ports", "neighbour", "stranger", "guard"),
        *("servers", "other-services"),
    }
)


@dataclass(frozen=True)
class Surroundings:
    """What only the caller knows: more aims by name (see `probes.inside.pod.AIMS`), and targets that answer it."""

    aims: Aims = field(default_factory=dict)
    answer: frozenset[str] = frozenset()


def real_aims(cluster: Cluster, api: Api, project: str, around: Surroundings) -> dict[str, list[str]]:
    """Name → targets that answer somebody. Raises `Unavailable` where no pod can be had to ask them."""
    cluster, pods = replace(cluster, mirror=cluster.mirror_of(project)), _all(api, POD)
    wanted = discovered(cluster, project, _all(api, NODE), pods, _all(api, SERVICE))
    wanted |= {name: [*wanted.get(name, []), *more] for name, more in around.aims.items()}
    known = around.answer | {target for pod in pods for target in asked_by_kubelet(pod)}
    doubtful = sorted({target for targets in wanted.values() for target in targets} - known)
    real = known | answering(cluster, api, doubtful)
    aims = {name: [target for target in targets if target in real] for name, targets in wanted.items()}
    return {name: targets for name, targets in aims.items() if targets}


def discovered(
    cluster: Cluster, project: str, listed: list[Object], pods: list[Object], services: list[Object]
) -> dict[str, list[str]]:
    """Aims among what the API server tells of all nodes, pods and services. Pure."""
    own = namespace_of(cluster.control_namespace, project)
    nodes = [each["address"] for found in listed for each in found["status"]["addresses"] if _is_ip(each)]
    kubernetes = next(each["spec"] for each in services if _place(each) == ("default", "kubernetes"))
    theirs = [each for each in services if _place(each)[0] != own]
    found: dict[str, list[str]] = {"neighbour": [], "stranger": [], "guard": [], "other-pods": []}
    for pod in (pod for pod in pods if (pod.get("status") or {}).get("phase") == "Running"):
        found[_side(cluster, own, pod)] += _closed(cluster, pod)
    return {
        "api-server": [f"tcp://{kubernetes['clusterIP']}:{kubernetes['ports'][0]['port']}"],
        "kubelet": [f"tcp://{address}:10250" for address in nodes],
        "etcd": [f"tcp://{address}:2379" for address in nodes],
        "nodes": [f"tcp://{address}:{port}" for address in nodes for port in (1, 22)],
        "metadata": [METADATA],
        **{name: targets[:LOOKED_AT] for name, targets in found.items()},
        "other-services": [target for each in theirs for target in _front(each)][:LOOKED_AT],
        "node-ports": [f"tcp://{address}:{port}" for address in nodes for port in _node_ports(services)],
    }


def answering(cluster: Cluster, api: Api, targets: list[str]) -> set[str]:
    """Those that a pod which may reach everything gets an answer from. Nothing of it stays."""
    api.apply(NAMESPACE, canary.namespace(cluster))
    for policy in canary.policies(cluster):
        api.apply(NETWORK_POLICY, policy)
    if not (nodes := ready_nodes(api)):
        raise Unavailable("No node is ready.")
    space = canary_of(cluster.control_namespace)
    parts = [targets[start : start + AT_ONCE] for start in range(0, len(targets), AT_ONCE)]
    turn, seen = canary.VERIFICATION, dict[str, str]()
    # Also what a verification left that was broken off.
    _clear(cluster, api)
    try:
        names = [f"free-{secrets.token_hex(4)}" for _ in parts]
        for name, part in zip(names, parts, strict=True):
            api.create(POD, canary.trier(cluster, name, canary.FREE, turn, nodes[0], part))
        for name in names:
            seen |= told(wait_for(api, space, name))
    finally:
        _clear(cluster, api)
    return {target for target, answer in seen.items() if answer in canary.REACHED}


def asked_by_kubelet(pod: Object) -> Iterator[str]:
    """Ports at which the kubelet, whom no policy hinders, gets an answer of a pod that is ready."""
    status = pod.get("status") or {}
    listed, address = status.get("conditions") or [], status.get("podIP", "")
    if not address or not any(each["type"] == "Ready" and each["status"] == "True" for each in listed):
        return
    for container in pod["spec"]["containers"]:
        probe = container.get("readinessProbe") or {}
        asked = probe.get("tcpSocket") or probe.get("httpGet") or {}
        named = {port.get("name"): port["containerPort"] for port in container.get("ports") or []}
        port = named.get(asked.get("port"), asked.get("port"))
        # With a host of its own it asks somewhere else: a node's loopback, mostly.
        if port is not None and not asked.get("host"):
            yield f"tcp://{address}:{port}"


def _clear(cluster: Cluster, api: Api) -> None:
    space, chosen = canary_of(cluster.control_namespace), f"{canary.ROUND}={canary.VERIFICATION}"
    api.ask("DELETE", POD.path(space), {"labelSelector": chosen}, {"gracePeriodSeconds": 0})


def _side(cluster: Cluster, own: str, pod: Object) -> str:
    """What reaching that pod would be."""
    space, labels = _place(pod)[0], pod["metadata"].get("labels") or {}
    if space == own:
        return "neighbour"
    if labels.get(INSTALLATION) == cluster.control_namespace and labels.get(COMPONENT) == "workspace":
        return "stranger"
    return "guard" if _is_part(cluster.guard, pod) else "other-pods"


def _is_part(part: Pods, pod: Object) -> bool:
    labels = pod["metadata"].get("labels") or {}
    return part.namespace == _place(pod)[0] and dict(part.labels).items() <= labels.items()


def _all(api: Api, kind: Any) -> list[Object]:
    return [each for _, page in api.pages(kind, {}) for each in page]


def _place(found: Object) -> tuple[str, str]:
    return found["metadata"].get("namespace", ""), found["metadata"]["name"]


def _is_ip(address: Object) -> bool:
    return address["type"] in ("InternalIP", "ExternalIP")


def _closed(cluster: Cluster, pod: Object) -> list[str]:
    """Its ports, but for the one that the policies open to the project's workspaces."""
    parts = (cluster.intake, cluster.dns, cluster.database, cluster.mirror)
    opened = {str(part.port) for part in parts if isinstance(part, Pods) and _is_part(part, pod)}
    return [target for target in _ports(pod) if target.rpartition(":")[2] not in opened]


def _ports(pod: Object) -> list[str]:
    address = pod["status"].get("podIP", "")
    if not address:
        return []
    listed = [port for container in pod["spec"]["containers"] for port in container.get("ports") or []]
    named = [f"{port.get('protocol', 'TCP').lower()}://{address}:{port['containerPort']}" for port in listed]
    return list(dict.fromkeys([*named, *asked_by_kubelet(pod)]))


def _front(service: Object) -> list[str]:
    address = service["spec"].get("clusterIP", "None")
    if address in ("None", ""):
        return []
    return [f"{port['protocol'].lower()}://{address}:{port['port']}" for port in service["spec"].get("ports") or []]


def _node_ports(services: list[Object]) -> list[int]:
    return [port["nodePort"] for each in services for port in each["spec"].get("ports") or [] if port.get("nodePort")]
