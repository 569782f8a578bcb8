"""From gathered columns to finished evidence: the published value of each cell and its shares of totals.

Decides how a statistic follows from counts and sums. Leaves gathering to `evidence` and judging to `rules`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from output_checks.evidence.cells import Cells, Evidence
from output_checks.evidence.layout import Axis, cell_keys
from output_checks.evidence.spec import PERCENTS, TableSpec

if TYPE_CHECKING:
    import numpy as np


def finish(spec: TableSpec, axes: tuple[Axis, ...], cells: Cells, columns: dict[str, Any], top: int) -> Evidence:
    """Evidence from columns in the order of the cells."""
    import numpy as np

    m = len(cells.keys)
    zeros, no = np.zeros(m), np.zeros(m, dtype=np.int64)
    whole = {name: columns.get(name, no).astype(np.int64) for name in ("records", "n", "units", "parts", "neg")}
    places = {name: np.asarray(columns.get(name, no)).astype(np.int64) for name in ("below", "ties", "above")}
    tops = [columns.get(f"t{i}", zeros) for i in range(1, top + 1)]
    weight = np.nan_to_num(columns.get("ws", whole["n"]).astype(float))
    denominator, share = _denominators(spec, axes, cells, columns)
    numeric, mode = _values(spec, columns, weight, whole["n"], denominator["weight"])
    return Evidence(
        spec=spec, axes=axes, codes=cells.codes, published=cells.published, value=numeric, mode=mode, keys=cells.keys,
        records=whole["records"], n=whole["n"], units=whole["units"], parts=whole["parts"],
        total=columns.get("total", zeros), total_abs=columns.get("total_abs", zeros), top=np.stack(tops, axis=1),
        negatives=whole["neg"], low=columns.get("low", zeros), high=columns.get("high", zeros), weight=weight,
        below=places["below"], ties=places["ties"], above=places["above"], shares=share,
        denominator=denominator["units"],
    )  # fmt: skip


def _values(spec: TableSpec, columns: dict[str, Any], weight: Any, n: Any, base: Any) -> tuple[Any, Any]:
    """The statistic as published (NaN: nothing to show), and the mode where it may be text."""
    import numpy as np

    statistic = spec.statistic
    if statistic == "mode":
        return np.full(len(n), np.nan), columns["x"]
    if statistic == "count":
        return weight, None
    if statistic == "units":
        return columns["units"].astype(float), None
    with np.errstate(divide="ignore", invalid="ignore"):
        if statistic in PERCENTS:
            return np.where(base > 0, 100 * weight / base, np.nan), None
        if statistic == "sum":
            return np.where(n > 0, columns["total"], 0.0), None
        if statistic == "mean":
            return np.where(n > 0, columns["total"] / weight, np.nan), None
    return np.where(n > 0, columns["x"].astype(float), np.nan), None


def _denominators(
    spec: TableSpec, axes: tuple[Axis, ...], cells: Cells, columns: dict[str, Any]
) -> tuple[dict[str, Any], Any]:
    """What percentages are of, and each cell's count as a share of the total over each dimension (NaN: no such
    total).
    """
    import numpy as np

    units = columns["units"].astype(float)
    weight = np.nan_to_num(columns.get("ws", columns["n"]).astype(float))
    rows, d = len(spec.rows), len(axes)
    over = {"percent": range(d), "row_percent": range(rows, d), "column_percent": range(rows)}.get(spec.statistic, ())
    at = total_of(cells, axes, list(over))
    share = np.full((len(units), d), np.nan)
    for j, axis in enumerate(axes):
        if len(axis.labels) < 2:
            continue
        above = total_of(cells, axes, [j])
        inside = (cells.codes[:, j] >= 0) & (above >= 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            share[inside, j] = (units / units[above])[inside]
    return {"weight": np.where(at >= 0, weight[at], np.nan), "units": np.where(at >= 0, units[at], 0)}, share


def total_of(cells: Cells | Evidence, axes: tuple[Axis, ...], over: list[int]) -> np.ndarray:
    """Position of the total of each cell over some dimensions; -1 where there is none."""
    codes = cells.codes.copy()
    codes[:, over] = -1
    return cells.at(cell_keys(codes, axes))
