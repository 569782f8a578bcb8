"""Where a dataset lies before anybody may use it: Parquet files that a custodian placed, or a table of the data server.

Decides which files and names are acceptable: nothing that a custodian names or places can make the platform read
anything else (names are plain, links and special files are refused, DuckDB is given the open file itself). A table is
copied to one Parquet file first, by one statement and so at one moment. Leaves which columns and rows to the callers.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tre.data import table
from tre.data.engine import kind_of, locked
from tre.data.model import SourceKind
from tre.errors import Conflict, InvalidInput, NotFound
from tre.settings import Settings
from tre.store.canonical import digest_of

COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,100}\.parquet")
FOLDER = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
MOST_FILES = 1000
MOST_COLUMNS = 2000
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True)
class Places:
    """Where sources and extracts lie: `incoming` has one folder per organisation; `database` gives the administrator's
    libpq connection string to a database of the data server.
    """

    incoming: Path
    extracts: Path
    database: Callable[[str], str]

    @classmethod
    def from_settings(cls, settings: Settings) -> Places:
        return cls(settings.state / "incoming", settings.extracts, partial(settings.data_conninfo, "tre_admin"))


@dataclass(frozen=True)
class Opened:
    """A source, open: `files` are paths that stay the same files, `columns` maps a name to its kind. Its content is
    hashed while it is read.
    """

    files: tuple[str, ...]
    columns: dict[str, str]
    hashing: Future[str]

    @property
    def digest(self) -> str:
        """Which content it was; waits for it."""
        return self.hashing.result()

    @property
    def relation(self) -> str:
        """SQL that reads all records; the files are bound as `$files`."""
        return "read_parquet($files, hive_partitioning = false, union_by_name = false)"


@contextmanager
def opened(
    places: Places, organisation: str, kind: SourceKind, source: dict[str, str], work: Path, only: Sequence[str] = ()
) -> Iterator[Opened]:
    """The source of a dataset, with `only` these columns where copying costs (all by default).

    Raises `NotFound`, `InvalidInput` (a name, a link, a type), `Conflict` when a file changed meanwhile.
    """
    with ExitStack() as stack:
        if kind is SourceKind.parquet:
            yield stack.enter_context(_parquet(places.incoming, organisation, source["folder"], work))
        else:
            path = work / "table.parquet"
            stack.callback(path.unlink, missing_ok=True)
            table.copy_to_parquet(
                places.database("datasets"), table.schema_of(organisation), source["table"], only, path
            )
            descriptor = os.open(path, _READ)
            stack.callback(os.close, descriptor)
            thread = stack.enter_context(ThreadPoolExecutor(1))
            yield Opened((str(path),), _columns((str(path),), work), thread.submit(_sha256, descriptor))


def check_source(kind: SourceKind, source: dict[str, str]) -> dict[str, str]:
    """{"folder"} below the organisation's incoming folder, or {"table"} in its schema. Raises `InvalidInput`."""
    key, pattern = ("folder", FOLDER) if kind is SourceKind.parquet else ("table", table.NAME)
    if set(source) != {key}:
        raise InvalidInput(f"A source of kind {kind} names its {key}.", field="source")
    if not pattern.fullmatch(source[key]):
        raise InvalidInput("Use lower-case letters, digits and underscores.", field=f"source.{key}")
    return dict(source)


@contextmanager
def _parquet(incoming: Path, organisation: str, folder: str, work: Path) -> Iterator[Opened]:
    with ExitStack() as stack:
        held = [
            (name, stack.enter_context(_descriptor(name, directory)))
            for directory in [stack.enter_context(_folder(incoming, organisation, folder))]
            for name in _names(directory)
        ]
        before = [_state(descriptor) for _, descriptor in held]
        files = tuple(f"/proc/self/fd/{descriptor}" for _, descriptor in held)
        with ThreadPoolExecutor(1) as thread:  # ends when all is hashed
            yield Opened(files, _columns(files, work), thread.submit(_digest, held))
        if [_state(descriptor) for _, descriptor in held] != before:
            raise Conflict(
                "The dataset's files changed while they were read.", hint="Place new files under a new name."
            )


@contextmanager
def _folder(incoming: Path, organisation: str, folder: str) -> Iterator[int]:
    """A descriptor of incoming/organisation/folder, no step of it a link."""
    with ExitStack() as stack:
        descriptor = os.open(incoming, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, descriptor)
        for part in (organisation, folder):
            try:
                descriptor = os.open(part, _READ | os.O_DIRECTORY, dir_fd=descriptor)
            except OSError:
                raise NotFound(
                    f"There is no folder {organisation}/{folder} in the platform's incoming folder.",
                    field="source.folder",
                    hint="Place the files in a plain folder there; links are not followed.",
                ) from None
            stack.callback(os.close, descriptor)
        yield descriptor


def _names(directory: int) -> list[str]:
    names = sorted(os.listdir(directory))
    for name in names:
        if not FILE.fullmatch(name):
            raise InvalidInput(
                f"{name[:100]!r} is not an acceptable file name.",
                field="source.folder",
                hint="The folder holds nothing but files named like part-1.parquet.",
            )
    if not 0 < len(names) <= MOST_FILES:
        raise InvalidInput(f"The folder holds 1 to {MOST_FILES} Parquet files.", field="source.folder")
    return names


@contextmanager
def _descriptor(name: str, directory: int) -> Iterator[int]:
    try:
        descriptor = os.open(name, _READ, dir_fd=directory)
    except OSError:
        raise InvalidInput(f"{name} cannot be opened; links are not followed.", field="source.folder") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            raise InvalidInput(f"{name} is not a plain file with one name.", field="source.folder")
        yield descriptor
    finally:
        os.close(descriptor)


def _state(descriptor: int) -> tuple[int, int, int]:
    found = os.fstat(descriptor)
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _digest(held: list[tuple[str, int]]) -> str:
    return digest_of([{"name": name, "sha256": _sha256(descriptor)} for name, descriptor in held])


def _sha256(descriptor: int) -> str:
    with open(f"/proc/self/fd/{descriptor}", "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _columns(files: tuple[str, ...], work: Path) -> dict[str, str]:
    """Names and kinds. Raises `InvalidInput` for a name that would need quoting somewhere, or an unsupported type."""
    with locked(files, work) as connection:
        bound = {"files": list(files)}
        rows = connection.execute("DESCRIBE SELECT * FROM read_parquet($files)", bound).fetchall()
        leaves = "SELECT file_name, name FROM parquet_schema($files) WHERE num_children IS NULL"
        written = connection.execute(leaves, bound).fetchall()
    columns = {}
    for name, sql_type, *_ in rows:
        kind = kind_of(sql_type)
        if not COLUMN.fullmatch(name):
            raise InvalidInput(
                f"{name[:100]!r} is not an acceptable column name.",
                field="source",
                hint="Letters, digits and underscores, beginning with a letter, at most 63.",
            )
        if kind is None:
            raise InvalidInput(
                f"Column {name} has the type {sql_type}, which is not supported.",
                field="source",
                hint="Use text, numbers, true/false, days or moments; leave the column out or convert it.",
            )
        columns[name] = kind
    _check_names(columns, files, written)
    return columns


def _check_names(columns: dict[str, str], files: tuple[str, ...], written: list[tuple[str, str]]) -> None:
    """DuckDB gives empty and doubled names new ones: what is written must be what is read, in every file."""
    for file in files:
        if [name for source, name in written if source == file] != list(columns):
            raise InvalidInput(
                "The files do not have the same columns, or one has a name twice or none.",
                field="source",
                hint="Names that differ in upper and lower case only count as the same.",
            )
    if len(columns) > MOST_COLUMNS:
        raise InvalidInput(f"A dataset has at most {MOST_COLUMNS} columns.", field="source")
