"""The walls of a real project, tried from inside a pod as a workspace's; each policy that is missing is seen."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from tre.workspaces.kubernetes import verification
from tre.workspaces.kubernetes.aims import Surroundings
from tre.workspaces.kubernetes.content import NETWORK_POLICY
from tre.workspaces.kubernetes.network import JUPYTER_PORT
from tre.workspaces.kubernetes.verification import Trial, verify
from tre.workspaces.probes.report import Report

from . import objects
from .house import Facts
from .machine.configs import PYTHON_IMAGE
from .objects import ADMIN, WEB
from .test_workspace import Project, project

__all__ = ["project"]


@dataclass(frozen=True)
class Verified:
    report: Report

    def named(self, verdict: str) -> set[str]:
        return {result.name for result in self.report.results if result.verdict == verdict}

    def words(self) -> list[tuple[str, str, str]]:
        return [(one.name, one.verdict, one.detail) for one in self.report.results if one.verdict != "refused"]


def surroundings(project: Project, facts: Facts) -> Surroundings:
    there = facts.whole["outside"]
    own = project.space.addresses()[project.pod]
    return Surroundings(
        {
            "outside": [f"tcp://{there['address']}:8080", f"udp://{there['address']}:8080"],
            "foreign-resolver": [f"tcp://{there['resolver']}:53"],
            "neighbour": [f"tcp://{own}:{JUPYTER_PORT}"],
            "guard": [f"tcp://{project.parts['guard']}:{port}" for port in (WEB, ADMIN)],
            "stranger": [f"tcp://{project.parts['stranger']}:{WEB}"],
        }
    )


def verified(project: Project, facts: Facts) -> Verified:
    installation = replace(project.cluster, image=PYTHON_IMAGE)
    return Verified(verify(installation, project.api, Trial(project.plan.project, around=surroundings(project, facts))))


#: What a container's runtime may let through: one of them or another does, and none is asked for more than it gives.
FILTERED = {"watch-shared-files", "lease-file", "make-setuid", "ptrace", "system-v-ipc"}


def test_every_wall_holds_and_each_missing_one_turns_a_probe_red(
    project: Project, facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    node_port = objects.service("fronted", {WEB: WEB})
    node_port["spec"] |= {"type": "NodePort", "selector": {"app": "stranger"}}
    project.control.apply(node_port)
    whole = verified(project, facts)
    assert whole.report.ok, whole.words()
    # etcd listens on the node's loopback; the neighbour answers nobody but the guard.
    assert not {"kubelet", "nodes", "metadata", "outside", "guard", "stranger"} & {
        words.split()[0] for words in whole.report.left_out
    }
    assert len(whole.report.results) > 70

    space = project.space.name
    for name in ("default-deny", "workspace"):
        project.api.ask("DELETE", NETWORK_POLICY.path(space, name), {})
    monkeypatch.setattr(verification, "BOOTSTRAP", verification.BOOTSTRAP.replace(verification.CONFINE, ""))
    open_now = verified(project, facts)
    assert open_now.named("reached") >= FILTERED | {"raise-limits", "fork-bomb"}, open_now.words()
    aimed = {f"pod-{name}" for name in ("api-server", "kubelet", "nodes", "metadata", "outside", "foreign-resolver")}
    aimed |= {
        f"pod-{name}" for name in ("other-pods", "other-services", "neighbour", "guard", "stranger", "node-ports")
    }
    assert open_now.named("reached") >= aimed, open_now.words()
