"""The fewest further cells such that no sum has a single gap, as an integer program.

Decides the program; its linear relaxation is nearly always whole, so that the optimum comes in well under a
second. Leaves patterns for when it does not to `pattern`, and everything that lines alone do not see to `protection`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from output_checks.protection.demands import Demand
from output_checks.protection.pattern import Lines
from output_checks.protection.problem import Problem

if TYPE_CHECKING:
    import numpy as np

TIE = 1e-3


def cover(
    problem: Problem, lines: Lines, fixed: np.ndarray, seconds: float, demands: Sequence[Demand] = ()
) -> np.ndarray | None:
    """The mask of `fixed` and as few allowed cells as possible that meet `demands`; None if no answer came in time.

    A line with one unsafe gap needs another; one whose two gaps are a lone contributor's and another unsafe
    one needs a third; any other line has no gap or at least two.
    """
    import numpy as np
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import vstack

    free = np.flatnonzero(problem.allowed & ~fixed)
    if not len(free):
        return fixed.copy()
    matrix, least, sums = _program(problem, lines, fixed, free)
    n = matrix.shape[1]
    matrix = vstack([matrix, *[_row(demand, free, n) for demand in demands]]).tocsr()
    least = np.concatenate([least, [1.0 if fixed[demand.cell] else 0.0 for demand in demands]])
    sums = np.concatenate([sums, np.zeros(len(demands), dtype=bool)])
    cost = np.zeros(n)
    cost[: len(free)] = 1 + TIE * problem.cost[free] / max(float(problem.cost.max()), 1e-12)
    whole = np.zeros(n)
    whole[: len(free)] = 1
    top = np.concatenate([np.ones(len(free)), np.full(n - len(free), np.inf)])
    answer = milp(
        cost, constraints=LinearConstraint(matrix, least, np.where(sums, 0.0, np.inf)), integrality=whole,
        bounds=Bounds(0, top), options={"time_limit": seconds, "mip_rel_gap": 1e-3},
    )  # fmt: skip
    if answer.x is None:
        return None
    out = fixed.copy()
    out[free[answer.x[: len(free)] > 0.5]] = True
    return out


def _row(demand: Demand, free: Any, width: int) -> Any:
    """A demand over the columns of free cells; of a cell that is free itself only if it is chosen."""
    import numpy as np
    from scipy.sparse import csr_matrix

    columns, weights = np.searchsorted(free, demand.cells), demand.weights
    at = int(np.searchsorted(free, demand.cell))
    if at < len(free) and free[at] == demand.cell:
        columns, weights = np.append(columns, at), np.append(weights, -1.0)
    return csr_matrix((weights, (np.zeros(len(columns), dtype=np.int64), columns)), shape=(1, width))


def _program(problem: Problem, lines: Lines, fixed: Any, free: Any) -> tuple[Any, Any, Any]:
    """Rows: needs of lines with unsafe gaps; for the others a column with their number of gaps and 2 x ≤ that
    for each cell.

    Third value: which rows are equations.
    """
    import numpy as np
    from scipy.sparse import csr_matrix

    number = np.full(len(fixed), -1, dtype=np.int64)
    number[free] = np.arange(len(free))
    n_lines = len(lines.start) - 1
    line_of = np.repeat(np.arange(n_lines), np.diff(lines.start))
    gaps = np.bincount(line_of, weights=fixed[lines.cells_of], minlength=n_lines)
    unsafe = np.bincount(line_of, weights=problem.primary[lines.cells_of], minlength=n_lines)
    alone = np.bincount(line_of, weights=(problem.primary & problem.alone)[lines.cells_of], minlength=n_lines)
    needy = (gaps == 1) | ((gaps == 2) & (unsafe == 2) & (alone > 0))
    empty = gaps == 0
    column = number[lines.cells_of]
    usable = column >= 0
    row_of_needy = np.cumsum(needy) - 1
    rows, columns, values = [], [], []
    inside = usable & needy[line_of]
    rows.append(row_of_needy[line_of[inside]])
    columns.append(column[inside])
    values.append(np.ones(int(inside.sum())))
    room = np.bincount(line_of[inside], minlength=n_lines)[needy]
    base, n_needy, n_empty = len(free), int(needy.sum()), int(empty.sum())
    of_empty = np.cumsum(empty) - 1
    inside = usable & empty[line_of]
    count = int(inside.sum())
    total = of_empty[line_of[inside]]
    rows += [n_needy + total, n_needy + np.arange(n_empty)]
    columns += [column[inside], base + np.arange(n_empty)]
    values += [np.ones(count), -np.ones(n_empty)]
    each = n_needy + n_empty + np.arange(count)
    rows += [each, each]
    columns += [column[inside], base + total]
    values += [np.full(count, -2.0), np.ones(count)]
    height = n_needy + n_empty + count
    matrix = csr_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=(height, base + n_empty)
    )
    least = np.zeros(height)
    least[:n_needy] = np.minimum(1, room)
    equations = np.zeros(height, dtype=bool)
    equations[n_needy : n_needy + n_empty] = True
    return matrix, least, equations
