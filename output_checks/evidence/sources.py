"""Where the records come from: one face for pandas, polars, Arrow, Parquet, CSV and DuckDB relations.

Decides how named columns reach DuckDB (under names of our own, so that no column name is ever part of a
query's grammar) and what their types are. Leaves what is asked of them to `evidence`, tables in memory to `frames`.
Nothing of the data's own is trusted as SQL; DuckDB loads no extensions.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from output_checks.errors import BadInput, Unreadable
from output_checks.evidence.frames import frame_of, present
from output_checks.evidence.unreadable import WHOLE, is_encoding, not_utf8, unreadable
from output_checks.evidence.where import Expression, to_sql

MISSING_WORDS = ["", "NA", "N/A", "NaN", "nan", "NULL", "null", "None"]
SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
NUMERIC = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT",
           "UHUGEINT", "FLOAT", "DOUBLE", "DECIMAL")  # fmt: skip
FLOATS = ("FLOAT", "DOUBLE")


@dataclass(frozen=True)
class Column:
    """A column under our own name; `kind` is text, enum, int, float, bool, date, time; `labels` those of an enum in its
    own order.
    """

    alias: str
    kind: str
    sql_type: str
    labels: tuple[str, ...] = ()


class Source:
    """Records ready for queries on the view `records`. `run(sql)` returns columns by name as masked numpy arrays."""

    def __init__(self, query: Callable[[str], Any], columns: dict[str, Column]) -> None:
        self._query = query
        self.columns = columns

    def run(self, sql: str) -> dict[str, Any]:
        try:
            return dict(self._query(sql).fetchnumpy())
        except Exception as problem:
            raise self._blocked(problem) from None

    def one(self, sql: str) -> Any:
        """The first value of the first row."""
        try:
            return self._query(sql).fetchall()[0][0]
        except Exception as problem:
            raise self._blocked(problem) from None

    def _blocked(self, problem: Exception) -> Unreadable:
        """The refusal; of bytes that are no text it names the column."""
        if not is_encoding(problem):
            return unreadable(problem, WHOLE)
        texts = {name: column.alias for name, column in self.columns.items() if column.kind in ("text", "enum")}
        bad = [name for name, alias in texts.items() if not self._is_text(alias)]
        return not_utf8(bad[0]) if bad else unreadable(problem, WHOLE)

    def _is_text(self, alias: str) -> bool:
        try:
            self._query(f"SELECT count(decode(encode({alias}::VARCHAR))) FROM records").fetchall()  # noqa: S608
        except Exception:
            return False
        return True

    def filter_sql(self, where: Expression | None) -> str:
        """The SQL condition of a filter on this source; TRUE without one."""
        return "TRUE" if where is None else to_sql(where, self._column_sql)

    def _column_sql(self, name: str, value: Any) -> tuple[str, Callable[[Any], str]]:
        column = self.columns[name]
        text = f"CAST({column.alias} AS VARCHAR)" if column.kind == "enum" else column.alias
        if column.kind == "float":
            text = no_nan(text)

        def literal(constant: Any) -> str:
            return _literal(constant, column, name)

        return text, literal


def attach(data: Any, names: tuple[str, ...], *, text_dimensions: tuple[str, ...] = ()) -> Source:
    """The named columns of `data`. Raises BadInput for a column that is not there, Unreadable for what cannot
    be read.

    CSV has no types: `text_dimensions` are read as text from it, so that the code `007` stays what it is.
    """
    import duckdb

    wanted = tuple(dict.fromkeys(names))
    aliases = {name: f"c{i}" for i, name in enumerate(wanted)}
    try:
        query = _query(duckdb, data, aliases, text_dimensions)
        described = query("DESCRIBE SELECT * FROM records").fetchall()
    except (BadInput, Unreadable):
        raise
    except Exception as problem:
        raise unreadable(problem, "Give a readable frame or file.") from None
    types = {row[0]: str(row[1]) for row in described}
    return Source(query, {name: _column(name, alias, types[alias]) for name, alias in aliases.items()})


def _column(name: str, alias: str, sql_type: str) -> Column:
    kind = kind_of(sql_type, name)
    labels = re.findall(r"'((?:[^']|'')*)'", sql_type) if kind == "enum" else []
    return Column(alias, kind, sql_type, tuple(text.replace("''", "'") for text in labels))


@cache
def _database() -> Any:
    """One in-memory database per process; every source works on a cursor of its own, which sees only its own
    views.
    """
    import duckdb

    return duckdb.connect(config=SETTINGS)


def warm() -> None:
    """Opens the database and runs a first query, so that nobody waits for it later."""
    _database().execute("SELECT a, sum(b), max(b, 2) FROM (VALUES (1, 2.0)) t(a, b) GROUP BY a").fetchnumpy()


def _query(duckdb: Any, data: Any, aliases: dict[str, str], text: tuple[str, ...]) -> Callable[[str], Any]:
    if isinstance(data, duckdb.DuckDBPyRelation):
        present(tuple(aliases), tuple(data.columns))
        view = data.project(_picks(aliases))
        return lambda sql: view.query("records", sql)
    cursor = _database().cursor()
    if isinstance(data, str | Path):
        relation = _file(cursor, Path(data), text)
        present(tuple(aliases), tuple(relation.columns))
        relation.project(_picks(aliases)).create_view("records")
    else:
        cursor.register("records", frame_of(data, aliases))
    return lambda sql: cursor.execute(sql)


def _picks(aliases: dict[str, str]) -> str:
    return ", ".join(f"{quote(name)} AS {alias}" for name, alias in aliases.items())


def read_file(path: Path) -> Any:
    """A Parquet or CSV file, or a folder of Parquet files, as a DuckDB relation. Raises Unreadable if it is none."""
    try:
        return _file(_database().cursor(), path, ())
    except Unreadable:
        raise
    except Exception as problem:
        raise unreadable(problem, WHOLE) from None


def _file(connection: Any, path: Path, text: tuple[str, ...]) -> Any:
    if path.is_dir():
        if not any(path.glob("*.parquet")):
            raise Unreadable("the folder holds no Parquet files.", field="data", remedy="Give Parquet or CSV.")
        return connection.read_parquet(str(path / "*.parquet"))
    if not path.is_file():
        raise Unreadable(f"there is no file {path.name!r}.", field="data", remedy="Check the path.")
    kind = path.name.lower().removesuffix(".gz").rsplit(".", 1)[-1]
    if kind in ("parquet", "pq"):
        return connection.read_parquet(str(path))
    if kind in ("csv", "tsv", "txt"):
        plain: dict[str, Any] = {"header": True, "skiprows": 0, "null_padding": False}
        head = connection.read_csv(str(path), all_varchar=True, **plain).columns
        types = {name: "VARCHAR" for name in text if name in head}
        return connection.read_csv(str(path), dtype=types, na_values=MISSING_WORDS, sample_size=-1, **plain)
    raise Unreadable(f"{path.suffix or 'no ending'} is not read.", field="data", remedy="Give .parquet or .csv.")


def kind_of(sql_type: str, name: str) -> str:
    """The kind of a column. Raises BadInput for nested, binary and other types that make no dimension or value."""
    kind = sql_type.upper()
    if kind.startswith("ENUM"):
        return "enum"
    if kind.startswith(NUMERIC):
        return "float" if kind in FLOATS or kind.startswith("DECIMAL") else "int"
    if kind in ("VARCHAR", "UUID", "TIME"):
        return "text"
    if kind == "BOOLEAN":
        return "bool"
    if kind == "DATE":
        return "date"
    if kind.startswith("TIMESTAMP"):
        return "time"
    if kind in ('"NULL"', "NULL"):
        return "text"
    raise BadInput(f"{name!r} has the type {sql_type}.", field="data", remedy="Use text, numbers, booleans or dates.")


def quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def no_nan(sql: str) -> str:
    """A floating-point expression with NaN as NULL: both are missing."""
    return f"CASE WHEN isnan({sql}) THEN NULL ELSE {sql} END"


def string(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _literal(value: Any, column: Column, name: str) -> str:
    """A constant as SQL, refused where comparing it with the column makes no sense."""
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    if column.kind in ("int", "float") and numeric:
        return repr(value) if isinstance(value, int) else f"CAST('{value!r}' AS DOUBLE)"
    if column.kind == "bool" and isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if column.kind in ("text", "enum") and isinstance(value, str):
        return string(value)
    if column.kind in ("date", "time"):
        try:
            moment = value if isinstance(value, dt.date) else dt.datetime.fromisoformat(value)
        except (TypeError, ValueError):
            moment = None
        if moment is not None:
            return f"CAST({string(moment.isoformat())} AS TIMESTAMP)"
    raise BadInput(
        f"{value!r} cannot be compared with the {column.kind} column {name!r}.",
        field="where",
        remedy="Give a constant of the column's own kind; dates as text like 2024-01-31.",
    )
