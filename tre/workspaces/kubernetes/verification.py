"""The walls of a project on a cluster, tried from inside a pod that is as a workspace's.

Decides what is aimed at (what the API server tells of nodes, pods and services, and what the caller names), that an aim
counts only where a pod that may reach everything gets an answer, and what makes a verdict. The pod is of nobody: it has
the image, the walls and the labels of a workspace, an empty home and no login. Leaves the attempts to `probes.inside`.
"""

from __future__ import annotations

import base64
import importlib
import json
import platform as machine
import secrets
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tre.errors import InvalidInput, TreError, Unavailable
from tre.workspaces.kubernetes import canary
from tre.workspaces.kubernetes.api import Api
from tre.workspaces.kubernetes.cluster import Cluster, Pods
from tre.workspaces.kubernetes.content import NAMESPACE, NETWORK_POLICY, POD, SECRET
from tre.workspaces.kubernetes.names import canary_of, namespace_of, workspace_of
from tre.workspaces.kubernetes.namespace import Object
from tre.workspaces.kubernetes.pod import workspace_pod
from tre.workspaces.kubernetes.proving import NODE, SERVICE, ready_nodes, told, wait_for
from tre.workspaces.kubernetes.secret import workspace_secret
from tre.workspaces.plan import LaunchPlan, Limits
from tre.workspaces.probes import verify as embedded
from tre.workspaces.probes.inside.attempt import ATTEMPTS
from tre.workspaces.probes.report import Report, Result, Verdict
from tre.workspaces.sandbox.seccomp import TABLES

importlib.import_module(f"{embedded.INSIDE}.pod")
Aims = Mapping[str, Sequence[str]]
MODULES = ("attempt", "network", "kernel", "processes", "files", "pod")
#: Of the sandbox's attempts those whose wall a pod of Pod Security `restricted` has as well.
SHARED = (
    "packet-socket", "raw-socket", "mount", "new-mount-calls", "unshare-user", "clone-user", "setns", "bpf",
    "kernel-modules", "make-device", "system-sockets",
    "other-process-memory",
)  # fmt: skip
LIMITS = Limits(memory_bytes=256 << 20, cpus=0.1, home_bytes=1 << 30, max_age_seconds=300)
METADATA = "tcp://169.254.169.254:80"
LOOKED_AT = 20
#: What a cluster may not have, or not where a pod could ever reach it. All other aims must be real.
OPTIONAL = frozenset(
    {"etcd", "metadata", "outside", "foreign-resolver", "node-ports", "neighbour", "stranger", "guard"}
)
BOOTSTRAP = f"""
import base64, json, sys, types, zlib
sent = json.loads(zlib.decompress(base64.b64decode(sys.argv[1])))
{embedded.RUN_SENT}"""


@dataclass(frozen=True)
class Surroundings:
    """What only the caller knows: more aims by name (see `probes.inside.pod.AIMS`)."""

    aims: Aims = field(default_factory=dict)


def verify(cluster: Cluster, api: Api, project: str, around: Surroundings = Surroundings()) -> Report:
    """Raises `Unavailable` where no pod can be had in the project's namespace."""
    wanted = discovered(cluster, api, project)
    wanted |= {name: [*wanted.get(name, []), *more] for name, more in around.aims.items()}
    real = answering(cluster, api, [target for targets in wanted.values() for target in targets])
    aims = {name: [target for target in targets if target in real] for name, targets in wanted.items()}
    aims = {name: targets for name, targets in aims.items() if targets}
    absent = sorted(OPTIONAL - aims.keys())
    own = [name for name, one in ATTEMPTS.items() if name.startswith("pod-") and one.needs[4:] not in absent]
    names = [*own, *SHARED]
    plan = nobody(project, tuple(node.name for node in ready_nodes(api)))
    with running(cluster, api, plan, payload(names, aims)) as pod:
        answers = embedded.answers_of(pod.encode())
    results = [judged(name, plan, aims, answers) for name in names]
    left_out = tuple(f"{name} (nobody gets an answer)" for name in absent)
    return Report((*results, *admission(cluster, api, plan)), left_out)


def discovered(cluster: Cluster, api: Api, project: str) -> dict[str, list[str]]:
    """Aims that the API server knows of."""
    own = namespace_of(cluster.control_namespace, project)
    nodes = [each["address"] for found in _all(api, NODE) for each in found["status"]["addresses"] if _is_ip(each)]
    pods = [pod for pod in _all(api, POD) if (pod.get("status") or {}).get("phase") == "Running"]
    services = _all(api, SERVICE)
    kubernetes = next(each["spec"] for each in services if _place(each) == ("default", "kubernetes"))
    foreign = [pod for pod in pods if _place(pod)[0] != own]
    theirs = [each for each in services if _place(each)[0] != own]
    return {
        "api-server": [f"tcp://{kubernetes['clusterIP']}:{kubernetes['ports'][0]['port']}"],
        "kubelet": [f"tcp://{address}:10250" for address in nodes],
        "etcd": [f"tcp://{address}:2379" for address in nodes],
        "nodes": [f"tcp://{address}:{port}" for address in nodes for port in (1, 22)],
        "metadata": [METADATA],
        "other-pods": [target for pod in foreign[:LOOKED_AT] for target in _closed(cluster, pod)],
        "other-services": [target for each in theirs for target in _front(each)][:LOOKED_AT],
        "node-ports": [f"tcp://{address}:{port}" for address in nodes for port in _node_ports(services)],
    }


def answering(cluster: Cluster, api: Api, targets: list[str]) -> set[str]:
    """Those that a pod which may reach everything gets an answer from: only they show a wall."""
    turn = secrets.token_hex(4)
    api.apply(NAMESPACE, canary.namespace(cluster))
    for policy in canary.policies(cluster):
        api.apply(NETWORK_POLICY, policy)
    space, name = canary_of(cluster.control_namespace), f"free-{turn}"
    if not (nodes := ready_nodes(api)):
        raise Unavailable("No node is ready.")
    pod = api.create(POD, canary.trier(cluster, name, canary.FREE, turn, nodes[0], targets))
    try:
        seen = told(wait_for(api, space, name))
    finally:
        api.delete(POD, space, name, uid=pod["metadata"]["uid"])
    return {target for target, answer in seen.items() if answer in canary.REACHED}


def nobody(project: str, nodes: tuple[str, ...]) -> LaunchPlan:
    """A plan as a workspace's, for a pod that holds nothing."""
    name = f"probe-{secrets.token_hex(6)}"
    return LaunchPlan(
        workspace_id=name,
        person="nobody",
        project=project,
        home="/nowhere",
        base_url=f"/user/nobody/{project}/",
        intake_socket="/nowhere/intake.sock",
        jupyter_token=secrets.token_hex(32),
        secrets={"intake.token": "none"},
        limits=LIMITS,
        nodes=nodes,
    )


def probe_pod(cluster: Cluster, plan: LaunchPlan, argument: str) -> Object:
    """The workspace's pod, with the attempts as its program and an empty home."""
    made = workspace_pod(cluster, plan)
    container = made["spec"]["containers"][0]
    container |= {"command": [cluster.python, "-I", "-c", BOOTSTRAP], "args": [argument]}
    del container["readinessProbe"]
    for volume in made["spec"]["volumes"]:
        if volume["name"] == "home":
            volume.pop("persistentVolumeClaim")
            volume["emptyDir"] = {"medium": "Memory", "sizeLimit": "16Mi"}
    return made


@contextmanager
def running(cluster: Cluster, api: Api, plan: LaunchPlan, argument: str) -> Iterator[str]:
    """What the pod printed until it ended. Nothing of it stays."""
    space, name = namespace_of(cluster.control_namespace, plan.project), workspace_of(plan.workspace_id)
    pod = api.create(POD, probe_pod(cluster, plan, argument))
    uid = pod["metadata"]["uid"]
    try:
        api.create(SECRET, workspace_secret(cluster, plan, pod_uid=uid))
        wait_for(api, space, name, seconds=240)
        yield api.text(f"{POD.path(space, name)}/log")
    finally:
        api.delete(POD, space, name, uid=uid)


def payload(names: Sequence[str], aims: Aims) -> str:
    folder = Path(embedded.__file__).parent / "inside"
    modules = {f"{embedded.INSIDE}.{name}": (folder / f"{name}.py").read_text() for name in MODULES}
    ready = [name for name in names if not _aim(name) or _aim(name) in aims]
    given = {"names": ready, "aims": aims, "calls": dict(TABLES[machine.machine()])}
    sent = {"modules": modules, "main": f"{embedded.INSIDE}.attempt", "given": given}
    return base64.b64encode(zlib.compress(json.dumps(sent).encode(), 9)).decode()


def judged(name: str, plan: LaunchPlan, aims: Aims, answers: Mapping[str, tuple[Verdict, str]]) -> Result:
    one = ATTEMPTS[name]
    missing = "nothing of this kind answers anybody" if (aim := _aim(name)) and aim not in aims else "no answer"
    verdict, detail = answers.get(name, ("could_not_run", missing))
    return Result(name, plan.workspace_id, one.wall, one.tries, verdict, detail)


def _aim(name: str) -> str:
    needs = ATTEMPTS[name].needs
    return needs.removeprefix("aim-") if needs.startswith("aim-") else ""


#: Pods that would have the node: what is changed in a workspace's pod.
SIEGES: dict[str, dict[str, Any]] = {
    "privileged": {"container": {"securityContext": {"privileged": True}}},
    "host-network": {"spec": {"hostNetwork": True}},
    "host-processes": {"spec": {"hostPID": True}},
    "host-ipc": {"spec": {"hostIPC": True}},
    "host-path": {"spec": {"volumes": [{"name": "host", "hostPath": {"path": "/"}}]}},
    "root": {"spec": {"securityContext": {"runAsUser": 0}}},
    "capability": {"container": {"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}},
    "no-seccomp": {"container": {"securityContext": {"seccompProfile": {"type": "Unconfined"}}}},
    "host-port": {"container": {"ports": [{"containerPort": 8888, "hostPort": 8888}]}},
}


def admission(cluster: Cluster, api: Api, plan: LaunchPlan) -> list[Result]:
    """Each is asked for and never kept: refused at admission or the wall is not there."""
    return [_siege(cluster, api, replace(plan, workspace_id=f"{plan.workspace_id}-s"), name) for name in SIEGES]


def _siege(cluster: Cluster, api: Api, plan: LaunchPlan, name: str) -> Result:
    made, changes = workspace_pod(cluster, plan), SIEGES[name]
    made["spec"] |= changes.get("spec", {})
    made["spec"]["containers"][0] |= changes.get("container", {})
    if "volumes" in changes.get("spec", {}):
        made["spec"]["containers"][0]["volumeMounts"] = [{"name": "host", "mountPath": "/host"}]
    path = POD.path(namespace_of(cluster.control_namespace, plan.project))
    verdict: Verdict = "reached"
    detail = "it was admitted"
    try:
        api.ask("POST", path, {"dryRun": "All"}, made)
    except (Unavailable, InvalidInput) as refusal:
        refused = "violates PodSecurity" in refusal.message
        verdict, detail = ("refused" if refused else "could_not_run"), refusal.message
    except TreError as error:
        verdict, detail = "could_not_run", error.message
    return Result(f"pod-{name}", plan.workspace_id, "admission", f"have a pod made with: {name}", verdict, detail[:300])


def _all(api: Api, kind: Any) -> list[Object]:
    return [each for _, page in api.pages(kind, {}) for each in page]


def _place(found: Object) -> tuple[str, str]:
    return found["metadata"].get("namespace", ""), found["metadata"]["name"]


def _is_ip(address: Object) -> bool:
    return address["type"] in ("InternalIP", "ExternalIP")


def _ports(pod: Object) -> list[str]:
    ports = [port for container in pod["spec"]["containers"] for port in container.get("ports") or []]
    address = pod["status"].get("podIP", "")
    return [f"{port.get('protocol', 'TCP').lower()}://{address}:{port['containerPort']}" for port in ports if address]


def _closed(cluster: Cluster, pod: Object) -> list[str]:
    """Its ports, but for the one that the policies open to every workspace."""
    opened = set()
    for part in (cluster.intake, cluster.dns, cluster.database, cluster.mirror):
        labels = pod["metadata"].get("labels") or {}
        if isinstance(part, Pods) and part.namespace == _place(pod)[0] and dict(part.labels).items() <= labels.items():
            opened.add(str(part.port))
    return [target for target in _ports(pod) if target.rpartition(":")[2] not in opened]


def _front(service: Object) -> list[str]:
    address = service["spec"].get("clusterIP", "None")
    if address in ("None", ""):
        return []
    return [f"{port['protocol'].lower()}://{address}:{port['port']}" for port in service["spec"].get("ports") or []]


def _node_ports(services: list[Object]) -> list[int]:
    return [port["nodePort"] for each in services for port in each["spec"].get("ports") or [] if port.get("nodePort")]
