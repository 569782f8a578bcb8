"""What an image is made from, as one hash: an image whose sources are the same is not built again.

Decides what counts: the base, the Containerfile, and every file that it copies out of the checkout.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

#: Made by running, and never in an image.
PASSING = {"__pycache__"}


def key(context: Path, file: Path, base: str) -> str:
    """`base` is the identity of the image that it begins with."""
    found = hashlib.sha256(f"{base}\0".encode())
    for path in (file, *files(context, copied(file.read_text()))):
        found.update(f"{path.relative_to(context)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:16]


def copied(text: str) -> list[str]:
    """What a Containerfile's COPY lines take out of the checkout."""
    lines = (line.split()[1:] for line in text.splitlines() if line.startswith("COPY "))
    return [source for words in lines if not words[0].startswith("--from=") for source in words[:-1]]


def files(context: Path, names: list[str]) -> Iterator[Path]:
    for name in names:
        top = context / name
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file() and not PASSING & set(path.parts):
                yield path


def unchanged(report: Path, archive: Path, name: str, sources: str) -> bool:
    """Was it built from just this, and is it there?"""
    if not (report.exists() and archive.exists()):
        return False
    return bool(json.loads(report.read_text()).get(name, {}).get("sources") == sources)
