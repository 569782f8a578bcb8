"""What a keeper says about its workspace: one small file, replaced atomically, and a lock that lives as long as it
does.

Decides the file's shape and what silence means: a keeper that holds no lock is dead, whatever its file says. It holds
no secret. Leaves acting on it to `runtime`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from tre.errors import Conflict

State = Literal["starting", "running", "ended"]


@dataclass(frozen=True)
class Status:
    """`reason` says why it ended; `pid` is the keeper's; `held_by` says what holds each limit (control group or
    rlimit)."""

    state: State
    pid: int
    reason: str = ""
    held_by: dict[str, str] = field(default_factory=dict)


def write_status(folder: Path, status: Status) -> None:
    """Replace the status file; a reader sees the old or the new one, never a part."""
    fresh = folder / ".status.new"
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        json.dump(asdict(status), stream)
    fresh.rename(folder / "status.json")


def read_status(folder: Path) -> Status | None:
    """The last status written, or None where there is none that can be read."""
    try:
        return Status(**json.loads(_text(folder / "status.json")))
    except (OSError, ValueError, TypeError):
        return None


def _text(path: Path) -> str:
    """The text of a regular file; nothing is followed and nothing waited for."""
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)) as stream:
        return stream.read(1 << 16)


# Whoever only looks holds a shared lock for an instant; a keeper tries again rather than take that for a rival.
TRIES, PAUSE_SECONDS = 20, 0.01


def lock(folder: Path) -> int:
    """Hold the workspace for as long as the returned descriptor is open; raises Conflict where another keeper does."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    for _ in range(TRIES):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.write(descriptor, str(os.getpid()).encode())
            return descriptor
        time.sleep(PAUSE_SECONDS)
    os.close(descriptor)
    raise Conflict("this workspace is already running", hint="Stop it first.")


def holder(folder: Path) -> int | None:
    """The process id of the keeper that holds this workspace now, if one does."""
    with contextlib.suppress(OSError, ValueError):
        return int(_text(folder / "lock")) if locked(folder) else None
    return None


def locked(folder: Path) -> bool:
    """Whether a keeper holds this workspace now."""
    try:
        descriptor = os.open(folder / "lock", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
