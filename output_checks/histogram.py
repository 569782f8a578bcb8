"""Histograms whose bars stand for enough people.

Decides bins, counts and what is drawn. Only safe bars are drawn and only they are in the file; the picture is
a bitmap without metadata. Leaves judging counts to `check`.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from output_checks.appetites import Profile
from output_checks.engine import check
from output_checks.errors import BadInput, Unsafe
from output_checks.report import Report
from output_checks.spec import TableSpec


@dataclass(frozen=True)
class Histogram:
    """Edges (n + 1) and the report on the n bars; `figure()` draws the safe bars, `png()` gives their bytes."""

    column: str
    edges: tuple[float, ...]
    report: Report

    @property
    def status(self) -> str:
        return self.report.status

    @property
    def counts(self) -> list[int]:
        """Records per bar, unprotected."""
        found = {cell.row["bin"]: int(cell.value) for cell in self.report.cells}
        return [found.get(i, 0) for i in range(len(self.edges) - 1)]

    @property
    def safe_counts(self) -> list[int | None]:
        """Records per bar; None where the bar may not be drawn."""
        found = {cell.row["bin"]: cell for cell in self.report.cells}
        return [
            None if i not in found or found[i].status == "fail" else int(found[i].value)
            for i in range(len(self.edges) - 1)
        ]

    def figure(self) -> Any:
        """A matplotlib figure of the safe bars; its axis spans all bins, so that the range says nothing of
        extremes left out.
        """
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.subplots()
        for left, right, count in zip(self.edges, self.edges[1:], self.safe_counts, strict=False):
            if count is not None:
                axes.bar((left + right) / 2, count, width=right - left, edgecolor="white", color="#1d70b8")
        shown = [i for i, count in enumerate(self.safe_counts) if count is not None]
        if shown:
            axes.set_xlim(self.edges[shown[0]], self.edges[shown[-1] + 1])
        axes.set_xlabel(self.column)
        axes.set_ylabel("records")
        return figure

    def png(self) -> bytes:
        """The picture without metadata. Raises Unsafe if its data do not pass."""
        from output_checks.figures import check_figure

        figure = self.figure()
        verdict = check_figure(figure, profile=self.report.profile)
        if verdict.status == "fail":
            raise Unsafe("The figure holds unsafe bars.", findings=verdict.findings, remedy="Use wider bins.")
        out = io.BytesIO()
        figure.savefig(out, format="png", metadata={"Software": None})
        return out.getvalue()


def hist(
    data: Any, column: str, bins: int | list[float] = 10, *, profile: str | Profile = "sacro", unit: str | None = None
) -> Histogram:
    """Counts of a numeric column of a pandas frame in equal bins, or between given edges."""
    import numpy as np
    import pandas as pd

    if column not in data:
        raise BadInput(f"the data has no column {column!r}.", field="column", remedy="Name a numeric column.")
    values = pd.to_numeric(data[column], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    good = np.isfinite(values)
    if not good.any():
        raise BadInput("holds no numbers.", field="column", remedy="Name a numeric column.")
    edges = np.histogram_bin_edges(values[good], bins=bins)
    inside = good & (values >= edges[0]) & (values <= edges[-1])
    number = np.clip(np.searchsorted(edges, values[inside], side="right") - 1, 0, len(edges) - 2)
    frame = {"bin": number}
    if unit is not None:
        frame["unit"] = data[unit].to_numpy()[inside]
    spec = TableSpec(rows=("bin",), categories={"bin": tuple(range(len(edges) - 1))}, unit="unit" if unit else None)
    return Histogram(column, tuple(edges.tolist()), check(spec, pd.DataFrame(frame), profile))
