"""The kinds of objects that a project consists of, and what of an object is ours to say.

Decides when an object that the API server shows is the one that was asked for: all of its content is compared, so that
an addition by hand counts as much as a change. What the server itself writes is left out. Builders spell every default,
so content and wish are equal or something was changed. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tre.store.canonical import digest_of
from tre.workspaces.kubernetes.names import DIGEST, DOMAIN
from tre.workspaces.kubernetes.namespace import POD_SECURITY, Object
from tre.workspaces.kubernetes.quantities import to_bytes

_SERVERS_OWN = frozenset({"apiVersion", "kind", "metadata", "status"})
_EMPTY: tuple[Any, ...] = (None, "", [], {})
#: On a namespace and on a volume others may set labels of theirs (a cluster's own tools do), but not among these.
_OUR_LABELS = (f"{DOMAIN}/", f"{POD_SECURITY}/", "app.kubernetes.io/")


@dataclass(frozen=True)
class Kind:
    """Where a kind lives in the API. Of an `exclusive` kind nothing but what we ask for may be in a project's
    namespace: each could open a wall. Of a `kept` one nothing is ever removed but with its namespace.
    """

    name: str
    version: str
    plural: str
    namespaced: bool = True
    exclusive: bool = False
    kept: bool = False

    def path(self, namespace: str = "", name: str = "") -> str:
        root = f"/api/{self.version}" if "/" not in self.version else f"/apis/{self.version}"
        inside = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{root}{inside}/{self.plural}" + (f"/{name}" if name else "")


_RBAC = "rbac.authorization.k8s.io/v1"
NAMESPACE = Kind("Namespace", "v1", "namespaces", namespaced=False, kept=True)
NETWORK_POLICY = Kind("NetworkPolicy", "networking.k8s.io/v1", "networkpolicies", exclusive=True)
RESOURCE_QUOTA = Kind("ResourceQuota", "v1", "resourcequotas")
LIMIT_RANGE = Kind("LimitRange", "v1", "limitranges")
SERVICE_ACCOUNT = Kind("ServiceAccount", "v1", "serviceaccounts", exclusive=True)
CLAIM = Kind("PersistentVolumeClaim", "v1", "persistentvolumeclaims", kept=True)
ROLE = Kind("Role", _RBAC, "roles", exclusive=True)
ROLE_BINDING = Kind("RoleBinding", _RBAC, "rolebindings", exclusive=True)
POD = Kind("Pod", "v1", "pods")
SECRET = Kind("Secret", "v1", "secrets")

#: In the order in which they are made: the hub's right to make pods comes last, behind every wall. Volumes come before
#: the quota, whose account the API server would write anew for each of them.
PARTS = (NAMESPACE, NETWORK_POLICY, CLAIM, RESOURCE_QUOTA, LIMIT_RANGE, SERVICE_ACCOUNT, ROLE, ROLE_BINDING)
BY_NAME = {kind.name: kind for kind in (*PARTS, POD, SECRET)}


def content(kind: Kind, found: Object) -> Object:
    """What we decide of an object: its labels and everything but the server's own."""
    labels = found["metadata"].get("labels") or {}
    if kind.kept:
        labels = {name: value for name, value in labels.items() if name.startswith(_OUR_LABELS)}
    rest = {name: value for name, value in found.items() if name not in _SERVERS_OWN and value not in _EMPTY}
    if kind is NAMESPACE:
        rest = {}
    elif kind is CLAIM:
        # Where the volume lies and how large it is were settled by its making; `size` is looked at by itself.
        rest = {"accessModes": found["spec"]["accessModes"]}
    return {"labels": labels, **rest}


def others_labels(found: Object) -> dict[str, str]:
    labels = found["metadata"].get("labels") or {}
    return {name: value for name, value in labels.items() if not name.startswith(_OUR_LABELS)}


def digest(kind: Kind, found: Object) -> str:
    return digest_of(content(kind, found))


def stamp(found: Object) -> str:
    """What we last asked for, as the object itself says."""
    return str((found["metadata"].get("annotations") or {}).get(DIGEST, ""))


def stamped(kind: Kind, wanted: Object) -> Object:
    """The object with the digest of its content as an annotation."""
    return {**wanted, "metadata": {**wanted["metadata"], "annotations": {DIGEST: digest(kind, wanted)}}}


def size(kind: Kind, found: Object) -> int:
    """Bytes that a volume's claim asks for; 0 for other kinds, and for a size that is spelled as we never spell one."""
    try:
        return to_bytes(found["spec"]["resources"]["requests"]["storage"]) if kind is CLAIM else 0
    except ValueError:
        return 0
