"""The files of a submission: what they are, and reading them once, as regular files.

Decides kind by ending where none is given. Leaves to the platform what the bytes really are.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from release.errors import ReleaseError

KINDS = ("table", "figure", "model", "text")
_BY_ENDING = {
    "table": (".csv", ".tsv", ".parquet", ".xlsx"),
    "figure": (".png", ".jpg", ".jpeg", ".svg", ".pdf"),
    "model": (".pkl", ".pickle", ".joblib", ".onnx", ".safetensors"),
    "text": (".txt", ".md", ".json", ".log", ".tex"),
}


@dataclass(frozen=True)
class Table:
    """Which table a file holds: the dataset it was made from, its specification, and, to check it here, the data.

    With dataset and specification the platform makes the table again from the project's extract, and the checkers see
    it as verified.
    """

    dataset: str
    spec: Any
    data: Any = field(default=None, repr=False)


@dataclass(frozen=True)
class File:
    """One output: where it lies, its title and context for the checkers, and its kind."""

    path: str | Path
    title: str = ""
    context: str = ""
    kind: str = ""

    @property
    def name(self) -> str:
        return Path(self.path).name

    def entry(self, table: Table | None) -> dict[str, Any]:
        """This file in the manifest."""
        said = {"name": self.name, "title": self.title, "context": self.context, "kind": self.kind}
        return {**said, "dataset": table.dataset if table else None, "spec": table.spec if table else None}


def collect(files: Any, *, title: str, context: str, tables: Mapping[str, Table]) -> list[File]:
    """The files as given (paths, dicts or `File`) with every gap filled; raises ReleaseError naming the field."""
    if isinstance(files, (str, Path, File, Mapping)):
        files = [files]
    if not isinstance(files, Sequence) or not files:
        raise ReleaseError("there is nothing to submit", field="files", hint='Give a list, e.g. ["counts.csv"].')
    found = [_filled(_as_file(item), title=title, context=context) for item in files]
    names = [file.name for file in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ReleaseError(f"{twice[0]} is given twice", field="files", hint="Give each file a name of its own.")
    if unknown := sorted(set(tables) - set(names)):
        raise ReleaseError(f"there is no file {unknown[0]}", field="tables", hint=f"Files: {', '.join(names)}.")
    return found


def _as_file(item: Any) -> File:
    if isinstance(item, File):
        return item
    if isinstance(item, (str, Path)):
        return File(item)
    if isinstance(item, Mapping) and "path" in item:
        try:
            return File(**item)
        except TypeError:
            raise ReleaseError(f"{sorted(item)} has unknown keys", field="files", hint="Use File(...).") from None
    raise ReleaseError(f"{item!r} is not a file", field="files", hint="Give a path, or release.File(path, title=...).")


def _filled(file: File, *, title: str, context: str) -> File:
    kind = file.kind or _kind(file)
    if kind not in KINDS:
        raise ReleaseError(
            f"{kind!r} is not a kind", field=f"files.{file.name}.kind", hint=f"One of {', '.join(KINDS)}."
        )
    return replace(file, kind=kind, title=file.title or f"{title}: {file.name}", context=file.context or context)


def _kind(file: File) -> str:
    ending = Path(file.path).suffix.lower()
    for kind, endings in _BY_ENDING.items():
        if ending in endings:
            return kind
    hint = f"Pass release.File({str(file.path)!r}, kind=...) with one of {', '.join(KINDS)}."
    raise ReleaseError(f"cannot tell what {file.name} is", field=f"files.{file.name}.kind", hint=hint)


def read(file: File, largest: int) -> bytes:
    """The bytes of a regular file; a FIFO, device, socket or symlink is refused without waiting for it."""
    where = f"files.{file.name}"
    try:
        descriptor = os.open(file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise ReleaseError(f"{file.path} does not exist", field=where, hint=f"You are in {os.getcwd()}.") from None
    except OSError as error:
        hint = "Submit the file itself, not a link to it."
        raise ReleaseError(f"{file.path} cannot be read: {error.strerror}", field=where, hint=hint) from None
    held = os.fstat(descriptor)
    if not stat.S_ISREG(held.st_mode):
        os.close(descriptor)
        raise ReleaseError(f"{file.path} is not a regular file", field=where, hint="Write the output to a file.")
    with os.fdopen(descriptor, "rb") as stream:
        if held.st_size > largest:
            hint = "Aggregate further; outputs are summaries, not data."
            raise ReleaseError(f"{file.path} has {held.st_size} bytes, {largest} fit", field=where, hint=hint)
        data = stream.read(largest + 1)
    if not data:
        raise ReleaseError(f"{file.path} is empty", field=where, hint="Write the output, then submit.")
    return data
