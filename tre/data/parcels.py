"""An extract's files in its project's own database: on the way to a volume that only a pod of the project may write.

Decides where they lie there, in pieces, and that whoever may read the project's tables may read them: they are the same
data. Files come and go as a whole, in one transaction. Leaves when to `carrying`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg

from tre.errors import Unavailable

PIECE = 4 << 20
#: In a schema of its own: no dataset's table is ever in its way.
_MAKE = (
    "CREATE SCHEMA IF NOT EXISTS carried",
    "CREATE TABLE IF NOT EXISTS carried.piece"
    " (extract text, file text, number integer, bytes bytea NOT NULL, PRIMARY KEY (extract, file, number))",
    "ALTER TABLE carried.piece ALTER COLUMN bytes SET STORAGE EXTERNAL",
)
_PUT = "INSERT INTO carried.piece VALUES (%s, %s, %s, %s)"
_CLEAR = "DELETE FROM carried.piece WHERE extract = %s"


def put(conninfo: str, group: str, extract: str, files: Sequence[Path]) -> None:
    """Raises `Unavailable` where the server does not answer or its disk is full, OSError where a file is not there."""
    try:
        with psycopg.connect(conninfo) as connection:
            for statement in (*_MAKE, *_grants(group)):
                connection.execute(statement.encode())
            connection.execute(_CLEAR, [extract])
            with connection.cursor() as cursor:
                for path in files:
                    for number, piece in enumerate(_pieces(path)):
                        cursor.execute(_PUT, [extract, path.name, number, piece])
    except psycopg.OperationalError:
        raise Unavailable("The data server does not take the extract's files.") from None


def clear(conninfo: str, extract: str) -> None:
    """None is no error, and neither is a database that never had any."""
    try:
        with psycopg.connect(conninfo) as connection:
            there = connection.execute("SELECT to_regclass('carried.piece')").fetchone()
            if there and there[0]:
                connection.execute(_CLEAR, [extract])
    except psycopg.OperationalError:
        raise Unavailable("The data server does not answer.") from None


def _grants(group: str) -> tuple[str, ...]:
    return f"GRANT USAGE ON SCHEMA carried TO {group}", f"GRANT SELECT ON carried.piece TO {group}"


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece
