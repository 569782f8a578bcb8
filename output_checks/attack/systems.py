"""Published tables as one system of linear equations, linked by the cells that they share.

Decides which cells of several tables are the same cell and which quotients hold. Leaves what one table says by itself
to `longtable` and what follows from all of them to `attacker` and `intervals`.

A cell is named by its non-total labels, so that `region = north` of a table region × sex and of a table region
× age is one unknown. Totals that a table does not show are added as unknowns: another table may show them. A mean
ties the sum of its cell to the count, a percentage the count of its cell to that of its base.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from output_checks.attack.bands import COUNT, RELATIVE, Measure, band, half_unit
from output_checks.attack.longtable import Labels, LongTable, Name, all_labels, said, sums
from output_checks.errors import BadInput

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class System:
    """Equations `matrix @ x = 0` and quotients `ratios @ x ≥ 0` over all cells, each within its bounds.

    names, measures   the cell's non-total labels and what it holds
    least, most       what published values say of the cell itself
    shown             whether some table shows the cell (suppressed or not)   whole   whether it is a whole number
    matrix, ratios    scipy CSR; a sum has +1 for parts, -1 for the total
    half              half a unit of the last decimal where cells are shown with fractions
    """

    names: tuple[Name, ...]
    measures: tuple[str, ...]
    least: np.ndarray
    most: np.ndarray
    shown: np.ndarray
    whole: np.ndarray
    matrix: Any
    ratios: Any
    conflicts: tuple[Name, ...] = ()
    half: float = 0.0

    @property
    def unknown(self) -> np.ndarray:
        """Mask of cells whose value is not published exactly."""
        import numpy as np

        return np.asarray(self.least != self.most)

    @property
    def values(self) -> np.ndarray:
        """Published values; NaN where unknown."""
        import numpy as np

        return np.where(self.unknown, np.nan, self.least)

    @property
    def slack(self) -> np.ndarray:
        """How far each sum may be off because its cells are shown with few decimals."""
        import numpy as np

        return np.asarray(self.half * (abs(self.matrix) @ (~self.unknown).astype(float)))

    def contradicts_itself(self) -> bool:
        """Whether a sum of cells that are all published does not add up."""
        import numpy as np

        size = abs(self.matrix) @ np.abs(np.nan_to_num(self.values))
        complete = abs(self.matrix) @ self.unknown.astype(float) == 0
        off = np.abs(self.matrix @ np.nan_to_num(self.values)) > self.slack + RELATIVE * np.maximum(size, 1)
        return bool((complete & off).any())


@dataclass
class _Cells:
    """Cells as they are met, by measure and name."""

    number: dict[tuple[str, Name], int] = field(default_factory=dict)
    least: list[float] = field(default_factory=list)
    most: list[float] = field(default_factory=list)
    shown: list[bool] = field(default_factory=list)
    conflicts: list[Name] = field(default_factory=list)

    def at(self, measure: str, name: Name, floor: float) -> int:
        key = (measure, name)
        if key not in self.number:
            self.number[key] = len(self.least)
            self.least.append(floor)
            self.most.append(float("inf"))
            self.shown.append(False)
        return self.number[key]

    def narrow(self, i: int, name: Name, least: float, most: float) -> None:
        """What another table says of the same cell."""
        low, high = max(self.least[i], least), min(self.most[i], most)
        if low > high + RELATIVE * max(1.0, abs(low)):
            self.conflicts.append(name)
        else:
            self.least[i], self.most[i] = min(low, high), high


def link(tables: list[LongTable], *, negative: bool = False, whole: bool = True) -> System:
    """The system of all tables together. `whole` says whether plain values and counts are whole numbers; a single
    published fraction says that they are not.
    """
    import numpy as np
    from scipy.sparse import csr_matrix

    if not tables:
        raise BadInput("no table is given.", field="tables", remedy="Name at least one file.")
    negative = negative or any((table.values < 0).any() for table in tables)
    cells, floor = _Cells(), -np.inf if negative else 0.0
    measures = [Measure.parse(table.measure) for table in tables]
    whole = whole and not any(_fractions(t) for t, m in zip(tables, measures, strict=True) if not m.quotient)
    for table, measure in zip(tables, measures, strict=True):
        _enter(table, measure, cells, floor, whole)
    joined = len(tables) > 1 or any(measure.quotient for measure in measures)
    everything = all_labels(tables) if joined else {}
    equations: dict[tuple[int, tuple[int, ...]], None] = {}
    ratios: list[tuple[int, int, float, float]] = []
    for number, (table, measure) in enumerate(zip(tables, measures, strict=True)):
        kinds = dict.fromkeys([measure.top, COUNT] if measure.quotient else [measure.top])
        for parts, total in sums(table, everything):
            for kind in kinds:
                members = tuple(sorted(cells.at(kind, _name(table, labels), floor) for labels in parts))
                at = cells.at(kind, _name(table, total), floor)
                if members != (at,):
                    equations[(at, members)] = None
        if measure.quotient:
            ratios += _quotients(table, measure, cells, floor, number)
    n = len(cells.least)
    rows = [row for row, (_, members) in enumerate(equations) for _ in range(len(members) + 1)]
    columns = [i for at, members in equations for i in (*members, at)]
    signs = [sign for _, members in equations for sign in (*[1.0] * len(members), -1.0)]
    matrix = csr_matrix((signs, (rows, columns)), shape=(len(equations), n))
    sides = [k for k in range(len(ratios)) for _ in range(2)]
    places = [i for top, base, _, _ in ratios for i in (top, base)]
    weights = [w for _, _, of_top, of_base in ratios for w in (of_top, of_base)]
    quotients = csr_matrix((weights, (sides, places)), shape=(len(ratios), n))
    kinds_of = tuple(kind for kind, _ in cells.number)
    is_whole = np.array([whole and not kind.startswith("sum:") for kind in kinds_of], dtype=bool)
    return System(
        tuple(name for _, name in cells.number), kinds_of, np.array(cells.least), np.array(cells.most),
        np.array(cells.shown, dtype=bool), is_whole, matrix, quotients, tuple(cells.conflicts),
        _half(tables, measures),
    )  # fmt: skip


def _half(tables: list[LongTable], measures: list[Measure]) -> float:
    adding = [t for t, m in zip(tables, measures, strict=True) if not m.quotient and _fractions(t)]
    return max((t.half or 0.0 for t in adding), default=0.0)


def _fractions(table: LongTable) -> bool:
    known = table.values[table.values == table.values]
    return bool((known % 1 != 0).any())


def _enter(table: LongTable, measure: Measure, cells: _Cells, floor: float, whole: bool) -> None:
    """The table's own cells; of a quotient only its gaps, as gaps of what is divided."""
    import numpy as np

    if measure.quotient:
        for labels, value in said(table):
            if value != value:
                cells.shown[cells.at(measure.top, _name(table, labels), floor)] = True
        return
    whole = whole and measure.statistic != "sum"
    shown = list(said(table))
    least, most = band(np.array([value for _, value in shown]), table.rounding, whole=whole, negative=floor < 0)
    for (labels, _), low, high in zip(shown, least.tolist(), most.tolist(), strict=True):
        name = _name(table, labels)
        i = cells.at(measure.top, name, floor)
        cells.shown[i] = True
        cells.narrow(i, name, low, high)


def _quotients(
    table: LongTable, measure: Measure, cells: _Cells, floor: float, number: int
) -> Iterator[tuple[int, int, float, float]]:
    """Two inequalities per published quotient q ± s: (q - s) base ≤ top ≤ (q + s) base.

    Percentages of what is shown, in a table with gaps, are of a base of their own.
    """
    d, gaps = len(table.dimensions), bool((table.values != table.values).any())
    own = measure.statistic != "mean" and table.totals == "shown" and gaps
    of = f"{COUNT} shown in table {number}" if own else COUNT
    over = {"percent": range(d), "row_percent": range(table.rows, d), "column_percent": range(table.rows)}
    half = half_unit(table.values) if table.half is None else table.half
    for labels, value in said(table):
        base = tuple(table.total if j in over.get(measure.statistic, ()) else t for j, t in enumerate(labels))
        i = cells.at(measure.top, _name(table, labels), floor)
        k = cells.at(of, _name(table, base), floor)
        if value != value or i == k:
            continue
        unit = 1.0 if measure.statistic == "mean" else 0.01
        loose = max(half, RELATIVE * abs(value))
        yield i, k, 1.0, -unit * (value - loose)
        yield i, k, -1.0, unit * (value + loose)


def _name(table: LongTable, labels: Labels) -> Name:
    pairs = ((d, text) for d, text in zip(table.dimensions, labels, strict=True) if text != table.total)
    return tuple(sorted(pairs))
