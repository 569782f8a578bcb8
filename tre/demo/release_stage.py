"""The stage on a cluster: a release of the chart that runs there, reached as its administrator reaches it.

Decides what is done inside its pods: what on one machine is done by whoever may read the platform's own secret files.
Everything else goes through the proxy, as people come. Leaves installing to helm.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tre.demo.release_machine import ReleaseMachine
from tre.demo.stage import Stage, Unexpected
from tre.errors import Unavailable
from tre.settings import Settings
from tre.stack.ports import free_ports

if TYPE_CHECKING:
    from tre.demo.machine import Machine

START_SECONDS = 20.0
#: Commands of who is on the machine, which is here in a pod.
ON_THE_MACHINE = ("admin", "verify")
PAUSE_SECONDS = 0.5


@dataclass
class ReleaseStage(Stage):
    """`namespace` is where the release runs; `kubectl` the command, and `kubeconfig` the file, that reach it."""

    namespace: str = "tre-system"
    kubectl: tuple[str, ...] = ("kubectl",)
    kubeconfig: Path | None = None

    @property
    def machine(self) -> Machine:
        if self._machine is None:
            self._machine = ReleaseMachine(self)
        return self._machine

    def _run(self, username: str, arguments: tuple[str, ...], stdin: str) -> subprocess.CompletedProcess[str]:
        """What is done on the machine itself is done in a pod of the control plane."""
        if arguments[0] not in ON_THE_MACHINE:
            return super()._run(username, arguments, stdin)
        return self._inside(("tre", *arguments, "--json"), stdin, "api")

    def inside(self, code: str, *arguments: str, part: str = "api", stdin: str = "") -> str:
        """What a program of Python printed in a pod of that part. Raises `Unexpected`."""
        done = self._inside(("python", "-c", code, *arguments), stdin, part)
        if done.returncode != 0:
            raise Unexpected(f"in {part}: {done.stderr.strip()[-600:]}")
        return done.stdout

    def asked_at_the_guard(self, workspace: str) -> str:
        """What a guard's pod printed of its guard, whether it was good or not. Raises `Unexpected` where nothing."""
        done = self._inside(("python", "-m", "tre.door.probes", workspace), "", "guard")
        if not done.stdout:
            raise Unexpected(f"in guard: {done.stderr.strip()[-600:]}")
        return done.stdout

    def _inside(self, command: tuple[str, ...], stdin: str, part: str) -> subprocess.CompletedProcess[str]:
        where = part if "/" in part else f"deployment/tre-{part}"
        return self._kubectl("exec", "--stdin", where, "--", *command, stdin=stdin)

    def kube(self, *arguments: str, namespace: str = "") -> str:
        """What kubectl printed. Raises `Unavailable`."""
        done = self._kubectl(*arguments, namespace=namespace)
        if done.returncode != 0:
            raise Unavailable(f"kubectl {arguments[0]}: {done.stderr.strip()[-600:]}")
        return done.stdout

    def asked(self, *arguments: str, namespace: str = "") -> Any:
        return json.loads(self.kube(*arguments, "--output=json", namespace=namespace))

    def _kubectl(self, *arguments: str, stdin: str = "", namespace: str = "") -> subprocess.CompletedProcess[str]:
        command = [*self.kubectl, "--namespace", namespace or self.namespace, *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=300, check=False)

    def answers(self) -> str:
        self.wait_until_people_can_come()
        parts = self.kube("get", "pods", "--field-selector=status.phase=Running", "--output=name").split()
        return f"{len(parts)} pods in {self.namespace}"

    def end_workspaces(self) -> str:
        """Those of the journey; the release stays."""
        live = self.tre("ada", "workspace", "list", "--live")
        for workspace in live:
            self.tre("ada", "workspace", "stop", workspace["id"], "--reason", "The demonstration is over.")
            self.machine.hold(workspace["id"])
            if left := self.machine.left(seconds=30):
                raise Unexpected(f"there is left: {left}")
        return f"{len(live)} workspaces ended; the release stays"

    @contextlib.contextmanager
    def forwarded(self) -> Iterator[None]:
        """The proxy's port for people at the stage's port, until the block ends; also while pods are replaced."""
        leave = threading.Event()
        running: list[subprocess.Popen[str]] = []
        thread = threading.Thread(target=self._forward, args=(leave, running), daemon=True, name="forward")
        thread.start()
        try:
            yield
        finally:
            leave.set()
            for child in running:
                child.kill()
            thread.join()

    def _forward(self, leave: threading.Event, running: list[subprocess.Popen[str]]) -> None:
        """A forward is to one pod, and ends with it: then the next one is asked for."""
        target = [*self.kubectl, "--namespace", self.namespace, "port-forward", "--address=127.0.0.1"]
        while not leave.is_set():
            child = subprocess.Popen(
                [*target, "service/tre-proxy", f"{self.settings.port}:8000"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            running[:] = [child]
            assert child.stderr is not None
            with child, child.stderr as complaints:
                for line in complaints:
                    if leave.is_set() or "lost connection" in line or "error forwarding" in line:
                        break
                child.kill()
            leave.wait(PAUSE_SECONDS)

    def wait_until_people_can_come(self, seconds: float = START_SECONDS) -> None:
        """Raises `Unavailable`."""
        import httpx

        until, seen = time.monotonic() + seconds, ""
        while time.monotonic() < until:
            try:
                paths = ("/tre/api/v1/health", "/hub/health")
                answers = [httpx.get(self.url + path, trust_env=False, timeout=5) for path in paths]
                if all(answer.status_code == 200 for answer in answers):
                    return
                seen = ", ".join(str(answer.status_code) for answer in answers)
            except httpx.HTTPError as error:
                seen = str(error)
            time.sleep(PAUSE_SECONDS)
        raise Unavailable(f"Nobody can come to the release in {self.namespace}: {seen}")


@contextlib.contextmanager
def release_stage(namespace: str, kubeconfig: Path | None) -> Iterator[ReleaseStage]:
    """A stage for a release, with a folder of its own, which is removed. Raises `Unavailable` without kubectl."""
    program = shutil.which("kubectl")
    if program is None:
        raise Unavailable("There is no kubectl in PATH.", hint="The journey reaches a release by it.")
    command = (program, *([f"--kubeconfig={kubeconfig}"] if kubeconfig else []))
    with tempfile.TemporaryDirectory(prefix="tre-demo-") as name:
        folder = Path(name)
        settings = Settings(state=folder / "state", run=folder / "run", port=free_ports(1))
        stage = ReleaseStage(settings, folder=folder, namespace=namespace, kubectl=command, kubeconfig=kubeconfig)
        settings.state.mkdir(mode=0o700)
        with stage.forwarded():
            yield stage
