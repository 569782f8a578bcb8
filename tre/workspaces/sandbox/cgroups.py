"""Control groups for one workspace, where this user may make them; version 1, 2 or both mounted side by side.

Decides which controller can hold which limit here and now. A controller that cannot be used is simply absent from the
answer: `keeper` then holds that limit by other means and says so. `delegate` is for root only, before it becomes an
ordinary user.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tre.workspaces.plan import Limits

PERIOD_MICROSECONDS = 100_000
DELEGATED = "tre"
CONTROLLERS = ("memory", "pids", "cpu")


@dataclass(frozen=True)
class Hierarchy:
    """One mounted controller hierarchy: its controllers, version, mount folder and this process's own group in it."""

    controllers: frozenset[str]
    version: int
    mount: Path
    own: Path


@dataclass(frozen=True)
class ControlGroup:
    """One group made for a workspace, and the limits that it holds."""

    folder: Path
    version: int
    controllers: frozenset[str]

    def members(self) -> list[int]:
        """Process ids in it, as this process sees them."""
        with contextlib.suppress(OSError):
            return [int(line) for line in (self.folder / "cgroup.procs").read_text().split()]
        return []

    def remove(self, seconds: float = 2.0) -> None:
        """Remove it once its last process is gone; a group that stays busy is left for the next start to remove."""
        end = time.monotonic() + seconds
        while self.folder.is_dir() and time.monotonic() < end:
            try:
                self.folder.rmdir()
            except OSError:
                time.sleep(0.01)


def settings(controller: str, version: int, limits: Limits) -> dict[str, str]:
    """File name → text for one controller: the whole of what is written into a new group."""
    quota = str(int(limits.cpus * PERIOD_MICROSECONDS))
    period = str(PERIOD_MICROSECONDS)
    memory, processes = str(limits.memory_bytes), str(limits.processes + 2)  # bubblewrap and process 1 count too
    return {
        ("memory", 1): {"memory.limit_in_bytes": memory, "memory.memsw.limit_in_bytes": memory},
        ("memory", 2): {"memory.max": memory, "memory.swap.max": "0"},
        ("pids", 1): {"pids.max": processes},
        ("pids", 2): {"pids.max": processes},
        ("cpu", 1): {"cpu.cfs_period_us": period, "cpu.cfs_quota_us": quota},
        ("cpu", 2): {"cpu.max": f"{quota} {period}"},
    }[controller, version]


# Missing where the kernel does not account for swap; the memory limit itself must never be missing.
OPTIONAL = frozenset({"memory.memsw.limit_in_bytes", "memory.swap.max"})


def hierarchies() -> list[Hierarchy]:
    """What is mounted here, from /proc/self/mountinfo and /proc/self/cgroup."""
    own: dict[str, str] = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        number, names, path = line.split(":", 2)
        own.update(dict.fromkeys(names.split(",") if number != "0" else ["unified"], path))
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        mount = Path(left.split()[4])
        if kind == "cgroup2":
            available = (mount / own.get("unified", "/").lstrip("/") / "cgroup.controllers").read_text().split()
            found.append(Hierarchy(frozenset(available), 2, mount, mount / own.get("unified", "/").lstrip("/")))
        elif kind == "cgroup":
            held = frozenset(options.split(",")) & frozenset(CONTROLLERS)
            path = next((own[name] for name in sorted(held) if name in own), "/")
            found.append(Hierarchy(held, 1, mount, mount / path.lstrip("/")))
    return [one for one in found if one.controllers & set(CONTROLLERS)]


def make(name: str, limits: Limits) -> list[ControlGroup]:
    """Make every group that this user may; the list is empty where none is writable."""
    groups: list[ControlGroup] = []
    held: set[str] = set()
    with contextlib.suppress(OSError, ValueError):
        for hierarchy in hierarchies():
            group = _make_in(hierarchy, name, limits, frozenset(CONTROLLERS) - held)
            if group is not None:
                groups.append(group)
                held |= group.controllers
    return groups


def _make_in(hierarchy: Hierarchy, name: str, limits: Limits, wanted: frozenset[str]) -> ControlGroup | None:
    for parent in (hierarchy.mount / DELEGATED, hierarchy.own):
        folder = parent / f"tre-{name}"
        try:
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
            if not os.access(folder / "cgroup.procs", os.W_OK):
                continue
        except OSError:
            continue
        held = frozenset(_held(folder, hierarchy, limits, wanted))
        group = ControlGroup(folder, hierarchy.version, held)
        if held:
            return group
        group.remove(0.1)
    return None


def _held(folder: Path, hierarchy: Hierarchy, limits: Limits, wanted: frozenset[str]) -> Iterator[str]:
    for controller in sorted(hierarchy.controllers & wanted):
        try:
            for file, text in settings(controller, hierarchy.version, limits).items():
                try:
                    (folder / file).write_text(text)
                except OSError:
                    if file not in OPTIONAL:
                        raise
        except OSError:
            continue
        yield controller


def remove_left(name: str) -> None:
    """Remove groups whose keeper was killed before it could."""
    with contextlib.suppress(OSError, ValueError):
        for hierarchy in hierarchies():
            for parent in (hierarchy.mount / DELEGATED, hierarchy.own):
                with contextlib.suppress(OSError):
                    (parent / f"tre-{name}").rmdir()


def delegate(uid: int, gid: int) -> list[Path]:
    """As root: one group per hierarchy in which this ordinary user may make more. Returns the folders made."""
    made = []
    for hierarchy in hierarchies():
        folder = hierarchy.mount / DELEGATED
        with contextlib.suppress(OSError):
            folder.mkdir(exist_ok=True)
            if hierarchy.version == 2:
                wanted = " ".join(f"+{name}" for name in sorted(hierarchy.controllers & set(CONTROLLERS)))
                for parent in (hierarchy.mount, folder):
                    (parent / "cgroup.subtree_control").write_text(wanted)
            for path in (folder, folder / "cgroup.procs"):
                os.chown(path, uid, gid)
            made.append(folder)
    return made
