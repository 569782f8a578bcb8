"""How audited bytes reach their file: beside the target first, then over it.

Decides that a reader never meets half a file, nor one that was not audited.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def deliver(path: Path, raw: bytes) -> Path:
    """Writes beside the target and moves over it."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as draft:
        draft.write(raw)
    os.replace(draft.name, path)
    path.chmod(0o644)
    return path
