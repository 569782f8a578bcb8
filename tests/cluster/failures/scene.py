"""A release with a researcher at work on it: what can happen to it, and that nothing was lost."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tests.cluster.chart.release import Release
from tests.cluster.chart.researcher import Researcher
from tre.errors import TreError
from tre.workspaces.kubernetes.names import COMPONENT, namespace_of, workspace_of

Answer = TypeVar("Answer")


@dataclass
class Scene:
    """`x` is 41 in the kernel of the workspace that is open."""

    release: Release
    researcher: Researcher
    workspace: str = field(init=False)
    uid: str = field(init=False)

    def __post_init__(self) -> None:
        (self.workspace,) = self.researcher.live()
        self.uid = self.pod()["metadata"]["uid"]

    @property
    def space(self) -> str:
        """The project's namespace."""
        return namespace_of(self.release.space.name, self.researcher.project)

    def pod(self) -> dict[str, Any]:
        shown = self.release.kubectl(
            "--namespace", self.space, "get", "pod", workspace_of(self.workspace), "--output=json"
        )
        found: dict[str, Any] = json.loads(shown)
        return found

    def names(self) -> list[str]:
        """Of the pods in the project's namespace."""
        listed = self.release.kubectl("--namespace", self.space, "get", "pods", "--output=name").split()
        return [name.removeprefix("pod/") for name in listed]

    def pods(self, part: str) -> list[str]:
        """Of one part of ours, those that are not ending."""
        listed = json.loads(self.release.space("get", "pods", f"--selector={COMPONENT}={part}", "--output=json"))
        return sorted(
            each["metadata"]["name"] for each in listed["items"] if "deletionTimestamp" not in each["metadata"]
        )

    def kill(self, pod: str) -> None:
        """At once: nothing in it is asked to end."""
        self.release.space("delete", f"pod/{pod}", "--grace-period=0", "--force", "--wait=false")

    def leader(self) -> str:
        return self.release.space("get", "lease/tre-controller", "--output=jsonpath={.spec.holderIdentity}")

    def nothing_is_lost(self) -> None:
        """The same workspace in the same pod with the same kernel, its data, and its login; every part runs again."""
        self.release.settle()
        assert self.researcher.says_again("print(x)") == "41"
        assert self.researcher.rows() == "60 60"
        assert self.workspace in self.researcher.live()
        assert self.pod()["metadata"]["uid"] == self.uid


def within(seconds: float, ask: Callable[[], Answer], right: Callable[[Answer], object] = bool) -> Answer:
    """The first right answer. Asked again while it is wrong or refused, for so long; then what was wrong is raised."""
    until = time.monotonic() + seconds
    while True:
        late = time.monotonic() > until
        try:
            answer = ask()
            if right(answer):
                return answer
            assert not late, answer
        except (TreError, OSError):
            if late:
                raise
        time.sleep(0.3)
