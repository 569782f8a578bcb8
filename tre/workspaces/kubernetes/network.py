"""Who may talk to whom in a project's namespace: two NetworkPolicies, each as a whole object.

Decides that nothing comes in or goes out but what is listed here. Ports are those of the pods, not of services: a
policy sees an address after it was translated. Pure; that policies are enforced is for the cluster's own probes.
"""

from __future__ import annotations

from tre.workspaces.kubernetes.cluster import Addresses, Cluster, Pods
from tre.workspaces.kubernetes.names import COMPONENT, labels, namespace_of
from tre.workspaces.kubernetes.namespace import Object

#: Where a workspace's Jupyter server listens, for the guard alone.
JUPYTER_PORT = 8888
#: What workspaces of one project may use among themselves, where the installation lets them. Not Jupyter's.
AMONG = (10000, 65535)
WORKSPACES: Object = {"matchLabels": {COMPONENT: "workspace"}}


def default_deny(cluster: Cluster, slug: str) -> Object:
    """Every pod of the namespace, whatever its labels, in both directions."""
    return _policy(cluster, slug, "default-deny", {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]})


def openings(cluster: Cluster, slug: str) -> Object:
    """Guard → workspace; workspace → intake, DNS, project database, its package mirror; and nothing else."""
    dns = {"to": [_peer(cluster.dns)], "ports": [_port("UDP", cluster.dns.port), _port("TCP", cluster.dns.port)]}
    targets = [target for target in (cluster.intake, cluster.database, cluster.mirror_of(slug)) if target is not None]
    ingress = [{"from": [_peer(cluster.guard)], "ports": [_port("TCP", JUPYTER_PORT)]}]
    egress = [dns, *({"to": [_peer(target)], "ports": [_port("TCP", target.port)]} for target in targets)]
    if cluster.among_workspaces:
        among: Object = {**_port("TCP", AMONG[0]), "endPort": AMONG[1]}
        ingress.append({"from": [{"podSelector": WORKSPACES}], "ports": [among]})
        egress.append({"to": [{"podSelector": WORKSPACES}], "ports": [among]})
    spec = {
        "podSelector": WORKSPACES,
        "policyTypes": ["Ingress", "Egress"],
        "ingress": ingress,
        "egress": egress,
    }
    return _policy(cluster, slug, "workspace", spec)


def _peer(target: Pods | Addresses) -> Object:
    if isinstance(target, Addresses):
        return {"ipBlock": {"cidr": target.cidr}}
    # The API server itself keeps this label right, so nobody's namespace can pose as another.
    return {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": target.namespace}},
        "podSelector": {"matchLabels": dict(target.labels)},
    }


def _port(protocol: str, port: int) -> Object:
    return {"protocol": protocol, "port": port}


def _policy(cluster: Cluster, slug: str, name: str, spec: Object) -> Object:
    metadata = {
        "name": name,
        "namespace": namespace_of(cluster.control_namespace, slug),
        "labels": labels(cluster.control_namespace, slug, "project"),
    }
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}
