"""Pods that would have the node, asked for and never kept: refused at admission, or the wall is not there.

Decides what is changed in a workspace's pod for each, and that only Pod Security's own word is a refusal.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tre.errors import InvalidInput, TreError, Unavailable
from tre.workspaces.kubernetes.api import Api
from tre.workspaces.kubernetes.cluster import Cluster
from tre.workspaces.kubernetes.content import POD
from tre.workspaces.kubernetes.names import namespace_of
from tre.workspaces.kubernetes.pod import workspace_pod
from tre.workspaces.plan import LaunchPlan
from tre.workspaces.probes.report import Result, Verdict

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
    """Each is asked for as a dry run, in the place of the plan's pod."""
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
