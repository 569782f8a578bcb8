"""The store: takes whole bytes in under their hash, once, and hands nothing out whose hash is not its name.

Decides that and how much there may be of it. Leaves to `keeping` which content is still wanted, to a shelf how bytes
come to rest, and to its callers how large one file may be.
"""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from tre.errors import InvalidInput, LimitExceeded, TreError
from tre.outputs.content.model import Shelf, Stored, altered, check_digest
from tre.outputs.content.spool import Incoming, Spool

#: How long bytes may lie unclaimed: a submission stores first and is recorded afterwards.
GRACE_SECONDS = 3600.0
QUOTA_BYTES = 1 << 40
#: Nothing of ours is larger, so what is was put there by somebody else: it is not read into memory to be told so.
LARGEST_BYTES = 1 << 30


class ContentStore:
    """`quota_bytes` bounds the whole of it; several processes may share one shelf."""

    def __init__(self, shelf: Shelf, spool: Spool, *, quota_bytes: int = QUOTA_BYTES) -> None:
        self.shelf, self.spool, self.quota_bytes = shelf, spool, quota_bytes
        self._usage = (float("-inf"), 0)

    @contextmanager
    def incoming(self, *, limit_bytes: int) -> Iterator[Incoming]:
        """Write chunks, then `keep` it. Raises `LimitExceeded` when the store is full, `Unavailable` when the disk
        is.
        """
        if self.usage() + limit_bytes > self.quota_bytes:
            raise LimitExceeded("The content store is full.", hint="Ask an administrator.", code="store_full")
        with self.spool.incoming(limit_bytes=limit_bytes) as incoming:
            yield incoming

    def keep(self, incoming: Incoming, *, expected: str = "") -> Stored:
        """Makes it content. What is there already is checked, not replaced: raises `Broken` where it was altered, and
        `InvalidInput` where the bytes are not those that the sender expects.
        """
        stored = incoming.finish()
        if expected and stored.digest != expected:
            raise InvalidInput("Other bytes arrived than were sent.", field="sha256", hint="Send them again.")
        if self.shelf.add(stored.digest, incoming.path):
            self._usage = (self._usage[0], self._usage[1] + stored.size)
        else:
            self.read(stored.digest)
        return stored

    def put(self, content: bytes) -> Stored:
        """The same for bytes at hand."""
        with self.incoming(limit_bytes=len(content)) as incoming:
            incoming.write(content)
            return self.keep(incoming)

    def read(self, digest: str) -> bytes:
        """The bytes of that hash, verified. Raises `Broken` when they are gone or altered, `Unavailable` when they did
        not come whole.
        """
        check_digest(digest)
        hashed, whole = hashlib.sha256(), io.BytesIO()
        with self.shelf.open(digest) as pieces:
            for piece in pieces:
                hashed.update(piece)
                whole.write(piece)
                if whole.tell() > LARGEST_BYTES:
                    raise altered(digest)
        if hashed.hexdigest() != digest:
            raise altered(digest)
        return whole.getvalue()

    def size(self, digest: str) -> int | None:
        """Bytes that lie there, None where there is no such content. Says nothing about whether they are unaltered."""
        check_digest(digest)
        return self.shelf.size(digest)

    def digests(self) -> Iterator[str]:
        return (lying.digest for lying in self.shelf.listed())

    def usage(self) -> int:
        """Bytes of all content, by the newest count and what this process has added since."""
        counted_at, size = self._usage
        if time.monotonic() - counted_at > self.shelf.count_seconds:
            size = sum(lying.size for lying in self.shelf.listed())
            self._usage = (time.monotonic(), size)
        return size

    def older(self, grace_seconds: float) -> Iterator[str]:
        """What has lain there for longer than that."""
        before = time.time() - grace_seconds
        return (lying.digest for lying in self.shelf.listed() if lying.since < before)

    def remove(self, digests: Iterable[str], *, removed: Callable[[str], None]) -> None:
        """Tells each that is gone. Raises what hinders it, unless some are gone already: the rest waits for the next
        time.
        """
        gone = False
        for digest in digests:
            try:
                self.shelf.remove(digest)
            except TreError:
                if gone:
                    return
                raise
            gone = True
            removed(digest)
