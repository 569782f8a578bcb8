"""Bytes on their way in: hashed while they are written to a file of this machine that nobody else sees.

Decides how much may be under way at once and that nothing half-done stays. Needs neither a database nor a place where
content is kept, so that the intake may use it. Leaves to its callers how large one file may be.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tre.errors import LimitExceeded, Unavailable
from tre.outputs.content.model import Stored
from tre.settings import make_private_folder

#: What stays free on the disk for the databases: a full disk stops more than submissions.
RESERVE_BYTES = 256 << 20
#: What may be under way in one process. On a cluster the disk behind it has a limit, and passing that ends the pod.
MOST_BYTES = 4 << 30
#: Nothing is under way for longer: what is older was left behind.
LONGEST_SECONDS = 3600.0


class Incoming:
    """Bytes on their way in. Its file vanishes with it, unless a store gave it a name meanwhile."""

    def __init__(self, spool: Spool, limit: int) -> None:
        self.path = spool.folder / secrets.token_hex(16)
        self._spool, self._limit = spool, limit
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o400)
        self._file = os.fdopen(descriptor, "wb")
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, chunk: bytes) -> None:
        """Raises `LimitExceeded` beyond the limit, `Unavailable` when the disk or the spool is full."""
        if self.size + len(chunk) > self._limit:
            raise LimitExceeded(f"The file is larger than {self._limit} bytes.", field="file", code="file_too_large")
        self._spool.take(len(chunk))
        self.size += len(chunk)
        self._hash.update(chunk)
        try:
            self._file.write(chunk)
        except OSError as error:
            raise no_room(error) from error

    def finish(self) -> Stored:
        """Flushes to disk: what the whole of it is."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError as error:
            raise no_room(error) from error
        return Stored(self._hash.hexdigest(), self.size)

    def close(self) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)
        self._spool.take(-self.size)


class Spool:
    """A folder for one process or for some; each bounds what is under way in it."""

    def __init__(self, folder: Path, *, reserve_bytes: int = RESERVE_BYTES, most_bytes: int = MOST_BYTES) -> None:
        self.folder, self.reserve_bytes, self.most_bytes = folder, reserve_bytes, most_bytes
        self._under_way, self._lock = 0, threading.Lock()
        make_private_folder(folder)

    @contextmanager
    def incoming(self, *, limit_bytes: int) -> Iterator[Incoming]:
        """Write chunks, then `finish`. Raises `Unavailable` when the disk is full."""
        self.sweep(LONGEST_SECONDS)
        if shutil.disk_usage(self.folder).free - limit_bytes < self.reserve_bytes:
            raise Unavailable("The disk for what is arriving is nearly full.", hint="Ask an administrator.")
        try:
            incoming = Incoming(self, limit_bytes)
        except OSError as error:
            raise no_room(error) from error
        try:
            yield incoming
        finally:
            incoming.close()

    def take(self, size: int) -> None:
        """Counts bytes that come, or with a minus go."""
        with self._lock:
            if size > 0 and self._under_way + size > self.most_bytes:
                raise Unavailable("Too much is arriving at once.", hint="Try again in a minute.")
            self._under_way += size

    def sweep(self, seconds: float) -> None:
        """Removes what a process that was killed left behind."""
        before = time.time() - seconds
        for entry in os.scandir(self.folder):
            with suppress(FileNotFoundError):
                if entry.stat(follow_symlinks=False).st_mtime < before:
                    os.unlink(entry.path)


def no_room(error: OSError) -> Unavailable:
    return Unavailable(f"The content cannot be written ({error.strerror}).", hint="Ask an administrator.")
