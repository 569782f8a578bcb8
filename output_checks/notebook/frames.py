"""Any data as a pandas frame, for what only pandas can do: formulas of models, bins of histograms.

Decides how polars, Arrow, Parquet, CSV and DuckDB relations become one. Leaves tables to `evidence`, which copies
nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pandas as pd

from output_checks.errors import Unreadable


def pandas_frame(data: Any) -> pd.DataFrame:
    """The data as a pandas frame; a pandas frame itself as it is. Raises Unreadable for anything that is no table."""
    if isinstance(data, pd.DataFrame):
        return data
    polars, duckdb = sys.modules.get("polars"), sys.modules.get("duckdb")
    if polars is not None and isinstance(data, polars.LazyFrame):
        data = data.collect()
    if duckdb is not None and isinstance(data, duckdb.DuckDBPyRelation):
        return pd.DataFrame(data.df())
    if isinstance(data, str | Path):
        from output_checks.evidence.sources import read_file

        return pd.DataFrame(read_file(Path(data)).df())
    if isinstance(data, dict):
        return pd.DataFrame(data)
    if hasattr(data, "to_pandas"):
        return pd.DataFrame(data.to_pandas())
    raise Unreadable(
        f"{type(data).__name__} is not read.",
        field="data",
        remedy="Give a pandas, polars or Arrow table, a DuckDB relation, or the path of Parquet or CSV.",
    )
