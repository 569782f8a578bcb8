"""What output_checks wrote about a file: taken along where `Session.write` left it, in `outputs.json` beside the file.

Decides which part of it is about the file, and that it goes along with the very bytes that it is about only. Leaves to
the platform what it is worth: nobody has signed it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from release.files import File

BESIDE = "outputs.json"
LARGEST = 8 << 20
LARGEST_RECORD = 60 << 10


def record(file: File, body: bytes) -> str:
    """The record of these bytes as JSON text; empty where there is none. Says so where it is about other bytes."""
    session = _session(Path(file.path).with_name(BESIDE))
    items = [item for item in session.get("items", ()) if file.name in item.get("files", {})]
    if not items:
        return ""
    if items[-1]["files"][file.name] != hashlib.sha256(body).hexdigest():
        print(f"note: {file.name} was changed after output_checks wrote it; it goes without its record.")
        return ""
    text = json.dumps({"profile": session.get("profile"), "item": items[-1]})
    if len(text) > LARGEST_RECORD:
        print(f"note: the record of {file.name} is too long; it goes without.")
        return ""
    return text


def _session(path: Path) -> dict[str, Any]:
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST:
            return {}
        body = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    items = body.get("items") if isinstance(body, dict) else None
    return body if isinstance(items, list) and all(isinstance(item, dict) for item in items) else {}
