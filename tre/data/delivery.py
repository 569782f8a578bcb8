"""An extract as a table in the project's own database.

Decides that the table comes from the extract's files (so that both hold the same rows), appears whole or not at all, is
named after the dataset alone, and may be read by the project's group and changed by nobody. Leaves databases, groups
and logins to `tre.credentials`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from tre.data.engine import quote
from tre.errors import Unavailable

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 50_000


def table_of(dataset: str) -> str:
    return dataset.replace("-", "_")


def deliver(conninfo: str, dataset: str, group: str, files: Sequence[Path]) -> int:
    """Replaces the dataset's table by the files' rows in one transaction; returns how many.

    Raises `Unavailable` when the server does not answer or its disk is full.
    """
    import pyarrow as pa
    import pyarrow.parquet as parquet
    from adbc_driver_manager import Error as AdbcError
    from adbc_driver_postgresql import dbapi

    name = table_of(dataset)
    try:
        with dbapi.connect(conninfo) as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE IF EXISTS {quote(name)}")
            schema = parquet.read_schema(files[0]).remove_metadata()
            reader = pa.RecordBatchReader.from_batches(schema, _batches(files, schema))
            rows = int(cursor.adbc_ingest(name, reader, mode="create"))
            cursor.execute(f"GRANT SELECT ON {quote(name)} TO {quote(group)}")
            connection.commit()
            return rows
    except AdbcError:
        raise Unavailable("The data server does not take the extract's table.") from None


def withdraw(conninfo: str, dataset: str) -> None:
    """Drops the dataset's table; none is no error."""
    try:
        with psycopg.connect(conninfo) as connection:
            connection.execute(f"DROP TABLE IF EXISTS {quote(table_of(dataset))}".encode())
    except psycopg.OperationalError:
        raise Unavailable("The data server does not answer.") from None


def _batches(files: Sequence[Path], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    import pyarrow.parquet as parquet

    for path in files:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=BATCH_ROWS):
                yield batch.cast(schema)
