"""The sums that a reader of a table knows: totals and the cells that they are made of.

Decides which linear equations hold among the cells of a table. Leaves what follows from them to `attacker`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from output_checks.evidence.cells import Evidence
from output_checks.evidence.layout import cell_keys
from output_checks.evidence.spec import PERCENTS

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Sums:
    """Equation k: the cells with `equation == k` add up to cell `total[k]`. Entries are parallel arrays."""

    equation: np.ndarray
    member: np.ndarray
    total: np.ndarray

    def __len__(self) -> int:
        return len(self.total)


def sums(e: Evidence) -> Sums:
    """All sums among the published cells; none for statistics that do not add up."""
    import numpy as np

    shown = e.published.nonzero()[0]
    if e.spec.statistic not in ("count", "sum", "percent"):
        return Sums(*(np.zeros(0, dtype=np.int64) for _ in range(3)))
    return _sums_among(e, shown)


def equations(system: Sums, cells: int) -> Any:
    """The sums as a sparse matrix over all cells: +1 for parts, -1 for the total."""
    import numpy as np
    from scipy.sparse import csr_matrix

    rows = np.concatenate([system.equation, np.arange(len(system))])
    columns = np.concatenate([system.member, system.total])
    signs = np.concatenate([np.ones(len(system.member)), -np.ones(len(system))])
    return csr_matrix((signs, (rows, columns)), shape=(len(system), cells))


def percent_groups(e: Evidence) -> np.ndarray:
    """For percentages: the group in which each published base cell's percentages add up to 100; -1 elsewhere."""
    import numpy as np

    group = np.full(len(e), -1, dtype=np.int64)
    if e.spec.statistic not in PERCENTS:
        return group
    rows, d = len(e.spec.rows), len(e.axes)
    over = {"percent": range(d), "row_percent": range(rows, d), "column_percent": range(rows)}[e.spec.statistic]
    codes = e.codes.copy()
    inside = e.published & (e.codes[:, list(over)] >= 0).all(axis=1)
    codes[:, list(over)] = -1
    group[inside] = np.unique(cell_keys(codes, e.axes), return_inverse=True)[1][inside]
    return group


def parent_codes(e: Evidence, j: int) -> Any:
    """Code of the parent of each label of dimension j; -1 is the total. The last entry belongs to code -1:
    none (-2).
    """
    import numpy as np

    axis = e.axes[j]
    code_of = {label: i for i, label in enumerate(axis.labels)}
    up = [
        code_of.get(axis.parents.get(label), -1) if axis.parents.get(label) is not None else -1 for label in axis.labels
    ]
    return np.array([*up, -2], dtype=np.int64)


def _sums_among(e: Evidence, shown: Any) -> Sums:
    import numpy as np

    up = [parent_codes(e, j)[e.codes[shown, j]] for j in range(len(e.axes))]
    order = np.argsort(e.keys[shown])
    parts = list(_steps(e, shown, order, up, [(j,) for j in range(len(e.axes))]))
    left = _without_parts(e, shown, up, parts)
    if left.any():
        wider = [over for size in range(2, len(e.axes) + 1) for over in combinations(range(len(e.axes)), size)]
        met = set(shown[left].tolist())
        for member, total in _steps(e, shown, order, up, wider):
            new = np.array([cell in met for cell in total.tolist()], dtype=bool)
            parts += [(member[new], total[new])] if new.any() else []
            met -= set(total.tolist())
    equations, members, totals, count = [], [], [], 0
    for member, total in parts:
        found, inverse = np.unique(total, return_inverse=True)
        equations.append(inverse + count)
        members.append(member)
        totals.append(found)
        count += len(found)
    empty = [np.zeros(0, dtype=np.int64)]
    return Sums(*(np.concatenate(part or empty) for part in (equations, members, totals)))


def _steps(
    e: Evidence, shown: Any, order: Any, up: list[Any], ways: list[tuple[int, ...]]
) -> Iterator[tuple[Any, Any]]:
    """For each way (dimensions that go one step up together) the shown cells that meet a shown total, and which."""
    import numpy as np

    keys = e.keys[shown]
    for over in ways:
        child = np.logical_and.reduce([up[j] >= -1 for j in over])
        codes = e.codes[shown[child]].copy()
        for j in over:
            codes[:, j] = up[j][child]
        wanted = cell_keys(codes, e.axes)
        place = np.searchsorted(keys, wanted, sorter=order).clip(max=len(keys) - 1)
        total = shown[order[place]]
        there = e.keys[total] == wanted
        if there.any():
            yield shown[child][there], total[there]


def _without_parts(e: Evidence, shown: Any, up: list[Any], parts: list[tuple[Any, Any]]) -> Any:
    """Mask over the shown cells: totals over several dimensions whose parts one step down are not shown."""
    import numpy as np

    wide = np.zeros(len(shown), dtype=np.int64)
    for j in range(len(e.axes)):
        tops = np.unique(up[j])
        wide += np.isin(e.codes[shown, j], tops[tops >= -1])
    done = np.unique(np.concatenate([total for _, total in parts])) if parts else np.zeros(0, dtype=np.int64)
    return (wide > 1) & ~np.isin(shown, done)
