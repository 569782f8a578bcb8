"""The content store: bytes by their SHA-256, each kept once, never changed.

Decides how bytes come to rest (written beside, flushed to disk, renamed, read-only) and that nothing is handed out
whose hash is not its name. Needs no database, so that the intake may use it. Leaves to `service` which content is still
wanted, and to its callers how large one file may be.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tre.errors import Broken, InvalidInput, LimitExceeded, Unavailable
from tre.settings import make_private_folder

DIGEST = re.compile(r"[0-9a-f]{64}")
CHUNK = 1 << 20
#: What stays free on the disk for the databases: a full disk stops more than submissions.
RESERVE_BYTES = 256 << 20
#: How long bytes may lie unclaimed: a submission stores first and is recorded afterwards.
GRACE_SECONDS = 3600.0


@dataclass(frozen=True)
class Stored:
    """`digest` in lower-case hexadecimal, `size` in bytes."""

    digest: str
    size: int


class Incoming:
    """Bytes on their way in. `keep` makes them content; left without it they vanish."""

    def __init__(self, store: ContentStore, path: Path, limit: int) -> None:
        self._store, self._path, self._limit = store, path, limit
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o400)
        self._file = os.fdopen(descriptor, "wb")
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, chunk: bytes) -> None:
        """Raises `LimitExceeded` beyond the limit, `Unavailable` when the disk is full."""
        self.size += len(chunk)
        if self.size > self._limit:
            raise LimitExceeded(f"The file is larger than {self._limit} bytes.", field="file", code="file_too_large")
        self._hash.update(chunk)
        try:
            self._file.write(chunk)
        except OSError as error:
            raise _no_room(error) from error

    def keep(self) -> Stored:
        """Flushes to disk and gives the bytes their name. Content that is there already is checked, not replaced."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            return self._store.adopt(self._path, Stored(self._hash.hexdigest(), self.size))
        except OSError as error:
            raise _no_room(error) from error

    def close(self) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)


class ContentStore:
    """A folder of content. `quota_bytes` bounds the whole of it; several processes may share one folder."""

    def __init__(self, root: Path, *, quota_bytes: int = 1 << 40, reserve_bytes: int = RESERVE_BYTES) -> None:
        self.root, self.quota_bytes, self.reserve_bytes = root, quota_bytes, reserve_bytes
        self._usage = (float("-inf"), 0)
        make_private_folder(root)
        make_private_folder(root / "incoming")

    @contextmanager
    def incoming(self, *, limit_bytes: int) -> Iterator[Incoming]:
        """Write chunks, then `keep`. Raises `LimitExceeded` when the store is full, `Unavailable` when the disk is."""
        self._check_room(limit_bytes)
        try:
            incoming = Incoming(self, self.root / "incoming" / secrets.token_hex(16), limit_bytes)
        except OSError as error:
            raise _no_room(error) from error
        try:
            yield incoming
        finally:
            incoming.close()

    def put(self, content: bytes) -> Stored:
        """The same for bytes at hand."""
        with self.incoming(limit_bytes=len(content)) as incoming:
            incoming.write(content)
            return incoming.keep()

    def adopt(self, path: Path, stored: Stored) -> Stored:
        """Moves a whole, flushed file of this store's `incoming` folder to its name."""
        target = self.path(stored.digest)
        with self._lock(fcntl.LOCK_SH):
            if target.exists():
                self.read(stored.digest)
                # Fresh again: garbage collection spares what somebody is just submitting.
                os.utime(target)
                return stored
            target.parent.mkdir(mode=0o700, exist_ok=True)
            os.rename(path, target)
            _flush_folder(target.parent)
            _flush_folder(self.root)
        return stored

    def read(self, digest: str) -> bytes:
        """The bytes of that hash, verified. Raises `Broken` when they are gone or altered."""
        try:
            content = self.path(digest).read_bytes()
        except FileNotFoundError:
            raise Broken(f"The content {digest} is missing.", code="content_missing") from None
        except OSError as error:
            raise Broken(f"The content {digest} cannot be read ({error.strerror}).", code="content_missing") from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise Broken(f"The content {digest} was altered on disk.", code="content_altered")
        return content

    def size(self, digest: str) -> int | None:
        """Bytes on disk, None where there is no such content. Says nothing about whether they are unaltered."""
        try:
            return self.path(digest).stat().st_size
        except FileNotFoundError:
            return None

    def path(self, digest: str) -> Path:
        """Where the content lies. Raises `InvalidInput` for what is no digest, so that no path can be smuggled in."""
        if not DIGEST.fullmatch(digest):
            raise InvalidInput("A digest is 64 lower-case hexadecimal digits.", field="sha256")
        return self.root / digest[:2] / digest

    def digests(self) -> Iterator[str]:
        for folder in self.root.glob("[0-9a-f][0-9a-f]"):
            for entry in os.scandir(folder):
                if DIGEST.fullmatch(entry.name):
                    yield entry.name

    def usage(self) -> int:
        """Bytes of all content, counted at most every ten seconds."""
        counted_at, size = self._usage
        if time.monotonic() - counted_at > 10:
            size = sum(self.size(digest) or 0 for digest in self.digests())
            self._usage = (time.monotonic(), size)
        return size

    def collect(
        self, wanted: Callable[[Collection[str]], Iterable[str]], *, grace_seconds: float = GRACE_SECONDS
    ) -> list[str]:
        """Removes what `wanted` does not name among the digests shown to it, if older than the grace; returns those.

        Abandoned beginnings in `incoming` go too.
        """
        before = time.time() - grace_seconds
        removed = []
        with self._lock(fcntl.LOCK_EX):
            old = {digest for digest in self.digests() if self.path(digest).stat().st_mtime < before}
            for digest in sorted(old - set(wanted(old))):
                self.path(digest).unlink()
                removed.append(digest)
            for entry in os.scandir(self.root / "incoming"):
                if entry.stat(follow_symlinks=False).st_mtime < before:
                    os.unlink(entry.path)
        return removed

    def _check_room(self, coming: int) -> None:
        if self.usage() + coming > self.quota_bytes:
            raise LimitExceeded("The content store is full.", hint="Ask an administrator.", code="store_full")
        if shutil.disk_usage(self.root).free - coming < self.reserve_bytes:
            raise Unavailable("The disk of the content store is nearly full.", hint="Ask an administrator.")

    @contextmanager
    def _lock(self, kind: int) -> Iterator[None]:
        """Shared for those who add, exclusive for the collection: nothing is removed that is just being added."""
        descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, kind)
            yield
        finally:
            os.close(descriptor)


def _flush_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _no_room(error: OSError) -> Unavailable:
    return Unavailable(f"The content cannot be written ({error.strerror}).", hint="Ask an administrator.")
