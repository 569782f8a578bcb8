"""Attempts on other processes, on limits, and to use up the machine."""

from __future__ import annotations

import contextlib
import mmap
import os
import resource
import signal
import time

from tre.workspaces.probes.inside.attempt import BOMB_SECONDS, Given, Killed, attempt

PROCESSES, LIMITS = "process namespace", "limits"


@attempt(PROCESSES, "find a process of the host by its command line", "marker")
def host_processes(given: Given) -> str | None:
    found = _with_marker(given["marker"])
    return f"process {found[0]} of the host" if found else None


@attempt(PROCESSES, "send a signal to a process of the host", "marker")
def signal_host_process(given: Given) -> str | None:
    for process in _with_marker(given["marker"]):
        os.kill(process, 0)
        return f"process {process} takes signals"
    return None


def _with_marker(marker: str) -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError), open(f"/proc/{name}/cmdline", "rb") as stream:
            # This process holds the marker in its memory, never in its command line.
            if name.isdigit() and marker.encode() in stream.read():
                found.append(int(name))
    return found


@attempt("namespaces", "share a namespace with the host", "namespaces")
def shared_namespaces(given: Given) -> str | None:
    same = [name for name, link in given["namespaces"].items() if os.readlink(f"/proc/self/ns/{name}") == link]
    return f"shared with the host: {', '.join(sorted(same))}" if same else None


@attempt("capabilities", "hold a capability, now or after starting a program")
def capabilities(given: Given) -> str | None:
    with open("/proc/self/status") as stream:
        held = [line.strip() for line in stream if line.startswith("Cap") and int(line.split()[1], 16)]
    return "; ".join(held) or None


@attempt("system call filter", "run without a system call filter")
def filter_present(given: Given) -> str | None:
    with open("/proc/self/status") as stream:
        status = dict(line.rstrip("\n").split(":", 1) for line in stream)
    return None if status["Seccomp"].strip() == "2" else f"Seccomp: {status['Seccomp'].strip()}"


@attempt("process 1", "end the workspace from inside by a signal to process 1")
def kill_process_1(given: Given) -> str | None:
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGSTOP):
        os.kill(1, number)
    time.sleep(0.2)
    with open("/proc/1/stat") as stream:
        state = stream.read().rsplit(")", 1)[1].split()[0]
    return f"process 1 is in state {state}" if state in "TZX" else None


@attempt("descriptors", "find its own secrets in an environment or a command line")
def secrets_in_sight(given: Given) -> str | None:
    texts = []
    for name in os.listdir("/run/tre"):
        with contextlib.suppress(OSError), open(f"/run/tre/{name}", "rb") as stream:
            texts += [word for word in stream.read().replace(b"=", b" ").split() if len(word) >= 12]
    for process in filter(str.isdigit, os.listdir("/proc")):
        for part in ("environ", "cmdline"):
            with contextlib.suppress(OSError), open(f"/proc/{process}/{part}", "rb") as stream:
                seen = stream.read()
                if any(text in seen for text in texts):
                    return f"/proc/{process}/{part}"
    return None


@attempt("descriptors", "find a descriptor that leads out: a folder, a socket or memory of the keeper")
def inherited_descriptors(given: Given) -> str | None:
    # 0 to 2 and what this attempt itself opened: a pipe to its parent and the folder being listed.
    links = [os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd") if _is_open(name)]
    out = [link for link in links if not link.startswith(("pipe:", "/dev/null", "/proc/"))]
    return f"{sorted(out)}" if out else None


def _is_open(name: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{name}")


@attempt(LIMITS, "raise its own limits, or find one that is not set")
def raise_limits(given: Given) -> str | None:
    for name in ("RLIMIT_NPROC", "RLIMIT_NOFILE", "RLIMIT_FSIZE", "RLIMIT_CORE", "RLIMIT_MEMLOCK"):
        number = getattr(resource, name)
        _, hard = resource.getrlimit(number)
        if hard == resource.RLIM_INFINITY:
            return f"{name} is unlimited"
        with contextlib.suppress(ValueError):
            resource.setrlimit(number, (hard + 1, hard + 1))
            return f"{name} was raised"
    return None


@attempt(LIMITS, "use more CPUs than allowed, or a better priority")
def more_cpus(given: Given) -> str | None:
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
        return "the affinity was set"
    if os.nice(0) <= 0:
        return "the priority is the platform's own"
    os.nice(-10)
    return "the priority was raised"


@attempt(LIMITS, "make more processes than allowed (a fork bomb)", "processes", BOMB_SECONDS)
def fork_bomb(given: Given) -> str | None:
    made = 0
    while made <= given["processes"]:
        try:
            child = os.fork()
        except BlockingIOError:
            time.sleep(0.5)  # while the others are measured
            raise
        if child == 0:
            time.sleep(30)
            os._exit(0)
        made += 1
    return f"{made} processes"


@attempt(LIMITS, "use more memory than allowed (a memory bomb)", "memory_bytes", BOMB_SECONDS)
def memory_bomb(given: Given) -> str | None:
    held: list[bytearray] = []
    piece = 32 << 20
    try:
        while len(held) * piece < given["memory_bytes"] * 5 // 4:
            held.append(bytearray(b"x") * piece)
        time.sleep(2)  # a watchdog looks a few times a second
    except MemoryError as error:
        raise Killed(f"no more memory after {len(held) * piece} bytes") from error
    return f"{len(held) * piece} bytes"


@attempt(LIMITS, "use more memory than allowed through files without a name", "memory_bytes", BOMB_SECONDS)
def memory_file_bomb(given: Given) -> str | None:
    size = min(32 << 20, given["file_bytes"])
    held: list[mmap.mmap] = []
    while len(held) * size < given["memory_bytes"] * 5 // 4:
        descriptor = os.memfd_create("bomb")
        os.ftruncate(descriptor, size)
        # Mapped, so that the kernel holds this process to account and not the Jupyter server beside it.
        held.append(mmap.mmap(descriptor, size))
        held[-1].write(bytes(size))
    time.sleep(2)
    return f"{len(held) * size} bytes in {len(held)} files"
