"""DuckDB locked down: what the platform reads and writes with it, and nothing else on the machine.

Decides the settings of every connection: only the named files can be opened, no extension is loaded or fetched, names
of Python variables are no tables, and the settings cannot be changed afterwards, so that neither a file's content nor
a mistake in a query reaches further. Leaves the queries to others; column names come from `quote`, values are bound.

DuckDB and Arrow are imported where they are used: most processes that know the data room never touch data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tre.errors import InvalidInput, TreError, Unavailable

if TYPE_CHECKING:
    import duckdb

#: Arrow tables and Python come on top of it: an extract stays below 2 GB.
MEMORY = "1300MB"
#: Kinds of variables by DuckDB's type; what is not here is not registered.
KINDS = {
    "VARCHAR": "text",
    "UUID": "text",
    "BOOLEAN": "bool",
    "DATE": "date",
    "FLOAT": "float",
    "DOUBLE": "float",
    **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"), "int"),
    **dict.fromkeys(("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"), "time"),
}


@contextmanager
def locked(
    files: Sequence[str], work: Path, *, memory: str = "", joins_as_written: bool = False
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that may open `files` and, when its memory is full, write temporary files below `work`.

    `joins_as_written` keeps the order and the sides of joins: rows then come in the order of the left side.
    Translates DuckDB's errors: out of memory or disk is `Unavailable`, all others are `InvalidInput` about the data.
    """
    import duckdb

    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
        "allow_persistent_secrets": False,
        "python_enable_replacements": False,
        "preserve_insertion_order": False,
        "memory_limit": memory or MEMORY,
        "temp_directory": str(work / "spill"),
    }
    connection = duckdb.connect(config=config)
    try:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_progress_bar = false")
        if joins_as_written:
            connection.execute("SET disabled_optimizers = 'join_order,build_side_probe_side'")
        connection.execute("SET allowed_paths = ?", [list(files)])
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield connection
    except duckdb.Error as error:
        raise translated(error) from None
    finally:
        connection.close()


def translated(error: duckdb.Error) -> TreError:
    """Only the class of the error is told: its text may quote a value of the data."""
    import duckdb

    if isinstance(error, duckdb.OutOfMemoryException | duckdb.IOException):
        return Unavailable("The extract engine ran out of memory or disk.", hint="Make room, then build it again.")
    kind = type(error).__name__.removesuffix("Exception")
    return InvalidInput(
        f"The data could not be read ({kind}).", field="source", hint="Check that the files are whole and of one shape."
    )


def quote(name: str) -> str:
    """A name as SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def kind_of(sql_type: str) -> str | None:
    """The kind of a column, None where it is not supported (nested, binary, time of day)."""
    return "float" if sql_type.startswith("DECIMAL") else KINDS.get(sql_type)
