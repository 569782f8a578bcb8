"""A content store on either shelf, and what somebody may do to it behind its back."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.fixtures.object_storage import ObjectStorage
from tre.outputs.content.store import ContentStore


@dataclass
class Shelved:
    """`another` is the store as another process has it; `file` is where content lies; `age` makes it look old."""

    store: ContentStore
    another: Callable[[], ContentStore]
    file: Callable[[str], Path]
    server: ObjectStorage | None = None

    def alter(self, digest: str, content: bytes) -> None:
        path = self.file(digest)
        path.chmod(0o600)
        path.write_bytes(content)

    def age(self, digest: str, seconds: float = 100_000) -> None:
        then = time.time() - seconds
        os.utime(self.file(digest), (then, then))
