"""The keeper: one small process per running workspace, from its start until nothing of it is left.

Decides the order of things: lock, checks, control groups, sandbox, then waiting for the first of: the sandbox ends,
its age is over, a limit is broken, SIGTERM. Then everything of it is killed and removed, the home and the status file
excepted. It survives whoever started it; if it is killed itself, the sandbox dies with it. The plan comes on standard
input and is never written anywhere. Leaves starting to `launch`, measuring to `watch`.

Run as `python -m tre.workspaces.sandbox.keeper` by `runtime`, which reads one line, `running` or a reason, from its
standard output.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import sys
import time
from dataclasses import replace

from tre.errors import Conflict, TreError
from tre.workspaces.plan import LaunchPlan
from tre.workspaces.sandbox import cgroups, secret_files
from tre.workspaces.sandbox.launch import SOCKETS, Sandbox, check_host, start
from tre.workspaces.sandbox.order import Order
from tre.workspaces.sandbox.status import Status, lock, write_status
from tre.workspaces.sandbox.watch import Watch

LOG_BYTES = 16 << 10
PIPE_BYTES = 64 << 10
ALREADY = "already running"


def now() -> float:
    """Seconds that go on while the machine sleeps: a maximum age is a promise about the calendar."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Keeper:
    """The life of one sandbox, in one thread."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.status = Status("starting", os.getpid())
        self.sandbox: Sandbox | None = None
        self.groups: list[cgroups.ControlGroup] = []
        self.selector = selectors.DefaultSelector()
        self.log_open = True
        self.deadline = now() + order.plan.limits.max_age_seconds

    def run(self) -> None:
        """From lock to the last status; raises nothing that is the workspace's fault."""
        folder = self.order.folder
        folder.mkdir(mode=0o700, exist_ok=True)
        try:
            held = lock(folder)
        except Conflict:
            os.write(1, ALREADY.encode())
            return
        try:
            reason = self._reason()
        finally:
            self._remove()
        self._say(replace(self.status, state="ended", reason=reason))
        os.close(held)

    def _reason(self) -> str:
        """Run until there is a reason to end; a failure is one."""
        try:
            return self._run(self.order.plan)
        except TreError as error:
            return f"{error.message}. {error.hint}".strip()
        except Exception as error:
            # Whatever it is, everything is removed and somebody is told; no value is quoted, it may be a secret.
            return f"the keeper failed: {error if isinstance(error, OSError) else type(error).__name__}"

    def _remove(self) -> None:
        if self.sandbox is not None:
            self.sandbox.kill()
        for group in self.groups:
            group.remove()
        secret_files.remove(self.order.secrets)
        for name in SOCKETS:
            (self.order.folder / name).unlink(missing_ok=True)

    def _run(self, plan: LaunchPlan) -> str:
        write_status(self.order.folder, self.status)
        check_host(plan)
        self.groups = cgroups.make(plan.workspace_id, plan.limits, self.order.groups)
        watch = Watch(plan, self.groups)
        self.status = replace(self.status, held_by=watch.held_by())
        self.sandbox = start(self.order, self.groups)
        self._listen(self.sandbox)
        while True:
            reason = self._events(self.sandbox, watch.interval)
            if reason is None and now() >= self.deadline:
                reason = f"the maximum age of {plan.limits.max_age_seconds} s is over"
            if reason is None:
                reason = watch.look(self.sandbox.process.pid)
            if reason is not None:
                return reason

    def _listen(self, sandbox: Sandbox) -> None:
        woken, waking = socket.socketpair()
        waking.setblocking(False)
        signal.set_wakeup_fd(waking.fileno())
        signal.signal(signal.SIGTERM, lambda *_: None)
        self.signals = (woken, waking)  # open for as long as the keeper runs
        exited = os.pidfd_open(sandbox.process.pid)
        for source, name in (
            (woken.fileno(), "stop"),
            (exited, "exit"),
            (sandbox.ready, "ready"),
            (sandbox.log, "log"),
        ):
            os.set_blocking(source, False)
            self.selector.register(source, selectors.EVENT_READ, name)

    def _events(self, sandbox: Sandbox, seconds: float) -> str | None:
        """Wait at most so long; a reason if the workspace must end."""
        left = max(0.0, min(seconds, self.deadline - now()))
        names = {key.data: key.fd for key, _ in self.selector.select(left)}
        self._take_log(sandbox, waiting="log" in names)
        if "ready" in names:
            self.selector.unregister(sandbox.ready)
            if os.read(sandbox.ready, 64):
                self._say(replace(self.status, state="running"))
        if "stop" in names:
            return "stopped"
        if "exit" in names:
            _read_log(sandbox)
            return self._ended(sandbox)
        return None

    def _take_log(self, sandbox: Sandbox, *, waiting: bool) -> None:
        """Read what the inside wrote, then wait for once without it: who writes without end is read a pipe's fill at
        a time, and costs neither this process's time nor its attention.
        """
        heard = sandbox.log in self.selector.get_map()
        if waiting and heard:
            self.selector.unregister(sandbox.log)
            self.log_open = _read_log(sandbox)
        elif not heard and self.log_open:
            self.selector.register(sandbox.log, selectors.EVENT_READ, "log")

    def _ended(self, sandbox: Sandbox) -> str:
        code = sandbox.process.wait()
        last = sandbox.tail.decode(errors="replace").strip()
        before = " before it was ready" if self.status.state == "starting" else ""
        return f"the workspace ended by itself with status {code}{before}" + (f": {last[-2000:]}" if before else "")

    def _say(self, status: Status) -> None:
        """Write the status, and tell whoever waits for the start."""
        first = self.status.state == "starting"
        self.status = status
        write_status(self.order.folder, status)
        if first:
            with contextlib.suppress(OSError):
                os.write(1, (status.reason or status.state).encode())
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, 1)
            os.close(null)


def _read_log(sandbox: Sandbox) -> bool:
    """Take a pipe's fill at most; False once nobody can write any more."""
    with contextlib.suppress(BlockingIOError):
        part = os.read(sandbox.log, PIPE_BYTES)
        sandbox.tail += part
        del sandbox.tail[:-LOG_BYTES]
        return bool(part)
    return True


def main() -> None:
    """Take the order, leave whoever started this, keep the workspace."""
    order = Order.from_json(sys.stdin.read())
    if os.fork():
        os._exit(0)
    os.chdir("/")
    os.umask(0o077)
    Keeper(order).run()


if __name__ == "__main__":
    main()
