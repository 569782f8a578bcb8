"""Reads a header line and the files behind it from standard input, writes what it found as JSON.

In: `{"max_rows": n, "files": [{"name", "kind", "size", "record"}]}` and a newline, then the bytes of the files one
after the other. Out: `{"files": [{"media_type", "grid", "text", "preview", "record", "findings"}]}`, previews base64.
"""

from __future__ import annotations

import base64
import json
import sys
from typing import Any, BinaryIO

from . import tables, texts
from .kinds import detect, finding


def inspect(name: str, kind: str, content: bytes, *, max_rows: int, record: str = "") -> dict[str, Any]:
    """Everything about one file. What cannot be read blocks it, whatever the reason."""
    out: dict[str, Any] = {"media_type": "", "grid": None, "text": None, "preview": None, "record": None}
    out["findings"] = []
    try:
        out["media_type"], found = detect(name, kind, content)
        out["findings"] = [*found, *_look_inside(out, content, max_rows)]
    except (ValueError, RecursionError, MemoryError) as error:
        message = f"The file cannot be read ({type(error).__name__})."
        out["findings"].append(finding("unreadable", message, "Write it again, smaller and plainer."))
    if record:
        from . import records  # output_checks is loaded for records only

        out["record"] = records.read_record(record, out["grid"])
    return out


def _look_inside(out: dict[str, Any], content: bytes, max_rows: int) -> list[dict[str, Any]]:
    media = out["media_type"]
    if media == "image/png":
        from . import images  # Pillow is loaded for images only

        preview, found = images.inspect_png(content)
        out["preview"] = None if preview is None else base64.b64encode(preview).decode()
    elif media == "text/csv":
        out["grid"], found = tables.read_grid(content, max_rows=max_rows)
    elif media:
        out["text"], found = texts.read_text(content, media)
    else:
        found = []
    return found


def answer(source: BinaryIO) -> dict[str, Any]:
    header = json.loads(source.readline())
    files = [(file, source.read(file["size"])) for file in header["files"]]
    most = header["max_rows"]
    return {
        "files": [
            inspect(file["name"], file["kind"], content, max_rows=most, record=file["record"])
            for file, content in files
        ]
    }


if __name__ == "__main__":
    json.dump(answer(sys.stdin.buffer), sys.stdout)
