"""Pseudonyms: 128 bits of HMAC-SHA-256 (RFC 2104) under a key that one project has and nobody else.

Decides how an identifier is spelled before it is hashed (`CANONICAL`), which identifiers of a project share pseudonyms
(those of one scheme), and that the key stays in this process's memory: it never reaches DuckDB (whose profile shows
even bound parameters), a file, a log or a command line. The scheme's version is pinned in every manifest, as is an id
of the key that tells nothing about it.
Leaves where the key comes from to `tre.credentials`.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = "tre-pseudonym/1"
KEY_BYTES = 32
PSEUDONYM_BYTES = 16
_BLOCK = 64
#: Version 1's spelling of an identifier, as DuckDB makes it from a column: decimal digits for whole numbers; text in
#: Unicode's composed form without white space at either end. Empty text counts as missing.
CANONICAL = "nullif(trim(nfc_normalize(CAST({column} AS VARCHAR)), ' ' || chr(9) || chr(10) || chr(13)), '')"


@dataclass(frozen=True)
class PseudonymKey:
    """A project's key. `repr` shows its id only."""

    secret: bytes

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES:
            raise ValueError(f"a pseudonym key has {KEY_BYTES} bytes")

    @property
    def id(self) -> str:
        """Names the key without telling it: two extracts with the same id have comparable pseudonyms."""
        return hmac.digest(self.secret, f"{VERSION}\x1fkey-id".encode(), "sha256")[:8].hex()

    def __repr__(self) -> str:
        return f"PseudonymKey(id={self.id!r})"


def scheme_of(dataset: str, column: str, scheme: str) -> str:
    """What keeps pseudonyms of different things apart: the custodian's scheme, else the column itself."""
    return f"scheme\x1f{scheme}" if scheme else f"column\x1f{dataset}\x1f{column}"


def pseudonym(key: PseudonymKey, scheme: str, canonical: str) -> str:
    """One pseudonym, 32 hexadecimal digits: the definition that `pseudonyms` computes for many."""
    message = f"{VERSION}\x1f{scheme}\x1f{canonical}".encode()
    return hmac.digest(key.secret, message, "sha256")[:PSEUDONYM_BYTES].hex()


def pseudonyms(key: PseudonymKey, scheme: str, canonical: Iterable[bytes]) -> bytes:
    """The same for many identifiers (UTF-8), end to end, `PSEUDONYM_BYTES` each. The padded key is hashed once."""
    padded = key.secret.ljust(_BLOCK, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded) + f"{VERSION}\x1f{scheme}\x1f".encode()).copy
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded)).copy
    found = bytearray()
    for identifier in canonical:
        first, second = inner(), outer()
        first.update(identifier)
        second.update(first.digest())
        found += second.digest()[:PSEUDONYM_BYTES]
    return bytes(found)


def translation(key: PseudonymKey, scheme: str, identifiers: pa.Table) -> pa.Table:
    """`identifiers` (one row per distinct value, `canonical` as bytes) with `pseudonym` (text) in place of `canonical`.

    They come in the order of the pseudonyms: that order depends on the key alone, so that the order of rows made from
    it tells nothing about the source's.
    """
    import numpy as np
    import pyarrow as pa

    canonical = identifiers["canonical"]
    made = pseudonyms(key, scheme, (item for chunk in canonical.chunks for item in chunk.to_pylist()))
    halves = np.frombuffer(made, dtype=">u8").reshape(-1, 2)
    order = np.argsort(halves[:, 0], kind="stable")
    text = np.frombuffer(made, dtype=f"V{PSEUDONYM_BYTES}")[order].tobytes().hex().encode("ascii")
    ends = pa.array(np.arange(len(order) + 1, dtype=np.int64) * (2 * PSEUDONYM_BYTES))
    names = pa.LargeStringArray.from_buffers(len(order), ends.buffers()[1], pa.py_buffer(text))
    return identifiers.drop_columns("canonical").take(pa.array(order)).append_column("pseudonym", names)
