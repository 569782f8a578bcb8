"""Standing in the outside world of the cluster's machine: as whoever sits in the institution's own network.

Decides how: this thread enters the outside's network namespace, and a view of the machine's files in which the
institution's names and its authority are the machine's own. Whatever is started from there is there, too. Afterwards
the thread is back. Only root can; nothing of it is seen by anybody else.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.cluster.machine import servers
from tests.cluster.machine.place import Place

#: Of sched.h.
NEW_NETWORK, NEW_MOUNTS, OWN_FILES = 0x40000000, 0x00020000, 0x00000200
_LIBC = ctypes.CDLL(None, use_errno=True)


def holder(place: Place) -> int:
    """The process of the outside's web server, as this machine numbers it."""
    wanted = servers.outside_servers(place)["outside-web"]
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if file.read_bytes().decode(errors="replace").rstrip("\0").split("\0") == wanted:
                return int(file.parent.name)
    raise AssertionError("the cluster's outside does not run")


@contextlib.contextmanager
def standing(place: Place, shown: Mapping[Path, Path]) -> Iterator[None]:
    """`shown` are {place: the file or folder that is there instead}."""
    before = Path.cwd()
    with _opened("/proc/thread-self/ns/net") as network, _opened("/proc/thread-self/ns/mnt") as mounts:
        with _opened(f"/proc/{holder(place)}/ns/net") as outside:
            _must(_LIBC.setns(outside, NEW_NETWORK))
        try:
            _must(_LIBC.unshare(NEW_MOUNTS))
            for command in (["--make-rprivate", "/"], *(["--bind", str(own), str(at)] for at, own in shown.items())):
                subprocess.run(["mount", *command], check=True)
            yield
        finally:
            # Threads that were started meanwhile share this one's folder; who goes back must share with nobody.
            _must(_LIBC.unshare(OWN_FILES))
            _must(_LIBC.setns(mounts, NEW_MOUNTS))
            _must(_LIBC.setns(network, NEW_NETWORK))
            os.chdir(before)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _must(answer: int) -> None:
    if answer != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
