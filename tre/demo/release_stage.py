"""The stage on a cluster: a release of the chart that runs there, reached as its administrator reaches it.

Decides what is done inside its pods: what on one machine is done by whoever may read the platform's own secret files.
Everything else goes through the proxy, as people come. Leaves installing to helm.
"""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tre.demo.stage import Stage, Unexpected
from tre.errors import Unavailable

START_SECONDS = 20.0
PAUSE_SECONDS = 0.5


@dataclass
class ReleaseStage(Stage):
    """`namespace` is where the release runs, `kubectl` the command that reaches it."""

    namespace: str = "tre-system"
    kubectl: tuple[str, ...] = ("kubectl",)

    def _run(self, username: str, arguments: tuple[str, ...], stdin: str) -> subprocess.CompletedProcess[str]:
        if arguments[0] != "admin":
            return super()._run(username, arguments, stdin)
        return self._inside(("tre", *arguments, "--json"), stdin)

    def inside(self, code: str, *arguments: str, part: str = "api") -> str:
        """What a program of Python printed in a pod of that part. Raises `Unexpected`."""
        done = self._inside(("python", "-c", code, *arguments), "", part)
        if done.returncode != 0:
            raise Unexpected(f"in {part}: {done.stderr.strip()[-600:]}")
        return done.stdout

    def _inside(self, command: tuple[str, ...], stdin: str, part: str = "api") -> subprocess.CompletedProcess[str]:
        where = f"deployment/tre-{part}"
        exec_in = [*self.kubectl, "--namespace", self.namespace, "exec", "--stdin", where, "--", *command]
        return subprocess.run(exec_in, input=stdin, capture_output=True, text=True, timeout=120, check=False)

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
