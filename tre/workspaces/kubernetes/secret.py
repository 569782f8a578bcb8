"""The Secret beside a workspace's pod: what it may hold, and how a part of it is replaced while it runs.

Decides that nothing outlives the pod (it owns the Secret) and that researcher's files and the server's own settings
are shown in different places. Pure; the objects hold secrets and are never logged.
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict

from tre.errors import InvalidInput
from tre.workspaces.kubernetes.cluster import Cluster
from tre.workspaces.kubernetes.names import labels, namespace_of, workspace_of
from tre.workspaces.kubernetes.namespace import Object
from tre.workspaces.kubernetes.network import JUPYTER_PORT
from tre.workspaces.kubernetes.user import account_file, user_of
from tre.workspaces.plan import SECRET_NAME, LaunchPlan

#: No secret file of a plan can have these names: theirs begin with a letter or a digit.
SERVER_KEY, ACCOUNT_KEY = "_server.json", "_passwd"
#: The API server refuses more.
LARGEST = 1 << 20


def workspace_secret(cluster: Cluster, plan: LaunchPlan, *, pod_uid: str) -> Object:
    """Made after its pod, whose `uid` the API server chose: with the pod it goes, however that ends."""
    name = workspace_of(plan.workspace_id)
    own = {SERVER_KEY: _settings(cluster, plan), ACCOUNT_KEY: account_file(user_of(cluster, plan))}
    data = {key: _encoded(text) for key, text in sorted({**plan.secrets, **own}.items())}
    if sum(map(len, data.values())) > LARGEST:
        raise InvalidInput("the secret files are larger than a Secret may be", field="secrets")
    metadata = {
        "name": name,
        "namespace": namespace_of(cluster.control_namespace, plan.project),
        "labels": labels(
            cluster.control_namespace, plan.project, "workspace", person=plan.person, workspace=plan.workspace_id
        ),
        "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": name, "uid": pod_uid}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "immutable": False,
        "metadata": metadata,
        "data": data,
    }


def replacement(name: str, text: str) -> Object:
    """A merge patch that gives one secret file a new text. The kubelet shows it within its sync period."""
    if not SECRET_NAME.fullmatch(name):
        raise InvalidInput("not the name of a secret file", field="name")
    return {"data": {name: _encoded(text)}}


def _settings(cluster: Cluster, plan: LaunchPlan) -> str:
    """What the image's start program reads: where to serve, for whom, and the limits that it sets for itself."""
    limits = asdict(plan.limits)
    own = {name: limits[name] for name in ("processes", "file_bytes", "open_files")}
    given = {"base_url": plan.base_url, "token_hash": plan.token_hash, "port": JUPYTER_PORT, "limits": own}
    return json.dumps({**given, "devices": cluster.has_gpu(plan.project)}, sort_keys=True)


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
