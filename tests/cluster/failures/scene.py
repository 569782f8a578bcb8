"""A release with a researcher at work on it: what can happen to it, and that nothing was lost."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from websockets.exceptions import WebSocketException

from tests.cluster.chart.release import Release
from tests.cluster.chart.researcher import Researcher
from tre.errors import TreError
from tre.workspaces.kubernetes.names import COMPONENT, namespace_of, workspace_of

Answer = TypeVar("Answer")
LOGIN = """
import json, psycopg
with psycopg.connect("service=project") as connection:
    print(json.dumps({**connection.info.get_parameters(), "password": connection.info.password}))
"""
LOG_IN = """
import json, sys, psycopg
from psycopg.conninfo import make_conninfo
try:
    psycopg.connect(make_conninfo(**json.loads(sys.stdin.read()))).close()
    print("works")
except psycopg.OperationalError as error:
    print("refused" if "authentication failed" in str(error) else error)
"""


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

    def address(self, pod: str) -> str:
        return self.release.space("get", f"pod/{pod}", "--output=jsonpath={.status.podIP}")

    def kill(self, pod: str) -> None:
        """At once: nothing in it is asked to end."""
        self.release.space("delete", f"pod/{pod}", "--grace-period=0", "--force", "--wait=false")

    def leader(self) -> str:
        return self.release.space("get", "lease/tre-controller", "--output=jsonpath={.spec.holderIdentity}")

    def joined(self, other: Researcher) -> Researcher:
        """The same person in one more project, with its data; no workspace runs there yet."""
        other.join()
        other.browser = self.researcher.browser
        other.wait_for_the_volume()
        return other

    def again(self) -> None:
        """The workspace had to end: its person starts another."""
        self.researcher.sign_in()
        self.researcher.start()
        self.researcher.says("x = 41")
        (self.workspace,) = self.researcher.live()
        self.uid = self.pod()["metadata"]["uid"]

    def refuses(self, newcomer: Researcher, words: str, seconds: float = 30) -> None:
        """A start ends as failed, for this reason, on the page and in the list; who works is not disturbed."""
        self.refused(newcomer, words, seconds)
        self.nothing_is_lost()

    def refused(self, newcomer: Researcher, words: str, seconds: float = 30) -> None:
        before = self._failed(newcomer.project)
        page = self.researcher.browser.refused_workspace(newcomer.project, seconds)
        assert words in page, page
        found = within(60, lambda: self._failed(newcomer.project), lambda failed: len(failed) > len(before))
        (reason,) = [found[each] for each in found.keys() - before.keys()]
        assert words in reason, reason

    def _failed(self, project: str) -> dict[str, str]:
        """Why, of each of its workspaces that failed."""
        shown = self.researcher.stage.tre("ada", "workspace", "list", "--project", project)
        return {each["id"]: each["reason"] for each in shown if each["state"] == "failed"}

    @contextlib.contextmanager
    def parts_elsewhere(self) -> Iterator[None]:
        """Our own parts, and the cluster's DNS, stay within reach though their node is not ready, as if they were on
        others.
        """
        self._keep_unready(True)
        try:
            yield
        finally:
            self._keep_unready(False)

    def _keep_unready(self, kept: bool) -> None:
        patch = json.dumps({"spec": {"publishNotReadyAddresses": kept}})
        for service in self.release.space("get", "services", "--output=name").split():
            self.release.space("patch", service, f"--patch={patch}")
        self.release.kubectl("--namespace=kube-system", "patch", "service/kube-dns", f"--patch={patch}")

    def login(self) -> str:
        """The workspace's own, as it could be carried away: for `login_works`."""
        found: str = self.researcher.says(LOGIN)
        address = self.release.space.service_address("tre-postgres-data")
        # By itself: who carried it away has no service file.
        whole = json.loads(found) | {"host": address}
        return json.dumps({name: value for name, value in whole.items() if name != "service"})

    def gone(self) -> bool:
        """The pod, and what ran in it."""
        space = ("--namespace", self.space, "get", "pods", "--output=name")
        return workspace_of(self.workspace) not in self.release.kubectl(*space)

    def ended(self) -> tuple[str, str]:
        """State and reason of the workspace, as an administrator reads them."""
        shown = self.researcher.stage.tre("ada", "workspace", "show", self.workspace)
        return shown["state"], shown["reason"]

    def nothing_is_lost(self) -> None:
        """The same workspace in the same pod with the same kernel, its data, and its login; every part runs again."""
        self.release.settle()
        assert self.researcher.says_again("print(x)") == "41"
        assert self.researcher.rows() == "60 60"
        assert self.workspace in self.researcher.live()
        assert self.pod()["metadata"]["uid"] == self.uid


def succeeds(seconds: float, do: Callable[[], object]) -> None:
    """Done again while it is refused, for so long."""
    within(seconds, do, lambda _: True)


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
        except (TreError, OSError, WebSocketException):
            if late:
                raise
        time.sleep(0.3)
