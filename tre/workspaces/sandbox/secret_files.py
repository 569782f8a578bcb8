"""Secrets of a running workspace: small files in memory, shown inside read-only, replaced from outside while it runs.

Decides where they lie: a private folder per workspace on the machine's shared-memory file system, so that they are on
no disk; and that they are replaced by renaming, so that a reader inside has the old or the new text whole. Leaves what
is in them to the launch plan and to whoever renews it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from tre.errors import NotFound, Unavailable
from tre.settings import make_private_folder

MEMORY = Path("/dev/shm")  # noqa: S108
IN_MEMORY = frozenset({"tmpfs", "ramfs"})


def folder_of(run_dir: Path, workspace_id: str) -> Path:
    """Of one workspace of one platform: other platforms of this user have another run folder."""
    digest = hashlib.sha256(os.fsencode(run_dir.absolute())).hexdigest()[:16]
    return MEMORY / f"tre-{os.getuid()}-{digest}" / workspace_id


def hand_over(folder: Path, texts: Mapping[str, str]) -> None:
    """Make the folder anew with these files. Raises Unavailable where it would not be in memory."""
    if file_system_of(MEMORY) not in IN_MEMORY:
        raise Unavailable(f"{MEMORY} is not in memory", hint="Mount a tmpfs there; `tre doctor` checks it.")
    make_private_folder(folder.parent)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    for name, text in texts.items():
        _write(folder, name, text)


def replace(folder: Path, name: str, text: str) -> None:
    """Put a new text in a file's place. Raises NotFound where the workspace was never given that file, or is gone."""
    if not (folder / name).is_file():
        raise NotFound(f"workspace {folder.name} has no {name}")
    try:
        _write(folder, name, text)
    except FileNotFoundError:
        raise NotFound(f"workspace {folder.name} is gone") from None


def _write(folder: Path, name: str, text: str) -> None:
    fresh = folder / f".{secrets.token_hex(8)}"
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o400), "w") as file:
        file.write(text)
    fresh.rename(folder / name)


def remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        folder.parent.rmdir()


def file_system_of(path: Path) -> str:
    """The kind of file system that a path lies on, as the kernel names it (man 5 proc_pid_mountinfo)."""
    place, found = path.resolve(), ""
    longest = -1
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        mounted = Path(before.split()[4])
        # Of two at the same place the later one is seen.
        if place.is_relative_to(mounted) and len(mounted.parts) >= longest:
            longest, found = len(mounted.parts), after.split()[0]
    return found
