"""Published tables as one system of linear equations, linked by the cells that they share.

Decides which cells of several tables are the same cell and which sums hold. Leaves what follows to `attacker`
and `intervals`.

A cell is named by its non-total labels, so that `region = north` of a table region × sex and of a table region
× age is one unknown. Totals that a table does not show are added as unknowns: another table may show them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from output_checks.errors import BadInput, Unreadable
from output_checks.published import PublishedCell, cell, read
from output_checks.spec import TOTAL

if TYPE_CHECKING:
    import numpy as np

Name = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class LongTable:
    """A long table: dimensions, and for each cell its labels (total code for totals), value (NaN: suppressed)
    and slack.

    slack is half a unit of the last decimal shown, the reader's uncertainty. `parents` names per dimension
    label → parent.
    """

    dimensions: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    values: np.ndarray
    slack: np.ndarray
    measure: str = "value"
    total: str = TOTAL
    parents: dict[str, dict[str, str]] | None = None


@dataclass(frozen=True)
class System:
    """Equations `matrix @ x = 0` over all cells; x is known where `values` is no NaN (within ± slack).

    names      the cell's non-total labels           shown     whether some table shows the cell (suppressed or not)
    matrix     scipy CSR, one row per sum: +1 for parts, -1 for the total
    """

    names: tuple[Name, ...]
    values: np.ndarray
    slack: np.ndarray
    shown: np.ndarray
    matrix: Any
    conflicts: tuple[Name, ...] = ()

    @property
    def unknown(self) -> np.ndarray:
        """Mask of cells without a published value."""
        import numpy as np

        return np.asarray(np.isnan(self.values))


def read_long(
    path: str | Path | bytes, *, total: str = TOTAL, parents: dict[str, dict[str, str]] | None = None
) -> LongTable:
    """A long CSV: all columns but the last are dimensions, the last (or the one called `value`) holds values.

    Raises Unreadable for anything else.
    """
    import numpy as np

    grid = read(path).grid
    if not grid or len(grid[0]) < 2:
        raise Unreadable("is no long table.", field="table", remedy="Write a column per dimension and one for values.")
    header = list(grid[0])
    at = header.index("value") if "value" in header else len(header) - 1
    dimensions = tuple(name for i, name in enumerate(header) if i != at)
    if len(set(dimensions)) != len(dimensions):
        raise Unreadable("two dimensions have one name.", field="table", remedy="Name every column once.")
    cells, labels = [], []
    for number, row in enumerate(grid[1:], start=2):
        cells.append(cell({}, row[at], (number, at + 1)))
        labels.append(tuple(text for i, text in enumerate(row) if i != at))
    _readable(cells)
    if len(set(labels)) != len(labels):
        raise Unreadable("holds a cell twice.", field="table", remedy="Write every cell once.")
    values = np.array([np.nan if c.value is None else float(c.value) for c in cells])
    slack = np.array([_slack(c) for c in cells])
    return LongTable(dimensions, tuple(labels), values, slack, header[at], total, parents)


def _slack(c: PublishedCell) -> float:
    """Whole numbers and plain decimals are taken at their word."""
    return 0.0


def _readable(cells: list[PublishedCell]) -> None:
    for c in cells:
        if not c.readable:
            raise Unreadable(f"line {c.place[0]} holds {c.text!r}.", field="table", remedy="Write numbers, or nothing.")


def link(tables: list[LongTable]) -> System:
    """The system of all tables together."""
    import numpy as np
    from scipy.sparse import csr_matrix

    if not tables:
        raise BadInput("no table is given.", field="tables", remedy="Name at least one file.")
    index: dict[Any, int] = {}
    known: list[float] = []
    slack: list[float] = []
    shown: list[bool] = []
    conflicts: list[Name] = []
    equations: dict[tuple[Any, ...], None] = {}

    def number(name: Any) -> int:
        if name not in index:
            index[name] = len(known)
            known.append(np.nan)
            slack.append(0.0)
            shown.append(False)
        return index[name]

    everything = _all_labels(tables) if len(tables) > 1 else {}
    for table in tables:
        for labels, value, loose in zip(table.labels, table.values.tolist(), table.slack.tolist(), strict=True):
            i = number(_name(table, labels))
            shown[i] = True
            if value == value:
                if known[i] == known[i] and abs(known[i] - value) > 1e-9 + slack[i] + loose:
                    conflicts.append(_name(table, labels)[1])
                known[i], slack[i] = value, loose
    for table in tables:
        for parts, whole in _sums(table, everything):
            members = tuple(sorted(number(_name(table, labels)) for labels in parts))
            equations[(number(_name(table, whole)), members)] = None
    rows, columns, signs = [], [], []
    for row, (whole_at, members) in enumerate(equations):
        if members == (whole_at,):
            continue
        rows += [row] * (len(members) + 1)
        columns += [*members, whole_at]
        signs += [1.0] * len(members) + [-1.0]
    matrix = csr_matrix((signs, (rows, columns)), shape=(len(equations), len(known)))
    names = tuple(name for _, name in index)
    return System(names, np.array(known), np.array(slack), np.array(shown), matrix, tuple(conflicts))


def _name(table: LongTable, labels: tuple[str, ...]) -> tuple[str, Name]:
    pairs = ((d, text) for d, text in zip(table.dimensions, labels, strict=True) if text != table.total)
    return table.measure, tuple(sorted(pairs))


def _all_labels(tables: list[LongTable]) -> dict[str, set[str]]:
    """Every label that some table uses, per dimension."""
    out: dict[str, set[str]] = {}
    for table in tables:
        for name, labels in zip(table.dimensions, codes_of(table), strict=True):
            out.setdefault(name, set()).update(labels)
    return out


def _sums(table: LongTable, everything: dict[str, set[str]]) -> Any:
    """(parts, whole) for every sum: over one dimension at a time, level by level of its hierarchy.

    Alone, a table's own totals are all that a reader has. Linked, totals that the table does not show are
    added for other tables to meet, but only over all labels that any table uses: part of a table has no total.
    """
    cells = dict.fromkeys(table.labels)
    for j, name in enumerate(table.dimensions):
        parent_of = (table.parents or {}).get(name, {})
        groups: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
        for labels in list(cells):
            if labels[j] == table.total:
                continue
            whole = (*labels[:j], parent_of.get(labels[j], table.total), *labels[j + 1 :])
            groups.setdefault(whole, []).append(labels)
        for whole, parts in groups.items():
            siblings = {t for t in everything.get(name, ()) if parent_of.get(t, table.total) == whole[j]}
            if whole in cells or (siblings and siblings == {labels[j] for labels in parts}):
                cells.setdefault(whole)
                yield parts, whole


def codes_of(table: LongTable) -> list[list[str]]:
    """Labels of each dimension in order of first appearance, totals left out."""
    seen: list[dict[str, None]] = [{} for _ in table.dimensions]
    for labels in table.labels:
        for j, text in enumerate(labels):
            if text != table.total:
                seen[j][text] = None
    return [list(found) for found in seen]
