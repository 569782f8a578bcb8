"""A shelf that is a folder: each content a read-only file under its hash.

Decides how bytes come to rest: flushed, renamed, and the folders flushed. Several processes may share one folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tre.outputs.content.model import CHUNK, DIGEST, Lying, missing
from tre.outputs.content.spool import RESERVE_BYTES, Spool, no_room
from tre.outputs.content.store import QUOTA_BYTES, ContentStore
from tre.settings import make_private_folder


class Folder:
    """`root` has a folder for each first two digits."""

    count_seconds = 10.0

    def __init__(self, root: Path) -> None:
        self.root = root
        make_private_folder(root)

    def add(self, digest: str, file: Path) -> bool:
        target = self.path(digest)
        try:
            target.parent.mkdir(mode=0o700, exist_ok=True)
            # Two at once bring the same bytes: whoever renames last replaces them by themselves.
            if target.exists():
                return False
            os.rename(file, target)
            _flush(target.parent)
            _flush(self.root)
        except OSError as error:
            raise no_room(error) from error
        return True

    @contextmanager
    def open(self, digest: str) -> Iterator[Iterator[bytes]]:
        try:
            with open(self.path(digest), "rb") as file:
                yield iter(lambda: file.read(CHUNK), b"")
        except FileNotFoundError:
            raise missing(digest) from None
        except OSError as error:
            raise missing(digest, error.strerror or "") from error

    def size(self, digest: str) -> int | None:
        try:
            return self.path(digest).stat().st_size
        except FileNotFoundError:
            return None

    def listed(self) -> Iterator[Lying]:
        for folder in sorted(self.root.glob("[0-9a-f][0-9a-f]")):
            for entry in os.scandir(folder):
                # One that another process removes meanwhile is not listed.
                with suppress(FileNotFoundError):
                    if (
                        DIGEST.fullmatch(entry.name)
                        and entry.name[:2] == folder.name
                        and entry.is_file(follow_symlinks=False)
                    ):
                        found = entry.stat(follow_symlinks=False)
                        yield Lying(entry.name, found.st_size, found.st_mtime)

    def remove(self, digest: str) -> None:
        self.path(digest).unlink(missing_ok=True)

    def path(self, digest: str) -> Path:
        return self.root / digest[:2] / digest


def in_folder(root: Path, *, quota_bytes: int = QUOTA_BYTES, reserve_bytes: int = RESERVE_BYTES) -> ContentStore:
    """What arrives lies beside, on the same file system: it is renamed, not copied."""
    shelf = Folder(root)
    return ContentStore(shelf, Spool(root / "incoming", reserve_bytes=reserve_bytes), quota_bytes=quota_bytes)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
