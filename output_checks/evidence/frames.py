"""Tables that lie in memory, as one that the database takes: pandas, polars, Arrow, or a dictionary of columns.

Decides that nothing but the wanted columns is looked at, and that each is what its type says: the database takes what
it is given. Nothing is copied where the library allows. Leaves files, relations and types to `sources`.
"""

from __future__ import annotations

import sys
from typing import Any

from output_checks.errors import BadInput, Unreadable
from output_checks.evidence.unreadable import WHOLE, is_encoding, not_utf8, unreadable


class NoColumn(BadInput):
    """The data lack the column `name`, or have two of it; whoever knows what it is for names that field."""

    def __init__(self, name: str, message: str, remedy: str) -> None:
        self.name = name
        super().__init__(message, field="data", remedy=remedy)


def frame_of(data: Any, aliases: dict[str, str]) -> Any:
    """A frame with only the columns that are needed, so that a strange other column does no harm."""
    pandas, polars = sys.modules.get("pandas"), sys.modules.get("polars")
    names, new = tuple(aliases), list(aliases.values())
    if pandas is not None and isinstance(data, pandas.DataFrame):
        return _pandas(pandas, data, aliases)
    if polars is not None and isinstance(data, polars.LazyFrame):
        data = data.select(present(names, tuple(data.collect_schema().names()))).collect()
    if polars is not None and isinstance(data, polars.DataFrame):
        return data.select(present(names, tuple(data.columns))).to_arrow().rename_columns(new)
    if hasattr(data, "to_batches") and hasattr(data, "rename_columns"):
        table = data.select(present(names, tuple(data.schema.names)))
        for name in names:
            _whole(table[name], name)
        return table.rename_columns(new)
    if isinstance(data, dict):
        import pyarrow as pa

        return pa.table({aliases[name]: data[name] for name in present(names, tuple(data))})
    raise Unreadable(
        f"{type(data).__name__} is not read.",
        field="data",
        remedy="Give a pandas, polars or Arrow table, a DuckDB relation, or the path of Parquet or CSV.",
    )


def present(names: tuple[str, ...], have: tuple[str, ...]) -> list[str]:
    for name in names:
        if name not in have:
            shown = ", ".join(map(str, have[:12]))
            raise NoColumn(name, f"the data has no column {name!r}.", f"It has: {shown}.")
        if list(have).count(name) > 1:
            raise NoColumn(name, f"the data has two columns {name!r}.", "Rename one of them.")
    return list(names)


def _pandas(pandas: Any, frame: Any, aliases: dict[str, str]) -> Any:
    """The wanted columns side by side without copying; types that DuckDB does not know become plain ones."""
    lost = [name for name in aliases if name not in frame.columns]
    if lost and set(lost) <= {name for name in frame.index.names if name is not None}:
        frame = frame.reset_index(level=lost)
    columns = {}
    for name in present(tuple(aliases), tuple(frame.columns)):
        series = frame[name]
        if isinstance(series.dtype, pandas.CategoricalDtype):
            series = _categorical(series)
        elif isinstance(series.dtype, pandas.PeriodDtype | pandas.IntervalDtype):
            series = series.astype("string").where(series.notna())
        elif getattr(series.dtype, "storage", "") == "pyarrow" or isinstance(series.dtype, pandas.ArrowDtype):
            _whole(series.array.__arrow_array__(), name)
        columns[aliases[name]] = series
    return pandas.DataFrame(columns, index=frame.index, copy=False)


def _whole(column: Any, name: str) -> None:
    """Raises Unreadable for an Arrow column that is not what its type says: the database takes what it is given."""
    import pyarrow as pa

    try:
        column.validate(full=True)
    except pa.ArrowInvalid as problem:
        raise not_utf8(name) if is_encoding(problem) else unreadable(problem, WHOLE) from None


def _categorical(series: Any) -> Any:
    """Categories of text stay categories; of numbers and dates become plain columns; of anything else, text."""
    categories = series.cat.categories
    if categories.inferred_type in ("string", "empty"):
        return series
    if categories.inferred_type == "integer":
        return series.astype("Int64")
    if categories.inferred_type in ("floating", "datetime64", "boolean"):
        return series.astype(object if categories.inferred_type == "boolean" else categories.dtype)
    return series.cat.rename_categories([str(label) for label in categories])
