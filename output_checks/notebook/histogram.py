"""Histograms whose bars stand for enough people.

Decides bins and counts. Edges that are made here are round numbers, because the least and greatest value of the
data would be those of single people. Leaves judging counts to `check`, drawing and proof to `bars`.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from output_checks.appetites import Profile
from output_checks.errors import BadInput
from output_checks.evidence.spec import TableSpec
from output_checks.mitigation.report import Report, check
from output_checks.rules.findings import Finding
from output_checks.rules.tables import below_limit

if TYPE_CHECKING:
    import numpy as np

    from output_checks.mitigation.bars import Bars

STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Histogram:
    """Edges (n + 1) and the report on the n bars. `suppress()`, `round(base)` and `midpoint(base)` give the figure
    that may leave.
    """

    column: str
    edges: tuple[float, ...]
    report: Report

    @property
    def status(self) -> str:
        return self.report.status

    @property
    def counts(self) -> list[int]:
        """Records per bar, unprotected."""
        return [int(cell.value) for cell in self.report.cells]

    def suppress(self) -> Bars:
        """Only bars that stand for enough people."""
        return self._bars(self.report.suppress())

    def round(self, base: int | None = None) -> Bars:
        """The same with counts rounded to a multiple of `base`."""
        return self._bars(self.report.round(base))

    def midpoint(self, base: int | None = None) -> Bars:
        """Counts as midpoints of bands of `base`."""
        return self._bars(self.report.midpoint(base))

    def _bars(self, table: Any) -> Bars:
        from output_checks.mitigation.bars import Bars

        return Bars(table, self.column, self.edges)


def hist(
    data: Any, column: str, bins: int | list[float] = 10, *, profile: str | Profile = "sacro", unit: str | None = None
) -> Histogram:
    """Counts of a numeric column in about so many equal bins between round numbers, or between given edges.

    `data` is whatever `check` takes. Edges that are themselves the least or greatest value are for review.
    Raises BadInput for a column that is not there or holds no numbers, and for edges that do not grow.
    """
    import numpy as np
    import pandas as pd

    from output_checks.notebook.frames import pandas_frame

    data = pandas_frame(data)
    if column not in data:
        raise BadInput(f"the data has no column {column!r}.", field="column", remedy="Name a numeric column.")
    values = pd.to_numeric(data[column], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    good = np.isfinite(values)
    if not good.any():
        raise BadInput("holds no numbers.", field="column", remedy="Name a numeric column.")
    edges = np.array(_edges(float(values[good].min()), float(values[good].max()), bins))
    inside = good & (values >= edges[0]) & (values <= edges[-1])
    number = np.clip(np.searchsorted(edges, values[inside], side="right") - 1, 0, len(edges) - 2)
    frame = {"bin": number}
    if unit is not None:
        frame["unit"] = data[unit].to_numpy()[inside]
    spec = TableSpec(rows=("bin",), categories={"bin": tuple(range(len(edges) - 1))}, unit="unit" if unit else None)
    report = check(spec, pd.DataFrame(frame), profile)
    return Histogram(column, tuple(edges.tolist()), replace(report, extra=tuple(_ends(values[good], edges, report))))


def _edges(least: float, most: float, bins: int | list[float]) -> list[float]:
    if not isinstance(bins, int):
        edges = [float(edge) for edge in bins]
        if len(edges) < 2 or not all(a < b for a, b in itertools.pairwise(edges)):
            raise BadInput("are no growing edges.", field="bins", remedy="Give [0, 20, 40] or a number of bins.")
        return edges
    if isinstance(bins, bool) or not 1 <= bins <= 1000:
        raise BadInput(f"{bins!r} is no number of bins.", field="bins", remedy="Give 10, or growing edges.")
    width = (most - least) / bins or max(abs(most), 1.0)
    power = 10.0 ** math.floor(math.log10(width))
    step = power * next(s for s in STEPS if s * power >= width * (1 - 1e-12))
    first, last = math.floor(least / step), math.ceil(most / step)
    return [float(f"{k * step:.12g}") for k in range(first, max(last, first + 1) + 1)]


def _ends(values: np.ndarray, edges: np.ndarray, report: Report) -> list[Finding]:
    """An edge that is the least or greatest value says that value of somebody."""
    found = []
    for edge, extreme in ((edges[0], values.min()), (edges[-1], values.max())):
        ties = int((values == extreme).sum())
        if edge == extreme and below_limit(ties, report.profile.threshold):
            why = f"The outermost edge {edge:g} is a value that only {ties} records have."
            found.append(Finding("extreme", "review", why, "Use round numbers as edges.", evidence={"ties": ties}))
    return found
