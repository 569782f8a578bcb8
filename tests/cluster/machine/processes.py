"""Servers as children of the cluster's first process, and waiting with a reason.

Decides how a server is started, how long something may take, and what is said when it takes longer: the end of the log
that explains it. Starts a server again that ended after the cluster was ready.
"""

from __future__ import annotations

import os
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tre.errors import Unavailable

#: A server that ends at once, again and again, must not take a processor.
PAUSE_SECONDS = 1.0
TAIL_BYTES = 1500


@dataclass(frozen=True)
class Server:
    """`pass_fds` are descriptors that it inherits, under numbers that they have here."""

    name: str
    command: Sequence[str]
    pass_fds: tuple[int, ...] = ()


class Servers:
    """All of them; logs are <folder>/<name>.log."""

    def __init__(self, logs: Path, environment: Mapping[str, str]) -> None:
        self.logs = logs
        self.environment = dict(environment)
        self._running: dict[int, tuple[Server, subprocess.Popen[bytes]]] = {}

    def start(self, server: Server) -> int:
        """Returns its process id. Raises Unavailable where there is no such program."""
        with (self.logs / f"{server.name}.log").open("ab") as log:
            try:
                child = subprocess.Popen(
                    server.command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=self.environment,
                    pass_fds=server.pass_fds,
                    start_new_session=True,
                )
            except OSError as problem:
                raise Unavailable(f"{server.name} cannot be started: {problem}") from problem
        self._running[child.pid] = server, child
        return child.pid

    def wait(self, what: str, holds: Callable[[], bool], *, seconds: float, log: str) -> None:
        """Wait until it holds. Raises Unavailable with the end of a log when it does not, or when that server ended."""
        until = time.monotonic() + seconds
        while not holds():
            ended = next(
                (s.name for s, child in self._running.values() if s.name == log and child.poll() is not None), None
            )
            if ended or time.monotonic() > until:
                why = "its server ended" if ended else f"not within {seconds:.0f} s"
                raise Unavailable(f"{what}: {why}. The end of {log}.log:\n{self.tail(log)}")
            time.sleep(0.1)

    def tail(self, name: str) -> str:
        try:
            content = (self.logs / f"{name}.log").read_bytes()
        except FileNotFoundError:
            return "(nothing was written)"
        return content[-TAIL_BYTES:].decode(errors="replace")

    def keep(self) -> None:
        """Never returns. Start again what ends; bury orphans, as the first process of its namespace must."""
        while True:
            # WNOWAIT: looked at here, buried by whom it belongs to.
            seen = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
            if seen is None:
                continue
            if seen.si_pid not in self._running:
                os.waitpid(seen.si_pid, 0)
                continue
            server, child = self._running.pop(seen.si_pid)
            child.wait()
            print(f"{server.name} ended with {child.returncode}; starting it again", flush=True)
            time.sleep(PAUSE_SECONDS)
            self.start(server)


def answers(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Callable[[], bool]:
    """A condition: there is such a command, and it ends well within five seconds."""

    def holds() -> bool:
        try:
            done = subprocess.run(command, env=environment, capture_output=True, timeout=5)
        except (OSError, subprocess.TimeoutExpired):
            return False
        return done.returncode == 0

    return holds


def etcd_is_healthy(address: str, keys: Path) -> bool:
    context = ssl.create_default_context(cafile=str(keys / "ca.crt"))
    context.load_cert_chain(keys / "apiserver-etcd.crt", keys / "apiserver-etcd.key")
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=3, context=context) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
