"""Control groups: they hold every process of a cluster, so that none can escape `down`.

Decides where they are (in every hierarchy, below the group of whoever starts it) and how they end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tre.errors import Unavailable
from tre.stack.cgroups import own_groups

#: Options of the mount that say nothing about which hierarchy it is (man 7 cgroups).
GENERIC = {"rw", "ro", "relatime", "noatime", "nosuid", "nodev", "noexec", "nsdelegate", "memory_recursiveprot"}
CPUSET = ("cpuset.cpus", "cpuset.mems")
#: Of a version 2 group whose children have limits: the child in which the processes are (no internal processes rule).
LEAF = "init"


@dataclass(frozen=True)
class Hierarchy:
    """One mounted hierarchy. `options` is what mounting it again needs: controllers or name, "" for version 2."""

    where: Path
    version: int
    options: str

    def group(self, name: str, mine: dict[str, str]) -> Path:
        """The folder of the group called `name` below the group in which a process with the groups `mine` is.

        In version 2 at the top: there a group with processes, as the one of whoever starts it, has no controllers for
        its children.
        """
        own = self.where if self.version == 2 else self.where / mine.get(self.options.split(",")[0], "")
        return (own if own.is_dir() else self.where) / name


def hierarchies(mounts: str) -> list[Hierarchy]:
    """From the text of /proc/mounts, each hierarchy once."""
    found: dict[str, Hierarchy] = {}
    for line in mounts.splitlines():
        _, where, kind, options = line.split()[:4]
        if kind not in {"cgroup", "cgroup2"}:
            continue
        own = "" if kind == "cgroup2" else ",".join(part for part in options.split(",") if part not in GENERIC)
        found.setdefault(own, Hierarchy(Path(where), 2 if kind == "cgroup2" else 1, own))
    return list(found.values())


def paths(name: str) -> list[Path]:
    """Where the groups called `name` would be for this process."""
    mine = own_groups(Path("/proc/self/cgroup").read_text())
    return [hierarchy.group(name, mine) for hierarchy in hierarchies(Path("/proc/mounts").read_text())]


def make(group: Path) -> None:
    """Make one group that a process can enter: in `cpuset` it needs its parent's processors and memory first."""
    group.mkdir(exist_ok=True)
    for name in CPUSET:
        with contextlib.suppress(FileNotFoundError):
            if not (group / name).read_text().strip():
                (group / name).write_text((group.parent / name).read_text())


def enter(groups: Iterable[Path]) -> None:
    """Put this process there; its children follow."""
    for group in groups:
        (group / "cgroup.procs").write_text(str(os.getpid()))


def members(group: Path) -> Iterator[int]:
    """Every process in the group and below, as seen from here."""
    for file in group.rglob("cgroup.procs"):
        with contextlib.suppress(OSError):
            yield from (int(line) for line in file.read_text().split())


def end(groups: Sequence[Path], patience: float = 20) -> None:
    """Kill every process and remove the groups. Raises Unavailable, naming who stayed."""
    until = time.monotonic() + patience
    while left := {pid for group in groups for pid in members(group)} - {0}:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > until:
            raise Unavailable(f"processes {sorted(left)} did not end", hint="See what they wait for, then try again.")
        time.sleep(0.05)
    for group in groups:
        remove(group, until)


def remove(group: Path, until: float) -> None:
    """Children first. The kernel may need a moment after the last process is gone."""
    folders = sorted((path for path in group.rglob("*") if path.is_dir()), key=lambda path: -len(path.parts))
    for folder in [*folders, group]:
        while folder.exists():
            try:
                folder.rmdir()
            except OSError as problem:
                if time.monotonic() > until:
                    raise Unavailable(f"{folder} cannot be removed: {problem}") from problem
                time.sleep(0.05)
