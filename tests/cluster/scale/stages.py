"""What a node that is only told of does with pods, for kwok: whole objects.

Decides that nodes are ready, that a pod is ready at once and gone when it is to go, and what a canary would have seen
on a node whose network confines: the controller's canaries run here as anywhere, and nobody is behind them.
"""

from __future__ import annotations

import json
from typing import Any

from tre.workspaces.kubernetes.canary import CONFINED, FREE
from tre.workspaces.kubernetes.names import COMPONENT

Object = dict[str, Any]
READY = ("Initialized", "Ready", "ContainersReady")
STATUS = """\
{{ $now := Now }}
conditions:
%(conditions)s
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  ready: %(ready)s
  restartCount: 0
  state:
    %(state)s
{{ end }}
hostIP: {{ NodeIPWith .spec.nodeName | Quote }}
podIP: {{ PodIPWith .spec.nodeName false .metadata.uid .metadata.name .metadata.namespace | Quote }}
startTime: {{ $now | Quote }}
phase: %(phase)s
"""
NODE = """\
addresses: [{type: InternalIP, address: {{ NodeIP | Quote }}}]
conditions:
- {type: Ready, status: "True", reason: Told, lastTransitionTime: {{ Now | Quote }}}
"""
RUNNING = "running: {startedAt: {{ $now | Quote }}}"
#: Its last words name each target that it was to try, the first so many as reached.
SAID = """\
{{ $said := dict }}
{{ range $place, $target := (index .spec.containers 0).args }}
{{ if $place }}{{ $_ := set $said $target (ternary "open" "silent" (le $place %d)) }}{{ end }}
{{ end }}
"""
OVER = "terminated: {exitCode: 0, finishedAt: {{ $now | Quote }}, message: {{ toJson $said | Quote }}}"
#: A canary that tries is told what to try; one that listens is not.
TRIES = '.spec.containers.[].args.[] | select( . == "reach" )'


IS_NOT_READY = {
    "key": '.status.conditions.[] | select( .type == "Ready" ) | .status',
    "operator": "NotIn",
    "values": ["True"],
}


def stages() -> list[Object]:
    confined, free = ({"matchLabels": {COMPONENT: component}} for component in (CONFINED, FREE))
    return [
        stage("node-ready", [IS_NOT_READY], NODE, kind="Node"),
        stage("pod-ready", [missing(".status.podIP"), missing(TRIES)], status(True, RUNNING, "Running")),
        stage("canary-free", [missing(".status.podIP"), present(TRIES)], told(2), free),
        stage("canary-confined", [missing(".status.podIP"), present(TRIES)], told(0), confined),
        stage("pod-gone", [present(".metadata.deletionTimestamp")], None),
    ]


def told(reached: int) -> str:
    """A pod that tried has reached the first so many of its targets: the free listener both ways, or nothing."""
    return SAID % reached + status(False, OVER, "Succeeded")


def status(ready: bool, state: str, phase: str) -> str:
    conditions = "\n".join(
        f'- {{type: {kind}, status: "{ready}", lastTransitionTime: {{{{ $now | Quote }}}}}}' for kind in READY
    )
    return STATUS % {"conditions": conditions, "ready": json.dumps(ready), "state": state, "phase": phase}


def stage(
    name: str, expressions: list[Object], template: str | None, labels: Object | None = None, kind: str = "Pod"
) -> Object:
    following: Object = {"delete": True} if template is None else {"statusTemplate": template}
    living = [] if template is None else [missing(".metadata.deletionTimestamp")]
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": kind},
            "selector": {**(labels or {}), "matchExpressions": [*living, *expressions]},
            "next": following,
        },
    }


def missing(key: str) -> Object:
    return {"key": key, "operator": "DoesNotExist"}


def present(key: str) -> Object:
    return {"key": key, "operator": "Exists"}
