"""One spelling for every JSON value that is hashed, signed or compared.

Sorted keys, no spaces, UTF-8, no NaN: the subset of RFC 8785 that our values (strings, integers, booleans, null,
lists, objects; times as ISO 8601 text) need.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical_json(value: Any) -> bytes:
    """Raises ValueError on NaN or infinity, TypeError on anything that JSON does not know."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest_of(value: Any) -> str:
    """SHA-256 of the canonical spelling, lower-case hexadecimal."""
    return hashlib.sha256(canonical_json(value)).hexdigest()
