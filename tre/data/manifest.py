"""What an extract is: its manifest, and whether the files on disk are still what it says.

Decides what is pinned (each file by SHA-256, the grant, the source's digest, the pseudonym scheme and key id) and that
a snapshot that does not match is `Broken`, never used. Holds no secret and no row of data; lies beside the files and
in the state database.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tre.errors import Broken
from tre.store.canonical import canonical_json, digest_of

FORMAT = "tre-extract/1"
#: Parquet readers pass over names that begin so: a folder is read as a whole.
NAME = "_manifest.json"


@dataclass(frozen=True)
class File:
    name: str
    sha256: str
    size: int
    rows: int


@dataclass(frozen=True)
class Manifest:
    """`columns` maps a name to its kind; `pseudonyms` maps a column to the scheme it was made in."""

    grant: int
    dataset: str
    columns: dict[str, str]
    rows: int
    files: tuple[File, ...]
    source: str
    row_filter: str
    pseudonyms: dict[str, str]
    pseudonym_version: str
    key_id: str
    made_at: str
    format: str = field(default=FORMAT)

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "files": [asdict(file) for file in self.files]}

    @property
    def digest(self) -> str:
        return digest_of(self.as_dict())


def from_dict(values: dict[str, Any]) -> Manifest:
    """Raises `Broken` for what was not written by `as_dict`."""
    try:
        made = Manifest(**{**values, "files": tuple(File(**file) for file in values["files"])})
    except (KeyError, TypeError) as error:
        raise Broken("An extract's manifest cannot be read.") from error
    if made.format != FORMAT:
        raise Broken("An extract's manifest has an unknown format.")
    return made


def text(manifest: Manifest) -> bytes:
    """As it is written."""
    return canonical_json(manifest.as_dict())


def write(folder: Path, manifest: Manifest) -> None:
    path = folder / NAME
    path.write_bytes(text(manifest))


def read(folder: Path) -> Manifest:
    """Raises `Broken`."""
    try:
        values = json.loads((folder / NAME).read_bytes())
    except (OSError, ValueError) as error:
        raise Broken("An extract's manifest is missing or cannot be read.") from error
    if not isinstance(values, dict):
        raise Broken("An extract's manifest cannot be read.")
    return from_dict(values)


def describe(path: Path, rows: int) -> File:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return File(path.name, digest, os.fstat(file.fileno()).st_size, rows)


def problems(folder: Path, manifest: Manifest) -> list[str]:
    """What is not as the manifest says: a changed, missing or additional file. Empty when all holds."""
    try:
        present = set(os.listdir(folder))
    except OSError:
        return ["the folder is missing"]
    wanted = {file.name for file in manifest.files} | {NAME}
    found = [f"{name} is additional" for name in sorted(present - wanted)]
    found += [f"{name} is missing" for name in sorted(wanted - present)]
    for file in manifest.files:
        if file.name in present and not _same(folder / file.name, file):
            found.append(f"{file.name} was changed")
    if NAME in present and _written(folder) != manifest.digest:
        found.append(f"{NAME} was changed")
    return found


def _written(folder: Path) -> str:
    try:
        return read(folder).digest
    except Broken:
        return ""


def check(folder: Path, manifest: Manifest) -> None:
    """Raises `Broken` naming what was altered."""
    if found := problems(folder, manifest):
        raise Broken(f"The extract of {manifest.dataset} was altered: {', '.join(found)}.")


def _same(path: Path, file: File) -> bool:
    return not path.is_symlink() and path.is_file() and describe(path, file.rows) == file


def paths(folder: Path, manifest: Manifest) -> list[Path]:
    return [folder / file.name for file in manifest.files]
