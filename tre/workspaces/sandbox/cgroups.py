"""Control groups for one sandbox, below those that were handed to this user; version 1 or 2.

Decides which controller can hold which limit here and now. A controller that cannot be used is simply absent from the
answer: the limit is then held by other means, and the status says by which. What was handed over stands in the
environment variable TRE_CGROUP, a JSON object {controller: folder}, as `tre.stack.cgroups` leaves it; making that is
not done here.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tre.workspaces.plan import Limits

VARIABLE = "TRE_CGROUP"
PERIOD_MICROSECONDS = 100_000
# Missing where the kernel does not account for swap; the memory limit itself must never be missing.
OPTIONAL = frozenset({"memory.memsw.limit_in_bytes", "memory.swap.max"})


@dataclass(frozen=True)
class ControlGroup:
    """One group made for a sandbox, and the limits that it holds."""

    folder: Path
    version: int
    controllers: frozenset[str]

    def join(self, process: int = 0) -> None:
        """Put a process into it; 0 is the calling one."""
        (self.folder / "cgroup.procs").write_text(str(process))

    def remove(self, seconds: float = 2.0) -> None:
        """Remove it once its last process is gone; one that stays busy is left for `remove_left`."""
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
    }.get((controller, version), {})


def handed_over() -> dict[str, str]:
    """Controller → folder that this process may use; empty where nothing was handed over."""
    with contextlib.suppress(ValueError, AttributeError):
        return {str(key): str(value) for key, value in json.loads(os.environ.get(VARIABLE, "{}")).items()}
    return {}


def make(name: str, limits: Limits, given: Mapping[str, str]) -> list[ControlGroup]:
    """Make a group below each folder given; the list is empty where none can be used."""
    wanted: dict[str, set[str]] = {}
    for controller, folder in given.items():
        wanted.setdefault(folder, set()).add(controller)
    made = [_make_in(Path(folder), name, limits, controllers) for folder, controllers in sorted(wanted.items())]
    return [group for group in made if group is not None]


def _make_in(parent: Path, name: str, limits: Limits, controllers: set[str]) -> ControlGroup | None:
    version = 2 if (parent / "cgroup.controllers").exists() else 1
    folder = parent / f"tre-{name}"
    try:
        folder.mkdir(exist_ok=True)
        if not os.access(folder / "cgroup.procs", os.W_OK):
            return None
    except OSError:
        return None
    held = frozenset(controller for controller in controllers if _holds(folder, controller, version, limits))
    group = ControlGroup(folder, version, held)
    if not held:
        group.remove(0.1)
        return None
    return group


def _holds(folder: Path, controller: str, version: int, limits: Limits) -> bool:
    texts = settings(controller, version, limits)
    for file, text in texts.items():
        try:
            (folder / file).write_text(text)
        except OSError:
            if file not in OPTIONAL:
                return False
    return bool(texts)


def remove_left(name: str, given: Mapping[str, str]) -> None:
    """Remove groups whose keeper was killed before it could, once the last of their processes is gone."""
    for folder in set(given.values()):
        ControlGroup(Path(folder) / f"tre-{name}", 1, frozenset()).remove()
