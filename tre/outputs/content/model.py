"""What every part of the store says alike: a digest's form, and that content is gone or is not what it was."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tre.errors import Broken, InvalidInput

DIGEST = re.compile(r"[0-9a-f]{64}")
CHUNK = 1 << 20


@dataclass(frozen=True)
class Stored:
    """`digest` in lower-case hexadecimal, `size` in bytes."""

    digest: str
    size: int


@dataclass(frozen=True)
class Lying:
    """Content as a shelf lists it: `since` is when it came, in seconds of the epoch."""

    digest: str
    size: int
    since: float


class Shelf(Protocol):
    """Where whole content lies. Every digest that it is given has the form of one.

    Raises `Unavailable` where it does not answer. Listing everything may be slow: `count_seconds` says how long a count
    of all bytes may be believed.
    """

    count_seconds: float

    def add(self, digest: str, file: Path) -> bool:
        """Gives a whole, flushed file its name, all at once; False where something of that name is there already, which
        stays as it is. The file may be gone afterwards.
        """
        ...

    def open(self, digest: str) -> AbstractContextManager[Iterator[bytes]]:
        """What lies there, in pieces. Raises `Broken` where nothing does."""
        ...

    def size(self, digest: str) -> int | None: ...

    def listed(self) -> Iterator[Lying]: ...

    def remove(self, digest: str) -> None:
        """What is gone already is no failure."""
        ...


def check_digest(digest: str) -> None:
    """Raises `InvalidInput` for what is no digest, so that no path or key can be smuggled in."""
    if not DIGEST.fullmatch(digest):
        raise InvalidInput("A digest is 64 lower-case hexadecimal digits.", field="sha256")


def missing(digest: str, why: str = "") -> Broken:
    told = f"The content {digest} cannot be read ({why})." if why else f"The content {digest} is missing."
    return Broken(told, code="content_missing")


def altered(digest: str) -> Broken:
    return Broken(f"The content {digest} was altered where it lies.", code="content_altered")
