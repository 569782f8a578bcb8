"""Measuring a dataset with DuckDB: what `catalogue` decides upon.

One pass groups all records by protected unit and takes every variable's smallest and largest values of distinct units;
text and true/false columns with few values take a second, for the units behind each. The exact measures stay inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tre.data.catalogue import MOST_CATEGORIES, SMALLEST, Measured
from tre.data.engine import locked, quote
from tre.data.sources import Opened

if TYPE_CHECKING:
    import duckdb

LONGEST_CATEGORY = 60
_RANGED = ("int", "float", "date", "time")


@dataclass(frozen=True)
class Profile:
    records: int
    units: int
    variables: dict[str, Measured]


def measure(source: Opened, units: Sequence[str], hidden: Sequence[str], work: Path) -> Profile:
    """`units` together name the protected unit (none: each record is one); of `hidden` only missing values count."""
    with locked(source.files, work) as connection:
        row = _first_pass(connection, source, units, hidden)
        categories = _second_pass(connection, source, units, hidden)
    variables = {}
    for number, name in enumerate(source.columns):
        variables[name] = Measured(
            records=row["records"],
            units=row["units"],
            records_missing=row[f"missing_{number}"],
            units_missing=row[f"units_missing_{number}"],
            units_present=row[f"units_present_{number}"],
            low=tuple(row.get(f"low_{number}") or ()),
            high=tuple(row.get(f"high_{number}") or ()),
            categories=categories.get(name),
        )
    return Profile(row["records"], row["units"], variables)


def _first_pass(
    connection: duckdb.DuckDBPyConnection, source: Opened, units: Sequence[str], hidden: Sequence[str]
) -> dict[str, Any]:
    inner, outer = ["count(*) AS n"], ["coalesce(sum(n), 0)::BIGINT AS records", "count(*) AS units"]
    for number, (name, kind) in enumerate(source.columns.items()):
        value = _value(name, kind)
        inner.append(f"count({value}) AS present_{number}")
        outer += [
            f"coalesce(sum(n - present_{number}), 0)::BIGINT AS missing_{number}",
            f"coalesce(count_if(present_{number} < n), 0) AS units_missing_{number}",
            f"coalesce(count_if(present_{number} > 0), 0) AS units_present_{number}",
        ]
        if kind in _RANGED and name not in hidden:
            inner += [f"min({value}) AS low_{number}", f"max({value}) AS high_{number}"]
            outer += [
                f"min(low_{number}, {SMALLEST}) AS low_{number}",
                f"max(high_{number}, {SMALLEST}) AS high_{number}",
            ]
    query = (
        f"WITH per_unit AS (SELECT {', '.join(inner)} FROM {_records(source)} GROUP BY {_unit(units)}) "  # noqa: S608
        f"SELECT {', '.join(outer)} FROM per_unit"
    )
    found = connection.execute(query, {"files": list(source.files)})
    names = [column[0] for column in found.description or ()]
    return dict(zip(names, found.fetchone() or (), strict=True))


def _second_pass(
    connection: duckdb.DuckDBPyConnection, source: Opened, units: Sequence[str], hidden: Sequence[str]
) -> dict[str, dict[str, int]]:
    """Units by value, for the columns that have few short values."""
    candidates = [n for n, kind in source.columns.items() if kind in ("text", "bool") and n not in hidden]
    if not candidates:
        return {}
    files = {"files": list(source.files)}
    looks = ", ".join(f"approx_count_distinct({quote(n)}), max(length({quote(n)}::VARCHAR))" for n in candidates)
    row = connection.execute(f"SELECT {looks} FROM {_records(source)}", files).fetchone() or ()  # noqa: S608
    found = {}
    for name, distinct, longest in zip(candidates, row[::2], row[1::2], strict=True):
        if distinct > 2 * MOST_CATEGORIES or (longest or 0) > LONGEST_CATEGORY:
            continue
        pairs = connection.execute(
            f"SELECT {quote(name)}::VARCHAR, count(DISTINCT {_unit(units)}) FROM {_records(source)} "  # noqa: S608
            f"WHERE {quote(name)} IS NOT NULL GROUP BY 1 LIMIT {MOST_CATEGORIES + 1}",
            files,
        ).fetchall()
        if len(pairs) <= MOST_CATEGORIES:
            found[name] = dict(pairs)
    return found


def _records(source: Opened) -> str:
    """The records with a number each, for datasets whose records are the units."""
    return f'(SELECT *, row_number() OVER () AS "record number" FROM {source.relation})'  # noqa: S608


def _unit(units: Sequence[str]) -> str:
    """Records without a unit's number count as one unit together: more would be assumed otherwise."""
    return f"({', '.join(map(quote, units))})" if units else '"record number"'


def _value(name: str, kind: str) -> str:
    """Infinite and not-a-number count as missing."""
    return f"CASE WHEN isfinite({quote(name)}) THEN {quote(name)} END" if kind == "float" else quote(name)
