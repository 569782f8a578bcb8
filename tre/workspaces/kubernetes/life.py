"""What a workspace's pod is doing, in words for its person: why it will never run, what it waits for, why it ended.

Decides which states are hopeless and which take a while, and what a refusal of the API server means. Pure: a pod as the
API server shows it, or the refusal's own words.
"""

from __future__ import annotations

import json

from tre.errors import Conflict, LimitExceeded, TreError, Unavailable
from tre.workspaces.kubernetes.namespace import Object

#: Reasons of a waiting container that time does not mend.
HOPELESS = {
    "ErrImageNeverPull": "its image is not on the node",
    "InvalidImageName": "its image has no usable name",
    "ImagePullBackOff": "its image cannot be fetched",
    "RunContainerError": "its container cannot be started",
    "CrashLoopBackOff": "its program ends again and again",
}
#: Why the cluster itself ends a pod: the reasons of the condition DisruptionTarget (Kubernetes, "Disruptions").
DISRUPTED = {
    "DeletionByTaintManager": "Its node was lost.",
    "DeletionByPodGC": "Its node was lost.",
    "EvictionByEvictionAPI": "Its node is emptied by an administrator.",
    "PreemptionByScheduler": "Something more urgent needed its place on the node.",
}
#: In what the scheduler says of a pod whose volume nobody made.
CLAIM = "PersistentVolumeClaim"
WORDS = 300


def hopeless(pod: Object) -> str:
    """Why this pod will not come to run; nothing while it may."""
    status = pod.get("status") or {}
    if status.get("phase") in ("Failed", "Succeeded"):
        return ended(pod)
    for state in _states(pod):
        waiting = state.get("waiting") or {}
        if known := HOPELESS.get(waiting.get("reason", "")):
            return _sentence(f"The workspace cannot start: {known}", waiting.get("message"))
    return ""


def waits(pod: Object | None) -> str:
    """What a pod that does not run yet waits for."""
    if pod is None:
        return "The cluster has not shown the workspace yet."
    status = pod.get("status") or {}
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            told = condition.get("message")
            wanting = "A volume of it is not there" if CLAIM in str(told) else "No node has room for the workspace"
            return _sentence(wanting, told)
    if _waits_for_its_node(status):
        return "Its node has not made the workspace's volumes and network ready."
    for state in _states(pod):
        if reason := (state.get("waiting") or {}).get("reason"):
            return _sentence(f"The workspace waits ({reason})", state["waiting"].get("message"))
    return "The workspace's server does not answer yet."


def ended(pod: Object | None) -> str:
    """Why a pod does not run any more; nothing while it runs or may come to."""
    if pod is None:
        return "Its pod is gone."
    status, metadata = pod.get("status") or {}, pod["metadata"]
    if metadata.get("deletionTimestamp") and (reason := _disrupted(status)):
        return reason
    if status.get("phase") in ("Failed", "Succeeded"):
        if status.get("reason") == "DeadlineExceeded":
            return "It had reached its longest life."
        if status.get("reason"):
            return _sentence(f"Its pod was ended ({status['reason']})", status.get("message"))
        for state in _states(pod):
            if (over := state.get("terminated")) is not None:
                return _over(over)
        return "Its pod ended."
    if metadata.get("deletionTimestamp"):
        return "Its pod was deleted."
    return ""


def refusal(status: int, body: str) -> TreError:
    """Our error for an API server that does not make a pod or its Secret."""
    try:
        said = str(json.loads(body).get("message", ""))[:WORDS]
    except (ValueError, AttributeError):
        said = ""
    if status == 403 and "exceeded quota" in said:
        return LimitExceeded(
            "The project's workspaces use all that it may have at once.",
            hint="Wait until one has ended, or ask an administrator for a larger quota.",
            code="quota_full",
        )
    if status == 403:
        return Unavailable(_sentence("The cluster does not admit the workspace", said), hint="Tell an administrator.")
    if status == 404:
        return Unavailable("The project's place on the cluster is not ready yet.", hint="Try again in a minute.")
    if status == 409:
        return Conflict("A workspace of this name is there already.", hint="Try again in a minute.")
    return Unavailable(_sentence(f"The cluster did not start the workspace (status {status})", said))


def _disrupted(status: Object) -> str:
    for condition in status.get("conditions") or []:
        if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True":
            return DISRUPTED.get(condition.get("reason", ""), "")
    return ""


def _waits_for_its_node(status: Object) -> bool:
    """Whether the pod has its node, and its node has neither mounted nor connected everything yet."""
    conditions = {each.get("type"): each.get("status") for each in status.get("conditions") or []}
    return conditions.get("PodScheduled") == "True" and conditions.get("PodReadyToStartContainers") == "False"


def _over(state: Object) -> str:
    if state.get("reason") == "OOMKilled":
        return "It used more memory than it may."
    return f"Its server ended with code {state.get('exitCode')}."


def _states(pod: Object) -> list[Object]:
    found = (pod.get("status") or {}).get("containerStatuses") or []
    return [each.get("state") or {} for each in found]


def _sentence(text: str, more: object) -> str:
    return f"{text}: {str(more)[:WORDS].rstrip('.')}." if more else f"{text}."
