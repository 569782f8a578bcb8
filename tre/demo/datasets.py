"""The demonstration's data: two real, public datasets as two controllers would bring them.

RAND Health Insurance Experiment (public domain, shipped with statsmodels): 20,190 rows, here with a record number as
protected unit, into the shared PostgreSQL. Rossi recidivism data (shipped with lifelines): 432 rows as a Parquet file
into the incoming folder. Decides nothing else; registering is done as custodians do it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as parquet

from tre.data.engine import quote
from tre.data.table import schema_of

RAND_TABLE = "randhie"
ROSSI_FOLDER = "rossi"
_INTEGERS = ("record", "mdvis", "idp", "hlthg", "hlthf", "hlthp")


def load_rand(conninfo: str, organisation: str) -> int:
    """Makes the organisation's schema and the table anew in the shared database; returns the number of rows."""
    frame = _rand()
    return load_rows(conninfo, organisation, list(frame.columns), list(frame.itertuples(index=False)))


def rand_csv() -> str:
    """The same table, for a database that is reached from elsewhere."""
    return str(_rand().to_csv(index=False))


def load_rows(conninfo: str, organisation: str, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> int:
    schema = quote(schema_of(organisation))
    types = {name: "integer" if name in _INTEGERS else "double precision" for name in names}
    with psycopg.connect(conninfo) as connection:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        connection.execute(f"DROP TABLE IF EXISTS {schema}.{RAND_TABLE}")
        columns = ", ".join(f"{quote(name)} {kind}" for name, kind in types.items())
        connection.execute(f"CREATE TABLE {schema}.{RAND_TABLE} ({columns})")
        with connection.cursor().copy(f"COPY {schema}.{RAND_TABLE} FROM STDIN") as copy:
            for row in rows:
                copy.write_row([_plain(name, value) for name, value in zip(types, row, strict=True)])
    return len(rows)


def _rand() -> Any:
    from statsmodels.datasets import randhie

    frame = randhie.load_pandas().data
    frame.insert(0, "record", range(1, len(frame) + 1))
    return frame


def write_rossi(incoming: Path, organisation: str) -> Path:
    """Writes the file into the organisation's part of the incoming folder; returns the folder."""
    from lifelines.datasets import load_rossi

    frame = load_rossi()
    frame.insert(0, "participant", range(1, len(frame) + 1))
    folder = incoming / organisation / ROSSI_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.Table.from_pandas(frame, preserve_index=False), folder / "part-1.parquet")
    return folder


def _plain(name: str, value: float | str) -> int | float:
    return int(float(value)) if name in _INTEGERS else float(value)
