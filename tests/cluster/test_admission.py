"""Pod Security: what would give a pod the node is refused at admission, also where the namespace says nothing."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable

from tre.errors import Unavailable

from . import objects
from .conftest import NewSpace
from .house import Space
from .objects import Object

Change = Callable[[Object], None]


def container(spec: Object) -> Object:
    found: Object = spec["containers"][0]
    return found


def host_path(spec: Object) -> None:
    spec["volumes"] = [{"name": "host", "hostPath": {"path": "/"}}]


def host_port(spec: Object) -> None:
    container(spec)["ports"][0]["hostPort"] = 8080


def privileged(spec: Object) -> None:
    container(spec)["securityContext"].update(privileged=True, allowPrivilegeEscalation=True)


def capability(spec: Object) -> None:
    container(spec)["securityContext"]["capabilities"]["add"] = ["NET_RAW"]


def root(spec: Object) -> None:
    spec["securityContext"].update(runAsUser=0, runAsNonRoot=False)


def no_seccomp(spec: Object) -> None:
    spec["securityContext"]["seccompProfile"] = {"type": "Unconfined"}


def escalation(spec: Object) -> None:
    container(spec)["securityContext"]["allowPrivilegeEscalation"] = True


def unsafe_setting(spec: Object) -> None:
    spec["securityContext"]["sysctls"] = [{"name": "kernel.msgmax", "value": "65536"}]


ATTACKS: dict[str, Change] = {
    "privileged": privileged,
    "hostPath": host_path,
    "hostNetwork": lambda spec: spec.update(hostNetwork=True),
    "hostPID": lambda spec: spec.update(hostPID=True),
    "hostIPC": lambda spec: spec.update(hostIPC=True),
    "hostPort": host_port,
    "capability": capability,
    "seccomp": no_seccomp,
    "sysctl": unsafe_setting,
    "root": root,
    "escalation": escalation,
}
#: The API server decides as always, and then keeps nothing.
ASK = ("create", "--dry-run=server", "--filename=-")
#: What `baseline` lets pass and only `restricted` refuses.
ONLY_RESTRICTED = {"root", "escalation"}


def attacked(change: Change) -> Object:
    pod = copy.deepcopy(objects.pod("attack"))
    change(pod["spec"])
    return pod


def admitted(space: Space, names: Iterable[str]) -> list[str]:
    """Those attacks that were not refused by Pod Security."""
    found = []
    for name in names:
        try:
            space(*ASK, feed=json.dumps(attacked(ATTACKS[name])))
        except Unavailable as refusal:
            if "violates PodSecurity" not in refusal.message:
                raise
        else:
            found.append(name)
    return found


def test_restricted_refuses_every_attack_and_admits_a_plain_pod(new_space: NewSpace) -> None:
    space = new_space("work")
    space.start(objects.pod("plain"))
    assert admitted(space, ATTACKS) == []


def test_a_namespace_that_says_nothing_gives_no_pod_the_node(new_space: NewSpace) -> None:
    space = new_space("silent")
    space.kubectl("label", "namespace", space.name, f"{objects.PSS}/enforce-", f"{objects.PSS}/enforce-version-")
    kept = json.loads(space.kubectl("get", "namespace", space.name, "--output=json"))["metadata"]["labels"]
    assert not any(label.startswith(objects.PSS) for label in kept)
    assert set(admitted(space, ATTACKS)) == ONLY_RESTRICTED


def test_where_pod_security_is_off_the_attacks_are_admitted(new_space: NewSpace) -> None:
    """Or the refusals above would prove nothing."""
    assert set(admitted(new_space("open", level="privileged"), ATTACKS)) == set(ATTACKS)
