"""A table of the data server's shared database, copied to one Parquet file.

Decides how PostgreSQL's types become ours and that a table is read by one statement (one moment of it) in batches, so
that memory does not grow with the table. Names are checked and quoted, never pasted as they come.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import psycopg

from tre.data.engine import quote
from tre.errors import InvalidInput, NotFound, Unavailable

NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
#: What a column is cast to, by its PostgreSQL type; others are not supported.
CASTS = {
    **dict.fromkeys(("smallint", "integer", "bigint"), "bigint"),
    **dict.fromkeys(("real", "double precision", "numeric"), "double precision"),
    **dict.fromkeys(("text", "character varying", "character", "uuid"), "text"),
    **dict.fromkeys(("timestamp without time zone", "timestamp with time zone"), "timestamp"),
    "boolean": "boolean",
    "date": "date",
}


def schema_of(organisation: str) -> str:
    """Each organisation's tables lie in a schema of its own: a custodian registers nobody else's, nor the server's.

    Raises `InvalidInput`.
    """
    schema = organisation.replace("-", "_")
    if schema.startswith("pg_") or schema == "information_schema":
        raise InvalidInput("This organisation's name belongs to the database server itself.", field="organisation")
    return schema


def copy_to_parquet(conninfo: str, schema: str, name: str, only: Sequence[str], path: Path) -> None:
    """Writes the table (or `only` these columns) as it was at one moment.

    Raises `NotFound`, `InvalidInput` for a type, `Unavailable` when the server does not answer.
    """
    import pyarrow.parquet as parquet
    from adbc_driver_manager import Error as AdbcError
    from adbc_driver_postgresql import dbapi

    try:
        columns = _look(conninfo, schema, name)
        picked = [column for column in columns if not only or column in only]
        query = f"SELECT {', '.join(_cast(c, columns[c]) for c in picked)} FROM {quote(schema)}.{quote(name)}"  # noqa: S608
        with dbapi.connect(conninfo) as connection, connection.cursor() as cursor:
            cursor.execute(query)
            with cursor.fetch_record_batch() as batches, parquet.ParquetWriter(path, batches.schema) as writer:
                for batch in batches:
                    writer.write_batch(batch)
    except (psycopg.OperationalError, AdbcError, OSError):
        # Their words may quote the connection or a value.
        raise Unavailable("The server with the shared tables does not answer.") from None


def _look(conninfo: str, schema: str, name: str) -> dict[str, str]:
    with psycopg.connect(conninfo) as connection:
        rows = connection.execute(
            "SELECT column_name, data_type FROM information_schema.columns"
            " WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
            (schema, name),
        ).fetchall()
    if not rows:
        raise NotFound(f"There is no table {schema}.{name} that the platform may read.", field="source.table")
    return dict(rows)


def _cast(column: str, data_type: str) -> str:
    target = CASTS.get(data_type)
    if target is None:
        raise InvalidInput(
            f"Column {column[:100]!r} has the type {data_type}, which is not supported.",
            field="source",
            hint="Use text, numbers, true/false, days or moments, or leave it out in a view.",
        )
    name = quote(column)
    at_utc = " AT TIME ZONE 'UTC'" if data_type == "timestamp with time zone" else ""
    return f"CAST({name}{at_utc} AS {target}) AS {name}"
