"""Cells and their evidence as arrays.

Decides the shape in which evidence is handed to rules. Leaves gathering it to `evidence` and judging to `rules`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from output_checks.evidence.layout import Axis
from output_checks.evidence.spec import TableSpec

if TYPE_CHECKING:
    import numpy as np


class Keyed:
    """What has one integer per cell (`layout.cell_keys`) and finds cells by it."""

    keys: np.ndarray

    @cached_property
    def _order(self) -> np.ndarray:
        import numpy as np

        return np.argsort(self.keys, kind="stable")

    def at(self, wanted: np.ndarray) -> np.ndarray:
        """Position of the cell with each key; -1 where there is none."""
        import numpy as np

        if not len(self.keys):
            return np.full(len(wanted), -1, dtype=np.int64)
        place = np.searchsorted(self.keys, wanted, sorter=self._order)
        found = self._order[place.clip(max=len(self.keys) - 1)]
        return np.where(self.keys[found] == wanted, found, -1)


@dataclass(frozen=True)
class Evidence(Keyed):
    """Arrays with one entry per cell (m of them), published cells first.

    codes (m × d)  label of each dimension, -1 for a total     published  whether the table shows the cell
    value          the statistic as it would be published      records    records of the cell, missing values included
    n              records with a value                        units      protected units among them (records
                   without a unit)
    missing        records whose value is missing              parts      contributors after holdings were summed
    total, total_abs, top (m × N)   sum of contributions, of their sizes, and the N largest sizes
    negatives, low, high            negative contributions, least and greatest value
    below, ties, above              records below, at and above a position, an extreme or outside the mode
    row_share, column_share …       see `shares`: count as a share of the total over each dimension (m × d)
    denominator    units behind a percentage's denominator
    """

    spec: TableSpec
    axes: tuple[Axis, ...]
    codes: np.ndarray
    published: np.ndarray
    value: np.ndarray
    records: np.ndarray
    n: np.ndarray
    units: np.ndarray
    parts: np.ndarray
    total: np.ndarray
    total_abs: np.ndarray
    top: np.ndarray
    negatives: np.ndarray
    low: np.ndarray
    high: np.ndarray
    weight: np.ndarray
    below: np.ndarray
    ties: np.ndarray
    above: np.ndarray
    shares: np.ndarray
    denominator: np.ndarray
    mode: np.ndarray | None
    keys: np.ndarray

    def __len__(self) -> int:
        return len(self.codes)

    @cached_property
    def base(self) -> np.ndarray:
        """Mask of the published cells that are no total of others."""
        import numpy as np

        from output_checks.evidence.equations import parent_codes

        leaf = self.published.copy()
        for j in range(len(self.axes)):
            up = parent_codes(self, j)
            parents = np.zeros(len(up), dtype=bool)
            parents[[p for p in up[:-1].tolist() if p >= 0]] = True
            leaf &= (self.codes[:, j] >= 0) & ~parents[self.codes[:, j]]
        return leaf

    @property
    def missing(self) -> np.ndarray:
        import numpy as np

        return np.asarray(self.records - self.n)

    @property
    def magnitude(self) -> bool:
        """Whether contributions have sizes (sums and what is made of them), so that dominance means something."""
        return self.spec.statistic in ("sum", "mean")


@dataclass(frozen=True)
class Cells(Keyed):
    """The cells of a table before evidence: codes, keys and which of them are shown."""

    codes: np.ndarray
    keys: np.ndarray
    published: np.ndarray
