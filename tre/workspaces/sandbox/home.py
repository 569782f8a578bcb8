"""What a home holds on disk, measured against an owner who wants it to look smaller.

Decides how to count: no link is followed, a file with two names counts once, a hole counts as what would be read from
it, and every name as at least one block, since inodes run out as well. A folder that its owner closed to everyone is
opened again; folders may be nested deeper than any path is long. What cannot be measured is no number: `Unmeasured`.
"""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass, field

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
BLOCK_BYTES = 4096
# Who moves folders about at the very moment is given another look, so often.
LOOKS = 3


class Unmeasured(Exception):
    """The home changed under each look, or holds a folder that stays closed."""


class _Changed(Exception):
    """This look came to nothing."""


def home_bytes(home: str) -> int:
    """Bytes of everything below a folder. Raises Unmeasured."""
    for _ in range(LOOKS):
        with contextlib.suppress(_Changed):
            return _Walk().of(home)
    raise Unmeasured(home)


@dataclass
class _Walk:
    """One look, with one folder open at a time: the way back up is checked by what each folder was on the way down."""

    total: int = 0
    seen: set[int] = field(default_factory=set)
    trail: list[tuple[tuple[int, int], list[str]]] = field(default_factory=list)

    def of(self, home: str) -> int:
        here = _enter(home)
        if here is None:
            raise FileNotFoundError(home)
        try:
            waiting = self._look(here)
            while waiting or self.trail:
                if waiting:
                    inner = _enter(waiting.pop(), here)
                    if inner is None:
                        continue
                    self.trail.append((_identity(here), waiting))
                    here = _instead(here, inner)
                    waiting = self._look(here)
                else:
                    expected, waiting = self.trail.pop()
                    here = _instead(here, _leave(here, expected))
        finally:
            os.close(here)
        return self.total

    def _look(self, here: int) -> list[str]:
        """Count a folder and its files; the names of the folders in it."""
        self.total += _size(os.fstat(here))
        folders = []
        for name in os.listdir(here):
            try:
                held = os.stat(name, dir_fd=here, follow_symlinks=False)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise _Changed from error
            if stat.S_ISDIR(held.st_mode):
                folders.append(name)
            elif held.st_nlink == 1 or held.st_ino not in self.seen:
                self.total += _size(held)
                self.seen.add(held.st_ino)
        return folders


def _enter(name: str, within: int | None = None) -> int | None:
    """Open a folder in a folder, opening it to its owner first where need be; None where it is gone by now."""
    try:
        place = os.open(name, os.O_PATH | FOLDER, dir_fd=within)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        mode = os.fstat(place).st_mode
        if mode & stat.S_IRWXU != stat.S_IRWXU:
            os.chmod(f"/proc/self/fd/{place}", stat.S_IMODE(mode) | stat.S_IRWXU)
        return os.open(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _Changed from error
    finally:
        os.close(place)


def _leave(inner: int, expected: tuple[int, int]) -> int:
    """Open the folder above, if it is still the one that was come from."""
    try:
        outer = os.open("..", FOLDER, dir_fd=inner)
    except OSError as error:
        raise _Changed from error
    if _identity(outer) != expected:
        os.close(outer)
        raise _Changed
    return outer


def _instead(old: int, new: int) -> int:
    os.close(old)
    return new


def _identity(folder: int) -> tuple[int, int]:
    held = os.fstat(folder)
    return held.st_dev, held.st_ino


def _size(held: os.stat_result) -> int:
    return max(held.st_size, held.st_blocks * 512, BLOCK_BYTES)
