"""What a cluster could leave on a machine, read before and after.

Decides where to look. What belongs to the whole machine (mounts, links, routes, rules, settings of the kernel, BPF
programs) must be equal; of processes, control groups and kernel namespaces only a cluster's own are looked for, because
other work comes and goes meanwhile. BPF programs tell nobody whose they are: another cluster of the machine must be at
rest while two readings are compared.
"""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .machine import groups
from .machine.place import Place

NAMESPACES = ("mnt", "net", "pid", "ipc", "uts", "cgroup")
#: Settings that count or tell something, so that they change by themselves.
COUNTING = (
    "fs/aio-nr",
    "fs/dentry-state",
    "fs/file-nr",
    "fs/inode-nr",
    "fs/inode-state",
    "kernel/ns_last_pid",
    "kernel/pty/nr",
    "kernel/random",
    "net/netfilter/nf_conntrack_count",
    "fs/dquot",
    "fs/quota",
)
#: {system call number of bpf(2)}, and its commands that walk over ids (linux/bpf.h).
BPF = {"x86_64": 321, "aarch64": 280}
NEXT_ID = {"programs": 11, "maps": 12}


@dataclass(frozen=True)
class Traces:
    """`whole` is {what: lines}."""

    whole: dict[str, frozenset[str]]

    def changes(self, later: Traces) -> dict[str, dict[str, list[str]]]:
        """{what: {"new" | "gone": lines}}, empty where nothing differs.

        The kernel frees BPF programs and maps some time after their last user: that an earlier cluster's are gone is
        no difference.
        """
        found = {}
        for what, before in self.whole.items():
            after = later.whole[what]
            gone = before - after if what not in NEXT_ID else frozenset()
            if gone or after - before:
                found[what] = {"new": sorted(after - before), "gone": sorted(gone)}
        return found


def settled(patience: float = 60) -> Traces:
    """The whole machine's, once it is the same for three seconds: another cluster may still be putting things away."""
    until = time.monotonic() + patience
    before = read()
    while True:
        time.sleep(3)
        after = read()
        if not (changes := before.changes(after)):
            return after
        assert time.monotonic() < until, f"the machine does not come to rest: {changes}"
        before = after


def read() -> Traces:
    """The whole machine's."""
    return Traces(
        {
            "mounts": lines(Path("/proc/self/mounts").read_text()),
            "links": told("ip", "-brief", "link"),
            "addresses": told("ip", "-oneline", "address"),
            "routes": told("ip", "route", "show", "table", "all"),
            "rules": told("ip", "rule"),
            "nftables": told("nft", "list", "ruleset"),
            "iptables": told("iptables-save"),
            "ipset": told("ipset", "list", "-name"),
            "settings": frozenset(settings()),
            **{what: frozenset(bpf_ids(command)) for what, command in NEXT_ID.items()},
        }
    )


def lines(text: str) -> frozenset[str]:
    return frozenset(line for line in text.splitlines() if not line.startswith("#"))


def told(*command: str) -> frozenset[str]:
    return lines(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def settings() -> Iterator[str]:
    """name = value of everything below /proc/sys that can be read."""
    top = Path("/proc/sys")
    for folder, _, names in os.walk(top):
        for name in names:
            path = Path(folder) / name
            short = str(path.relative_to(top))
            if short.startswith(COUNTING):
                continue
            try:
                yield f"{short} = {path.read_text().strip()}"
            except (OSError, UnicodeDecodeError):
                continue


def bpf_ids(command: int) -> Iterator[str]:
    """Ids of all BPF programs, or maps, of the machine."""
    system = ctypes.CDLL(None, use_errno=True)
    current = 0
    while True:
        attributes = (ctypes.c_uint32 * 4)(current)
        if system.syscall(BPF[platform.machine()], command, attributes, ctypes.sizeof(attributes)) != 0:
            return
        current = attributes[1]
        yield str(current)


def processes(place: Place) -> set[int]:
    """Every process in the control groups of this place's cluster."""
    return {pid for group in groups.paths(place.name) for pid in groups.members(group)}


def running(place: Place, program: str) -> set[int]:
    """Those of them that run this program of ours."""
    return {pid for pid in processes(place) if command(pid).partition(" ")[0].endswith(f"/{program}")}


@dataclass(frozen=True)
class Own:
    """Kernel namespaces in which only a cluster's processes were, at a time in seconds since the machine's start."""

    namespaces: frozenset[str]
    moment: float


def own(place: Place) -> Own:
    """Those of the cluster that is up."""
    found = {link for pid in processes(place) for link in links(f"/proc/{pid}/ns")}
    return Own(frozenset(found - set(links("/proc/self/ns"))), time.clock_gettime(time.CLOCK_BOOTTIME))


def links(folder: str) -> Iterator[str]:
    for name in NAMESPACES:
        try:
            yield os.readlink(f"{folder}/{name}")
        except OSError:
            continue


def in_use(mine: Own) -> set[str]:
    """Those in which a process of then still is. The kernel gives their numbers to other work's namespaces again, so
    later processes do not count; the control groups, which are empty, tell of those.
    """
    old = [folder for folder in Path("/proc").glob("[0-9]*") if began(folder) < mine.moment]
    return {link for folder in old for link in links(f"{folder}/ns")} & mine.namespaces


def began(process: Path) -> float:
    """Seconds since the machine's start (proc_pid_stat(5), field 22); never, of one that is gone."""
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return float("inf")
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def command(pid: int) -> str:
    """Its command line; "" when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def mentions(place: Place) -> list[str]:
    """Command lines of processes that name the run folder, without our own."""
    pids = [int(folder.name) for folder in Path("/proc").glob("[0-9]*")]
    return [text for pid in pids if pid != os.getpid() and str(place.run) in (text := command(pid))]
