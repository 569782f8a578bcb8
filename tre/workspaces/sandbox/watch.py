"""What a keeper measures while a workspace runs: memory where no control group holds it, and the size of the home.

Decides when a limit is broken. Two looks lie a quarter of a second apart, so what is written between them is the
overrun; one file (RLIMIT_FSIZE) and one process (RLIMIT_DATA) are bounded exactly. As the kernel would, it first ends
the largest process, and only where that does not help, the workspace. A home that is already too large at the start
may stay, but not grow, so that its owner can make room. Leaves reading /proc to `usage`, counting the
home to `home`, ending to `keeper`.
"""

from __future__ import annotations

import os
import time

from tre.workspaces.plan import LaunchPlan
from tre.workspaces.sandbox import usage
from tre.workspaces.sandbox.cgroups import ControlGroup
from tre.workspaces.sandbox.home import Unmeasured, home_bytes

LOOK_SECONDS, IDLE_SECONDS = 0.1, 0.5
# How often the home is walked through although the disk's free space has hardly changed.
WALK_SECONDS = 30.0
WALK_AFTER_BYTES = 64 << 20
# Looks in a row over the memory limit, each of which ended a process, before the workspace is ended.
PATIENCE = 8
TEMPORARY = ("tmp", "dev/shm", "run/jupyter")


class Watch:
    """Looks at one workspace's use of memory and disk."""

    def __init__(self, plan: LaunchPlan, groups: list[ControlGroup]) -> None:
        self.limits = plan.limits
        self.home = plan.home
        self.held = {name: f"control group v{group.version}" for group in groups for name in group.controllers}
        self.interval = IDLE_SECONDS
        self.over = 0
        self.walked_at = 0.0
        self.free = 0
        self.ceiling = plan.limits.home_bytes

    def held_by(self) -> dict[str, str]:
        """Limit → what holds it here."""
        return {
            "memory": self.held.get("memory", "watchdog and RLIMIT_DATA"),
            "processes": self.held.get("pids", "RLIMIT_NPROC"),
            "cpus": self.held.get("cpu", "affinity"),
            "home": "watchdog and RLIMIT_FSIZE",
        }

    def look(self, bubblewrap: int) -> str | None:
        """A reason to end the workspace, or None. `bubblewrap` is the process id outside."""
        processes = usage.descendants(bubblewrap)
        reason = None if "memory" in self.held else self._memory(processes)
        return reason or self._home(processes)

    def _memory(self, processes: list[int]) -> str | None:
        limit = self.limits.memory_bytes
        total = usage.total_bytes(processes, TEMPORARY, limit)
        self.interval = LOOK_SECONDS if total > limit // 4 else IDLE_SECONDS
        if total <= limit:
            self.over = 0
            return None
        self.over += 1
        if self.over > PATIENCE:
            return f"it used {total} bytes of memory, {limit} are allowed"
        # The first is process 1 of the workspace.
        largest = max(processes[1:], key=usage.proportional_bytes, default=None)
        if largest is not None:
            usage.kill(largest)
        return None

    def _home(self, processes: list[int]) -> str | None:
        free = usage.free_bytes(self.home)
        first = self.walked_at == 0.0
        if not first and self.free - free < WALK_AFTER_BYTES and time.monotonic() - self.walked_at < WALK_SECONDS:
            return None
        self.free, self.walked_at = free, time.monotonic()
        try:
            used = home_bytes(self.home) + usage.unlinked_bytes(processes, os.stat(self.home).st_dev)
        except Unmeasured:
            return "its home changes faster than it can be measured"
        if first:
            self.ceiling = max(self.ceiling, used)
        if used > self.ceiling:
            return f"its home holds {used} bytes, {self.limits.home_bytes} are allowed; start again and delete files"
        return None
