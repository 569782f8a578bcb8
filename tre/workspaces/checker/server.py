"""`python -m tre.workspaces.checker.server`: the first process of a checking pod.

Decides the walls between one order and the next, where the pod is the wall around all of them: it has no network but
this one port, no credential, no data, nothing to write to but memory and a folder for what it reads. One order at a
time, in a process without sockets, new privileges or new namespaces, with bounded memory, time, processes and output;
afterwards everything in the pod but this process is killed and every folder emptied. What a program could have changed
of this process itself is looked at, and ends the pod.

It must be process 1: only that one can kill all others at once, and none of them can kill it.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import json
import os
import resource
import secrets
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tre.errors import InvalidInput
from tre.workspaces.checker import wire
from tre.workspaces.checker.wire import Broken, End, Order
from tre.workspaces.sandbox import usage
from tre.workspaces.sandbox.checking import LOOK_SECONDS, STDERR_BYTES, Bounds, rlimits
from tre.workspaces.sandbox.launch import filter_bytes

INPUT, WORK, SHARED = Path("/input"), Path("/scratch"), Path("/dev/shm")  # noqa: S108
EMPTIED = (INPUT, WORK, SHARED, Path("/tmp"))  # noqa: S108
#: For an order to arrive; a worker that stops amidst it holds up the others no longer.
READ_SECONDS = 60.0
ALIVE_SECONDS = 1.0
END_SECONDS = 5.0
PR_SET_DUMPABLE = 4

# Sets limits and the filter on itself and becomes the program: both then hold for all that it starts.
LAUNCHER = """
import ctypes, json, os, resource, sys
for name, value in json.loads(sys.argv[1]).items():
    resource.setrlimit(getattr(resource, name), (value, value))
program = bytes.fromhex(sys.argv[2])
class Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("program", ctypes.c_char_p)]
libc = ctypes.CDLL(None, use_errno=True)
none = ctypes.c_ulong(0)
given = Filter(len(program) // 8, program)
if libc.prctl(38, ctypes.c_ulong(1), none, none, none) or libc.prctl(22, ctypes.c_ulong(2), ctypes.byref(given)):
    sys.exit("no filter")
os.execvp(sys.argv[3], sys.argv[3:])
"""
VARIABLES = {
    "HOME": str(WORK),
    "TMPDIR": str(WORK),
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONDONTWRITEBYTECODE": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "2",
}


def main() -> int:
    if os.getpid() != 1:
        print("This is to be the first process of a pod of its own.", file=sys.stderr)
        return 2
    # Others of this pod may neither look into this process nor, since nothing is handled, send it a signal.
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    with socket.create_server(("", wire.PORT), backlog=128) as listener:
        # What a pod keeps is kept when its first process begins anew.
        clean()
        before = own_state()
        while own_state() == before:
            connection, _ = listener.accept()
            with connection:
                serve(connection)
            clean()
    print("A program changed this process: it ends, and begins anew.", file=sys.stderr)
    return 1


def own_state() -> tuple[object, ...]:
    """What another process of the same user may change here."""
    numbers = [getattr(resource, name) for name in sorted(dir(resource)) if name.startswith("RLIMIT_")]
    return (
        [resource.getrlimit(number) for number in numbers],
        os.getpriority(os.PRIO_PROCESS, 0),
        os.sched_getscheduler(0),
        sorted(os.sched_getaffinity(0)),
        Path("/proc/self/oom_score_adj").read_text(),
    )


def serve(connection: socket.socket) -> None:
    """One order. A worker that goes away, or asks for nonsense, is forgotten."""
    connection.settimeout(READ_SECONDS)
    with contextlib.suppress(Broken, OSError, InvalidInput):
        order = wire.read_order(connection)
        with tempfile.TemporaryFile(dir=INPUT) as given:
            for part in wire.parts(connection, order.stdin):
                given.write(part)
            given.seek(0)
            for name, size in order.files.items():
                with (INPUT / name).open("xb") as stream:
                    for part in wire.parts(connection, size):
                        stream.write(part)
            wire.send_frame(connection, wire.BEGAN)
            wire.send_end(connection, Run(connection, order).carry_out(given.fileno()))


@dataclass
class Run:
    """One program, from its start to its end or to the first bound."""

    connection: socket.socket
    order: Order

    @property
    def bounds(self) -> Bounds:
        return Bounds(self.order.memory_bytes, self.order.seconds, self.order.output_bytes)

    def carry_out(self, stdin: int) -> End:
        launcher = [sys.executable, "-I", "-S", "-c", LAUNCHER, json.dumps(rlimits(self.bounds))]
        with subprocess.Popen(
            [*launcher, filter_bytes(sockets=False).hex(), *self.order.argv],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=WORK,
            env={**VARIABLES, "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
            start_new_session=True,
        ) as process:
            try:
                return self._follow(process)
            finally:
                kill_all()

    def _follow(self, process: subprocess.Popen[bytes]) -> End:
        assert process.stdout is not None
        assert process.stderr is not None
        until, told, complaint, sent = time.monotonic() + self.order.seconds, time.monotonic(), bytearray(), 0
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            selector.register(process.stderr, selectors.EVENT_READ, complaint)
            while selector.get_map():
                now = time.monotonic()
                if now > until:
                    return End(-1, over="seconds")
                if process.poll() is not None:
                    # With it ends what it left behind, which holds its output open.
                    kill_all()
                for key, _ in selector.select(min(until - now, LOOK_SECONDS)):
                    part = os.read(key.fd, 1 << 16)
                    if not part:
                        selector.unregister(key.fileobj)
                    elif key.data is not None:
                        key.data.extend(part)
                        del complaint[:-STDERR_BYTES]
                    else:
                        sent, told = sent + len(part), now
                        if sent > self.order.output_bytes:
                            return End(-1, over="output_bytes")
                        wire.send_frame(self.connection, wire.OUTPUT, part)
                if used(self.order.memory_bytes) > self.order.memory_bytes:
                    return End(-1, over="memory_bytes")
                if now - told > ALIVE_SECONDS:
                    wire.send_frame(self.connection, wire.ALIVE)
                    told = now
        code = process.wait()
        return End(128 - code if code < 0 else code, complaint.decode(errors="replace"))


def used(limit: int) -> int:
    """Memory of every other process of the pod and of its folders in memory."""
    folders = sum(_held(folder) for folder in (WORK, SHARED))
    return folders + usage.total_bytes(usage.descendants(1), (), limit)


def _held(folder: Path) -> int:
    system = os.statvfs(folder)
    return (system.f_blocks - system.f_bfree) * system.f_frsize


def kill_all() -> None:
    """Every process but this one. The kernel sees to it that none is born meanwhile."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)


def clean() -> None:
    """Nobody and nothing of an order is left for the next."""
    until = time.monotonic() + END_SECONDS
    while list(others()):
        kill_all()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if time.monotonic() > until:
            sys.exit("A program cannot be killed: the pod ends.")
        time.sleep(0.001)
    for folder in EMPTIED:
        empty(folder)


def empty(folder: Path) -> None:
    """However deep its folders are nested and whoever they were closed to: what is in a folder is moved up first."""
    count = itertools.count()
    with contextlib.suppress(PermissionError):
        # A folder of the kubelet's is nobody's to close.
        os.chmod(folder, 0o700)
    while entries := list(os.scandir(folder)):
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.path)
                continue
            os.chmod(entry.path, 0o700)
            for inner in os.scandir(entry.path):
                if inner.is_dir(follow_symlinks=False):
                    os.chmod(inner.path, 0o700)
                os.rename(inner.path, folder / f".{next(count)}-{secrets.token_hex(8)}")
            os.rmdir(entry.path)


def others() -> Iterator[int]:
    yield from (int(name) for name in os.listdir("/proc") if name.isdecimal() and name != "1")


if __name__ == "__main__":
    sys.exit(main())
