"""Control groups handed to the ordinary user, so that limits on workspaces hold.

Decides which control group may be used by whom: root makes one per run and gives it away. Leaves setting limits to the
workspaces. What was handed over is told by the environment variable TRE_CGROUP, a JSON object {controller: path}: with
version 2 all controllers name the same folder, which then has a file `cgroup.controllers`.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "TRE_CGROUP"
ROOT = Path("/sys/fs/cgroup")
CONTROLLERS = ("memory", "pids", "cpu")
V2_FILES = ("cgroup.procs", "cgroup.subtree_control", "cgroup.threads")
#: Of a version 2 group, the child in which our own processes live: a group with limits below it may hold none itself.
LEAF = "platform"


def delegate(name: str, uid: int, root: Path = ROOT) -> dict[str, str]:
    """Make control groups called `name` that `uid` may use, where possible. Returns {controller: path}, {} for none."""
    if (root / "cgroup.controllers").exists():
        return delegate_v2(root / name, uid)
    found = {}
    mine = own_groups(Path("/proc/self/cgroup").read_text())
    for controller in CONTROLLERS:
        # Below our own group, so that limits on us hold for what we start; a container may show only the top.
        own = root / controller / mine.get(controller, "")
        path = (own if own.is_dir() else root / controller) / name
        with contextlib.suppress(OSError):
            path.mkdir()
            for file in (path, path / "cgroup.procs", path / "tasks"):
                os.chown(file, uid, uid)
            found[controller] = str(path)
    return found


def own_groups(text: str) -> dict[str, str]:
    """{controller: path without leading slash} from /proc/PID/cgroup, version 1 (man 7 cgroups)."""
    found = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        found.update(dict.fromkeys(controllers.split(","), path.lstrip("/")))
    return found


def delegate_v2(group: Path, uid: int) -> dict[str, str]:
    """The same on the unified hierarchy: controllers on, the group given away, this process moved into its leaf."""
    try:
        wanted = [name for name in CONTROLLERS if name in (group.parent / "cgroup.controllers").read_text().split()]
        turn_on(group.parent, wanted)
        group.mkdir()
        leaf = group / LEAF
        leaf.mkdir()
        turn_on(group, wanted)
        for folder in (group, leaf):
            os.chown(folder, uid, uid)
            for file in V2_FILES:
                os.chown(folder / file, uid, uid)
        (leaf / "cgroup.procs").write_text(str(os.getpid()))
    except OSError:
        remove({"unified": str(group)})
        return {}
    return dict.fromkeys(wanted, str(group))


def confine(groups: Mapping[str, str], name: str, pid: int, memory: int) -> bool:
    """Put a process, and what it starts from now on, into a group of its own with at most `memory` bytes.

    Returns False where no group was handed over; then nothing is changed.
    """
    if "memory" not in groups:
        return False
    group = Path(groups["memory"]) / name
    limit = "memory.max" if (group.parent / "cgroup.controllers").exists() else "memory.limit_in_bytes"
    try:
        group.mkdir(exist_ok=True)
        (group / limit).write_text(str(memory))
        (group / "cgroup.procs").write_text(str(pid))
    except OSError:
        return False
    return True


def turn_on(group: Path, controllers: list[str]) -> None:
    (group / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in controllers))


def remove(groups: Mapping[str, str]) -> None:
    """Remove what `delegate` made, deepest first. A group that still holds a process stays; it costs nothing."""
    for top in sorted(set(groups.values())):
        if (Path(top) / "cgroup.controllers").exists():
            with contextlib.suppress(OSError):
                (Path(top).parent / "cgroup.procs").write_text(str(os.getpid()))
        for folder, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)


def from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """{controller: path} that this process may use; {} where nothing was handed over."""
    try:
        found = json.loads(environment.get(VARIABLE, "{}"))
    except json.JSONDecodeError:
        return {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}
