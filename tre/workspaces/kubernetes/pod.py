"""One workspace as a pod: a pure function of its plan.

Decides every wall that a pod can have: no root, no capability, no way to more, a read-only root, memory for what is
temporary, no token of a service account, nothing of the host, limits that are also what it asks for. Leaves the
network to `network`, what the namespace admits to `namespace`, and the limits that a pod cannot express (processes,
open files, the largest file) to the image's start program, which reads them from its Secret.
"""

from __future__ import annotations

from posixpath import basename

from tre.errors import InvalidInput
from tre.workspaces.kubernetes.cluster import Cluster
from tre.workspaces.kubernetes.names import home_of, labels, namespace_of, workspace_of
from tre.workspaces.kubernetes.namespace import DATA, Object
from tre.workspaces.kubernetes.network import JUPYTER_PORT
from tre.workspaces.kubernetes.quantities import of_bytes, of_count, of_cpus
from tre.workspaces.kubernetes.secret import ACCOUNT_KEY, SERVER_KEY
from tre.workspaces.kubernetes.user import GID, HOME, user_of
from tre.workspaces.plan import LaunchPlan

SECRETS = "/run/tre"
SERVER = "/run/server"
#: What a researcher takes from the package mirror. Kernels look there after everything else; the Jupyter server never.
PACKAGES = f"{HOME}/packages"
END_SECONDS = 2
SMALL = 16 << 20
#: Seconds after which the pod of a node that is lost counts as ended, and its login with it.
LOST = 30


def workspace_pod(cluster: Cluster, plan: LaunchPlan) -> Object:
    """The whole pod. Its Secret has the same name and is made right after it (`secret`): until then it waits.

    Raises `InvalidInput` where two of the plan's data folders would be one in the project's volume.
    """
    metadata = {
        "name": workspace_of(plan.workspace_id),
        "namespace": namespace_of(cluster.control_namespace, plan.project),
        "labels": labels(
            cluster.control_namespace, plan.project, "workspace", person=plan.person, workspace=plan.workspace_id
        ),
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": _spec(cluster, plan)}


def _spec(cluster: Cluster, plan: LaunchPlan) -> Object:
    spec: Object = {
        "serviceAccountName": "default",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "hostNetwork": False,
        "hostPID": False,
        "hostIPC": False,
        "shareProcessNamespace": False,
        "hostname": "workspace",
        "restartPolicy": "Never",
        "activeDeadlineSeconds": plan.limits.max_age_seconds,
        "terminationGracePeriodSeconds": END_SECONDS,
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": [cluster.dns_address], "options": [{"name": "ndots", "value": "1"}]},
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": user_of(cluster, plan),
            "runAsGroup": GID,
            "fsGroup": GID,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "tolerations": [
            {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": LOST}
            for key in ("not-ready", "unreachable")
        ],
        "containers": [_container(cluster, plan)],
        "volumes": _volumes(plan),
    }
    if cluster.user_namespaces:
        spec["hostUsers"] = False
    if cluster.priority_class:
        spec["priorityClassName"] = cluster.priority_class
    if (gpu := cluster.gpu) and cluster.has_gpu(plan.project):
        spec["nodeSelector"] = dict(gpu.node_labels)
        if gpu.taint:
            spec["tolerations"].append({"key": gpu.taint, "operator": "Exists", "effect": "NoSchedule"})
    if plan.nodes:
        spec["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": _only(plan.nodes)}}
    return spec


def _only(nodes: tuple[str, ...]) -> Object:
    """One of these nodes, by name: a label could be moved."""
    fields = [{"key": "metadata.name", "operator": "In", "values": [node]} for node in nodes]
    return {"nodeSelectorTerms": [{"matchFields": [each]} for each in fields]}


def _container(cluster: Cluster, plan: LaunchPlan) -> Object:
    amounts = _amounts(cluster, plan)
    return {
        "name": "workspace",
        "image": cluster.image_of(plan.project),
        "imagePullPolicy": cluster.pull_policy,
        "workingDir": HOME,
        "env": _environment(cluster, plan),
        "ports": [{"name": "jupyter", "containerPort": JUPYTER_PORT, "protocol": "TCP"}],
        "readinessProbe": {"tcpSocket": {"port": JUPYTER_PORT}, "periodSeconds": 1, "failureThreshold": 3},
        "resources": {"requests": amounts, "limits": amounts},
        "securityContext": {
            "runAsNonRoot": True,
            "privileged": False,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePolicy": "File",
        "volumeMounts": _mounts(plan),
    }


def _amounts(cluster: Cluster, plan: LaunchPlan) -> dict[str, str]:
    amounts = {
        "cpu": of_cpus(plan.limits.cpus),
        "memory": of_bytes(plan.limits.memory_bytes),
        "ephemeral-storage": of_bytes(cluster.storage.ephemeral_bytes),
    }
    if (gpu := cluster.gpu) and cluster.has_gpu(plan.project):
        amounts[gpu.resource] = of_count(gpu.count)
    return amounts


def _environment(cluster: Cluster, plan: LaunchPlan) -> list[Object]:
    """Names and counts, never a secret: the image has the rest."""
    threads = str(max(1, round(plan.limits.cpus)))
    pools = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS", "NUMEXPR_MAX_THREADS")
    values = {"TRE_PROJECT": plan.project, "HOME": HOME, **dict.fromkeys(pools, threads)}
    if cluster.intake_url:
        values["TRE_INTAKE"] = cluster.intake_url
    if mirror := cluster.mirror_of(plan.project):
        values |= {"PIP_INDEX_URL": mirror.url, "PIP_TARGET": PACKAGES, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        values |= {"PIP_TRUSTED_HOST": mirror.host} if mirror.plain else {}
    return [{"name": name, "value": value} for name, value in sorted(values.items())]


def _volumes(plan: LaunchPlan) -> list[Object]:
    name = workspace_of(plan.workspace_id)
    quarter = plan.limits.memory_bytes // 4
    volumes: list[Object] = [
        {"name": "home", "persistentVolumeClaim": {"claimName": home_of(plan.person)}},
        {"name": "secrets", "secret": _files(name, {key: key for key in sorted(plan.secrets)})},
        {"name": "server", "secret": _files(name, {SERVER_KEY: "settings.json", ACCOUNT_KEY: "passwd"})},
        {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": of_bytes(quarter)}},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": of_bytes(quarter)}},
        {"name": "jupyter", "emptyDir": {"medium": "Memory", "sizeLimit": of_bytes(SMALL)}},
    ]
    if plan.data:
        volumes.append({"name": "data", "persistentVolumeClaim": {"claimName": DATA, "readOnly": True}})
    return volumes


def _files(secret: str, names: dict[str, str]) -> Object:
    """Shown from the kubelet's memory, replaced there when the Secret is. A Secret volume without items shows all."""
    items = [{"key": key, "path": path} for key, path in names.items()]
    if not items:
        raise InvalidInput("a workspace needs at least its intake token", field="secrets")
    return {"secretName": secret, "defaultMode": 0o400, "optional": False, "items": items}


def _mounts(plan: LaunchPlan) -> list[Object]:
    mounts: list[Object] = [
        {"name": "home", "mountPath": HOME},
        {"name": "secrets", "mountPath": SECRETS, "readOnly": True},
        {"name": "server", "mountPath": SERVER, "readOnly": True},
        {"name": "server", "mountPath": "/etc/passwd", "subPath": "passwd", "readOnly": True},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
        {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108
        {"name": "jupyter", "mountPath": "/run/jupyter"},
    ]
    folders = [basename(mount.path) for mount in plan.data]
    if len(set(folders)) != len(folders) or not {"", ".", ".."}.isdisjoint(folders):
        raise InvalidInput("each dataset needs a folder of its own", field="data")
    return mounts + [
        {"name": "data", "mountPath": f"/data/{mount.name}", "subPath": folder, "readOnly": True}
        for mount, folder in zip(plan.data, folders, strict=True)
    ]
