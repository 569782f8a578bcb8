"""Whoever carries an extract into its project's volume, as a pod: a pure function of what is to be carried.

Decides that it is a workspace's pod in every wall, with a program of ours in place of the server, the project's data
writable, and no home. So it reaches what a workspace reaches, and no more: the project's own database.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from tre.data.carrying import Load
from tre.workspaces.kubernetes import carrier_program
from tre.workspaces.kubernetes.cluster import Cluster
from tre.workspaces.kubernetes.namespace import DATA, Object
from tre.workspaces.kubernetes.pod import workspace_pod
from tre.workspaces.plan import LaunchPlan, Limits

#: Longer than any file needs that a project may have.
LONGEST_SECONDS = 2 * 3600
MEMORY_BYTES = 256 << 20
CPUS = 0.2
#: A workspace's Secret holds at least one file.
NONE = {"none": "none"}
#: It has no server that a token would open.
NO_SERVER = "0" * 32


def plan_of(load: Load, limits: Limits, secrets: dict[str, str], nodes: tuple[str, ...]) -> LaunchPlan:
    """Never larger than a workspace of the project may be."""
    small = Limits(
        memory_bytes=min(MEMORY_BYTES, limits.memory_bytes),
        cpus=min(CPUS, limits.cpus),
        home_bytes=limits.home_bytes,
        max_age_seconds=LONGEST_SECONDS,
    )
    return LaunchPlan(
        workspace_id=load.carrier,
        person="nobody",
        project=load.project,
        home="/nowhere",
        base_url=f"/user/nobody/{load.project}/",
        intake_socket="/nowhere/intake.sock",
        jupyter_token=NO_SERVER,
        secrets=secrets or NONE,
        limits=small,
        nodes=nodes,
    )


def carrier_pod(cluster: Cluster, load: Load, plan: LaunchPlan) -> Object:
    # It computes nothing.
    made = workspace_pod(replace(cluster, gpu=None), plan)
    spec, (container,) = made["spec"], made["spec"]["containers"]
    given = {"name": load.name, "away": load.away, "files": load.files}
    program = Path(carrier_program.__file__).read_text()
    container |= {"command": [cluster.python, "-I", "-c", program], "args": [json.dumps(given)], "workingDir": "/data"}
    container["terminationMessagePolicy"] = "FallbackToLogsOnError"
    del container["readinessProbe"]
    del container["ports"]
    container["volumeMounts"] = [each for each in container["volumeMounts"] if each["name"] != "home"]
    container["volumeMounts"].append({"name": "data", "mountPath": "/data"})
    spec["volumes"] = [each for each in spec["volumes"] if each["name"] != "home"]
    spec["volumes"].append({"name": "data", "persistentVolumeClaim": {"claimName": DATA}})
    return made
