"""What a project's namespace consists of besides its network policies, each as a whole object.

Decides what may be born there at all: restricted pods without a service account's token, so many and so large as the
project's numbers allow, volumes that exist already, and that only the hub may make pods and secrets in it. Pure.
"""

from __future__ import annotations

from typing import Any

from tre.workspaces.kubernetes.cluster import Cluster
from tre.workspaces.kubernetes.names import DOMAIN, dns_label, home_of, labels, namespace_of
from tre.workspaces.kubernetes.quantities import of_bytes, of_count, of_cpus
from tre.workspaces.plan import Limits

Object = dict[str, Any]

POD_SECURITY = "pod-security.kubernetes.io"
DATA = "data"
HUB = "hub"
#: The cluster takes note of a larger quota a moment after it is set: until then there is room for who joined.
SPARE_HOMES = 2


def namespace(cluster: Cluster, slug: str) -> Object:
    """Pod Security `restricted` is enforced, warned of and audited, in the version that the installation pins."""
    security = {
        f"{POD_SECURITY}/{mode}{suffix}": value
        for mode in ("enforce", "audit", "warn")
        for suffix, value in (("", "restricted"), ("-version", cluster.pod_security_version))
    }
    made = labels(cluster.control_namespace, slug, "project") | security
    name = namespace_of(cluster.control_namespace, slug)
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": made}}


def quota(cluster: Cluster, slug: str, limits: Limits, *, people: int, homes: int, closed: bool) -> Object:
    """Two workspaces for each of so many people, since one that ends counts until it is gone; none where the project
    is closed or suspended. No Service ever: a workspace is reached through the guard.
    """
    pods = 0 if closed else 2 * people
    gpus = cluster.gpu.count * pods if cluster.gpu and slug in cluster.gpu.projects else 0
    cpus = of_cpus(pods * limits.cpus) if pods else "0"
    memory, ephemeral = (
        of_bytes(pods * each) if pods else "0" for each in (limits.memory_bytes, cluster.storage.ephemeral_bytes)
    )
    volumes = (homes + SPARE_HOMES) * (limits.home_bytes >> 20 << 20) + cluster.storage.data_bytes
    hard = {
        "pods": of_count(pods),
        **{f"{kind}.cpu": cpus for kind in ("requests", "limits")},
        **{f"{kind}.memory": memory for kind in ("requests", "limits")},
        **{f"{kind}.ephemeral-storage": ephemeral for kind in ("requests", "limits")},
        "count/secrets": of_count(2 * people + 1),
        "persistentvolumeclaims": of_count(homes + SPARE_HOMES + 1),
        "requests.storage": of_bytes(volumes),
        "services": "0",
        "services.nodeports": "0",
        "services.loadbalancers": "0",
    }
    if cluster.gpu:
        hard[f"requests.{cluster.gpu.resource}"] = of_count(gpus)
    return _part(cluster, slug, "v1", "ResourceQuota", "project", spec={"hard": hard})


def limit_range(cluster: Cluster, slug: str, limits: Limits) -> Object:
    """No container without limits, none above those of one workspace."""
    most = {
        "cpu": of_cpus(limits.cpus),
        "memory": of_bytes(limits.memory_bytes),
        "ephemeral-storage": of_bytes(cluster.storage.ephemeral_bytes),
    }
    claim = of_bytes(max(limits.home_bytes, cluster.storage.data_bytes))
    bounds = [
        {"type": "Container", "max": most, "default": most, "defaultRequest": most},
        {"type": "Pod", "max": most},
        {"type": "PersistentVolumeClaim", "max": {"storage": claim}},
    ]
    return _part(cluster, slug, "v1", "LimitRange", "project", spec={"limits": bounds})


def service_account(cluster: Cluster, slug: str) -> Object:
    """The one that every namespace has; nobody gets its token."""
    return _part(cluster, slug, "v1", "ServiceAccount", "default", automountServiceAccountToken=False)


def home_claim(cluster: Cluster, slug: str, username: str, limits: Limits) -> Object:
    storage = cluster.storage
    spec = _claim(storage.home_class, storage.home_access, limits.home_bytes)
    claim = _part(cluster, slug, "v1", "PersistentVolumeClaim", home_of(username), component="home", spec=spec)
    claim["metadata"]["labels"][f"{DOMAIN}/person"] = dns_label(username)
    return claim


def data_claim(cluster: Cluster, slug: str) -> Object:
    """Where the project's extracts are put by the platform; workspaces read it."""
    storage = cluster.storage
    spec = _claim(storage.data_class, storage.data_access, storage.data_bytes)
    return _part(cluster, slug, "v1", "PersistentVolumeClaim", DATA, component="data", spec=spec)


def _claim(storage_class: str, access: str, size: int) -> Object:
    spec: Object = {"accessModes": [access], "resources": {"requests": {"storage": of_bytes(size)}}}
    return {**spec, "storageClassName": storage_class} if storage_class else spec


def role(cluster: Cluster, slug: str) -> Object:
    """What the hub does here: it makes and ends pods and puts a Secret beside each, which it cannot read again. It runs
    nothing inside, and sees which volumes there are.
    """
    rules = [
        _rule("pods", "create", "delete", "get", "list", "watch"),
        _rule("secrets", "create", "delete"),
        _rule("persistentvolumeclaims", "get", "list", "watch"),
    ]
    return _part(cluster, slug, "rbac.authorization.k8s.io/v1", "Role", HUB, rules=rules)


def role_binding(cluster: Cluster, slug: str) -> Object:
    return _part(
        cluster,
        slug,
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        HUB,
        roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": HUB},
        subjects=[{"kind": "ServiceAccount", "name": cluster.hub_account, "namespace": cluster.control_namespace}],
    )


def _rule(resource: str, *verbs: str) -> Object:
    return {"apiGroups": [""], "resources": [resource], "verbs": list(verbs)}


def _part(
    cluster: Cluster, slug: str, version: str, kind: str, name: str, *, component: str = "project", **body: Any
) -> Object:
    metadata = {
        "name": name,
        "namespace": namespace_of(cluster.control_namespace, slug),
        "labels": labels(cluster.control_namespace, slug, component),
    }
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **body}
