"""What the cluster sees of the machine's files. Runs as the first process of the cluster, in its own mount namespace.

Decides: everything is read-only except the run folder and what is the cluster's own (`/run`, `/var` as a copy that is
kept in memory, control groups, the file system of BPF programs). Settings of the kernel that are the whole machine's
(kernel, vm, fs) are read-only too; the few that the kubelet insists on are plain files, which only look like settings.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tre.errors import Unavailable

from .groups import LEAF, Hierarchy

SYSCTL = Path("/proc/sys")
MACHINE_WIDE = ("kernel", "vm", "fs")
#: kubelet (container_manager_linux.go, setupKernelTunables) sets these, and does not start where it may not.
INSISTED = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}


def mount(*arguments: str) -> None:
    """mount(8) without its own book-keeping in /run/mount."""
    carry_out("mount", "--no-mtab", *arguments)


def carry_out(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise Unavailable(f"{' '.join(command)}: {done.stderr.strip()}")


def settle(run: Path, hierarchies: Sequence[Hierarchy]) -> None:
    """Everything above, in the order in which it must happen. `run` is the only folder that stays writable."""
    os.chdir(run)
    mount("--types", "proc", "proc", "/proc")
    mount("--types", "tmpfs", "--options", "mode=0755", "tmpfs", "/run")
    settle_settings(Path("/run/settings"))
    # The machine's own hierarchies of control groups must not be seen any more, not even in the list of mounts.
    carry_out("umount", "--no-mtab", "--recursive", "/sys")
    mount("--types", "sysfs", "sysfs", "/sys")
    settle_groups(hierarchies)
    mount("--types", "bpf", "bpf", "/sys/fs/bpf")
    upper, work = Path("/run/var/upper"), Path("/run/var/work")
    for folder in (upper, work):
        folder.mkdir(parents=True)
    mount("--types", "overlay", "--options", f"lowerdir=/var,upperdir={upper},workdir={work}", "overlay", "/var")
    # From where this process stands, not by its path: the overlay may have covered that.
    mount("--no-canonicalize", "--bind", ".", str(run))
    os.chdir(run)
    mount("--options", "remount,bind,ro", "/")


def settle_settings(papers: Path) -> None:
    """Machine-wide settings: to read, and for the kubelet to believe that it wrote."""
    for name in MACHINE_WIDE:
        mount("--bind", str(SYSCTL / name), str(SYSCTL / name))
        mount("--options", "remount,bind,ro", str(SYSCTL / name))
    for name, value in INSISTED.items():
        if not (SYSCTL / name).exists():
            continue
        paper = papers / name
        paper.parent.mkdir(parents=True, exist_ok=True)
        paper.write_text(value + "\n")
        mount("--bind", str(paper), str(SYSCTL / name))


def settle_groups(hierarchies: Sequence[Hierarchy]) -> None:
    """The same hierarchies at the same places; their tops are now this cluster's own groups (cgroup_namespaces(7))."""
    if any(hierarchy.version == 1 for hierarchy in hierarchies):
        mount("--types", "tmpfs", "--options", "mode=0755", "tmpfs", "/sys/fs/cgroup")
    for hierarchy in hierarchies:
        hierarchy.where.mkdir(exist_ok=True)
        if hierarchy.version == 2:
            mount("--types", "cgroup2", "cgroup2", str(hierarchy.where))
        else:
            mount("--types", "cgroup", "--options", hierarchy.options, "cgroup", str(hierarchy.where))
            for controller in hierarchy.options.split(","):
                name = hierarchy.where.parent / controller.removeprefix("name=")
                if not name.exists():
                    name.symlink_to(hierarchy.where.name)
    if all(hierarchy.version == 2 for hierarchy in hierarchies):
        delegate(hierarchies[0].where)


def delegate(top: Path) -> None:
    """Version 2 gives controllers only to children of a group without processes."""
    (top / LEAF).mkdir()
    for process in (top / "cgroup.procs").read_text().split():
        (top / LEAF / "cgroup.procs").write_text(process)
    wanted = (top / "cgroup.controllers").read_text().split()
    (top / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in wanted))
