"""What a keeper measures while a workspace runs: memory where no control group holds it, and the size of the home.

Decides when a limit is broken and by how much it may be overrun between two looks. Leaves ending the workspace to
`keeper`.
"""

from __future__ import annotations

from tre.workspaces.plan import LaunchPlan
from tre.workspaces.sandbox.cgroups import ControlGroup


class Watch:
    """Looks at one workspace's use of memory and disk."""

    interval = 0.25

    def __init__(self, plan: LaunchPlan, groups: list[ControlGroup]) -> None:
        self.plan = plan
        self.groups = groups

    def held_by(self) -> dict[str, str]:
        """Limit → what holds it here."""
        found = {name: f"control group v{group.version}" for group in self.groups for name in group.controllers}
        return {
            "memory": found.get("memory", "watchdog and RLIMIT_DATA"),
            "processes": found.get("pids", "RLIMIT_NPROC"),
            "cpus": found.get("cpu", "affinity"),
        }

    def look(self, pid: int) -> str | None:
        """A reason to end the workspace, or None."""
        return None
