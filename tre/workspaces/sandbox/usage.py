"""How much memory and disk a sandbox's processes use, read from /proc by the user who started them.

Decides how to count: private and shared-memory pages per process, temporary file systems, files that are open but
have no name any more. Descriptors on their way through a Unix socket are not seen; only a control group or a disk
quota would count those. Everything here tolerates processes that end meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import signal
import stat
from collections.abc import Iterator, Sequence
from functools import cache

COUNTED = ("RssAnon:", "RssShmem:", "VmSwap:")
SHARED_OUT = ("Pss_Anon:", "Pss_Shmem:", "SwapPss:")


def descendants(process: int) -> list[int]:
    """Every process below this one, the nearest first."""
    found: list[int] = []
    waiting = [process]
    while waiting:
        children = list(_children(waiting.pop(0)))
        found += children
        waiting += children
    return found


def _children(process: int) -> Iterator[int]:
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{process}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{process}/task/{thread}/children") as stream:
                yield from (int(child) for child in stream.read().split())


def private_bytes(process: int) -> int:
    """Anonymous, shared and swapped memory of one process; cheap, but pages shared after a fork count for each."""
    return _kibibytes(f"/proc/{process}/status", COUNTED) or 0


def proportional_bytes(process: int) -> int:
    """The same with each shared page divided among its users; dearer. A process that hides is counted in full."""
    found = _kibibytes(f"/proc/{process}/smaps_rollup", SHARED_OUT)
    return private_bytes(process) if found is None else found


def total_bytes(processes: list[int], places: Sequence[str], limit: int) -> int:
    """Memory of all together and of their temporary file systems; exact only where a limit might be broken."""
    fixed = temporary_bytes(processes, places)
    rough = fixed + sum(private_bytes(process) for process in processes)
    return rough if rough <= limit else fixed + sum(proportional_bytes(process) for process in processes)


def _kibibytes(path: str, names: tuple[str, ...]) -> int | None:
    """The sum of these lines in bytes, None where the file cannot be read."""
    with contextlib.suppress(OSError), open(path) as stream:
        return sum(int(line.split()[1]) << 10 for line in stream if line.startswith(names))
    return None


def temporary_bytes(processes: list[int], places: Sequence[str]) -> int:
    """What the sandbox's own temporary file systems hold, and shared memory that has no name."""
    total = sum(_system_bytes(process, place) for process in processes[1:2] for place in places)
    return total + sum(size for name, size in _unlinked(processes).values() if name.startswith("/memfd:"))


def _system_bytes(process: int, place: str) -> int:
    """Bytes held by the file system at a place of this process's view, 0 while it still has our view."""
    flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
    with contextlib.suppress(OSError):
        root = os.open(f"/proc/{process}/root", flags)
        try:
            if os.path.sameopenfile(root, _own_root()):
                return 0
            # Never through a link: an absolute one would lead back into our own view.
            folder = os.open(place, flags | os.O_NOFOLLOW, dir_fd=root)
            try:
                system = os.fstatvfs(folder)
            finally:
                os.close(folder)
        finally:
            os.close(root)
        return (system.f_blocks - system.f_bfree) * system.f_frsize
    return 0


@cache
def _own_root() -> int:
    return os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def unlinked_bytes(processes: list[int], device: int) -> int:
    """What open files without a name hold on the disk with this device number."""
    return sum(size for (held_on, _), (_, size) in _unlinked(processes).items() if held_on == device)


def _unlinked(processes: list[int]) -> dict[tuple[int, int], tuple[str, int]]:
    """(device, inode) → (name, bytes) of every open file without a name."""
    found: dict[tuple[int, int], tuple[str, int]] = {}
    for process in processes:
        with contextlib.suppress(OSError):
            for number in os.listdir(f"/proc/{process}/fd"):
                with contextlib.suppress(OSError):
                    link = f"/proc/{process}/fd/{number}"
                    held = os.stat(link)
                    if held.st_nlink == 0 and stat.S_ISREG(held.st_mode):
                        found[held.st_dev, held.st_ino] = (os.readlink(link), held.st_blocks * 512)
        found |= {key: value for key, value in _mapped(process) if key not in found}
    return found


def _mapped(process: int) -> Iterator[tuple[tuple[int, int], tuple[str, int]]]:
    """Files without a name that are only mapped: the length of the mapping is what can be known from outside."""
    with contextlib.suppress(OSError), open(f"/proc/{process}/maps") as stream:
        for line in stream:
            if line.endswith("(deleted)\n"):
                span, _, _, device, inode, name = line.split(maxsplit=5)
                low, high = (int(part, 16) for part in span.split("-"))
                major, minor = (int(part, 16) for part in device.split(":"))
                yield (os.makedev(major, minor), int(inode)), (name, high - low)


def free_bytes(path: str) -> int:
    """Free space of the file system below a path."""
    system = os.statvfs(path)
    return system.f_bavail * system.f_frsize


def kill(process: int) -> None:
    """Kill one process, if it is still there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
