"""What a carrier's pod runs: `python -I carrier_program JSON`, with nothing of ours beside it.

Decides that an extract is in the volume as a whole or not at all: files are written beside, compared with the digests
that it was given, and get their name together. Done twice is done once.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

PIECE = "SELECT bytes FROM carried.piece WHERE extract = %s AND file = %s AND number = %s"


def carry(top: Path, given: dict[str, Any], connect: Any) -> str:
    final, half = top / given["name"], top / f".{given['name']}"
    if given["away"]:
        for folder in (final, half):
            remove(folder)
        os.sync()
        return "gone"
    if same(final, given["files"]):
        return "placed before"
    remove(final)
    remove(half)
    half.mkdir()
    with connect() as connection:
        for name, (digest, size) in given["files"].items():
            fetch(connection, given["name"], half / name, digest, size)
    os.sync()
    half.rename(final)
    os.sync()
    return "placed"


def fetch(connection: Any, extract: str, path: Path, digest: str, size: int) -> None:
    seen, length, number = hashlib.sha256(), 0, 0
    with path.open("xb") as out:
        while row := connection.execute(PIECE, [extract, path.name, number]).fetchone():
            out.write(row[0])
            seen.update(row[0])
            length, number = length + len(row[0]), number + 1
    if (seen.hexdigest(), length) != (digest, size):
        sys.exit(f"{path.name} is not what was offered: {length} bytes, SHA-256 {seen.hexdigest()}")
    path.chmod(0o444)


def same(folder: Path, files: dict[str, Any]) -> bool:
    if not folder.is_dir() or sorted(os.listdir(folder)) != sorted(files):
        return False
    for name, (digest, _) in files.items():
        with (folder / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                return False
    return True


def remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def main() -> None:
    def connect() -> Any:
        import psycopg

        return psycopg.connect("service=project")

    print(carry(Path("/data"), json.loads(sys.argv[1]), connect))


if __name__ == "__main__":
    main()
