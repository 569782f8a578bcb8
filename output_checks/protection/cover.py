"""The fewest further cells such that no sum has a single gap, as an integer program.

Decides the program and how it is answered. Its linear relaxation is solved at once, keeps its vertex from try to try,
and is nearly whole. Cells whose reduced cost says that the other choice would cost too much are held fast; what is left
is small, and mostly holds an answer that is as good as asked for. Only if not, the whole program is searched. Leaves
patterns for when no answer comes in time to `pattern`, and everything that lines alone do not see to `protection`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from output_checks.protection.demands import Demand
from output_checks.protection.pattern import Lines
from output_checks.protection.problem import Problem

if TYPE_CHECKING:
    import numpy as np

TIE = 1e-3
GAP = 1e-3
WHOLE = 1e-6
DEAR = 0.75


class Cover:
    """The mask of `fixed` and as few allowed cells as possible; what is demanded later becomes further rows.

    A line with one unsafe gap needs another; one whose two gaps are a lone contributor's and another unsafe
    one needs a third; any other line has no gap or at least two.
    """

    def __init__(self, problem: Problem, lines: Lines, fixed: np.ndarray) -> None:
        import numpy as np

        self.fixed = fixed
        self.free = np.flatnonzero(problem.allowed & ~fixed)
        if len(self.free):
            price = 1 + TIE * problem.cost[self.free] / max(float(problem.cost.max()), 1e-12)
            self._highs = _model(price, *_program(problem, lines, fixed, self.free))

    def demand(self, wanted: Sequence[Demand]) -> None:
        """Takes demands into account from now on; without free cells there is nothing that could meet them."""
        for demand in wanted if len(self.free) else ():
            columns, weights = _row(demand, self.free)
            least = 1.0 if self.fixed[demand.cell] else 0.0
            self._highs.addRow(least, math.inf, len(columns), columns, weights)

    def fewest(self, seconds: float) -> np.ndarray | None:
        """The mask; None if there is none, or no answer came in time."""
        import numpy as np

        if not len(self.free):
            return self.fixed.copy()
        deadline = time.monotonic() + seconds
        whole, bound = _run(self._highs, seconds)
        if whole is None:
            return None
        n, cost, relaxed = len(self.free), bound, whole
        open_ = np.abs(relaxed[:n] - np.round(relaxed[:n])) > WHOLE
        if open_.any():
            # No answer that is as good as asked for chooses otherwise where that alone costs more than the gap.
            prices = np.abs(np.array(self._highs.getSolution().col_dual)[:n])
            sure = np.flatnonzero(~open_ & (prices > min(DEAR, GAP * bound)))
            whole, cost = self._searched(deadline, sure, relaxed)
            if whole is None or cost - bound > GAP * cost:
                better, its_cost = self._searched(deadline, sure[:0], relaxed)
                whole = better if its_cost < cost else whole
        if whole is None:
            return None
        out = self.fixed.copy()
        out[self.free[whole[:n] > 0.5]] = True
        return out

    def _searched(self, deadline: float, sure: np.ndarray, values: np.ndarray) -> tuple[Any, float]:
        """Whole values and their cost, with the columns `sure` held at (rounded) values; None without an answer."""
        import highspy
        import numpy as np

        left = deadline - time.monotonic()
        if left <= 0:
            return None, math.inf
        lp = self._highs.getLp()
        low, high = np.array(lp.col_lower_), np.array(lp.col_upper_)
        low[sure] = high[sure] = np.round(values[sure])
        lp.col_lower_, lp.col_upper_ = low, high
        kinds = [highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger]
        lp.integrality_ = [kinds[column < len(self.free)] for column in range(lp.num_col_)]
        highs = _solver()
        highs.setOptionValue("presolve", "on" if len(sure) else "off")
        highs.passModel(lp)
        return _run(highs, left)


def _solver() -> Any:
    """HiGHS in one thread, without the heuristic that takes longest and finds least here."""
    import highspy

    highs = highspy.Highs()  # type: ignore[no-untyped-call]
    options = {"output_flag": False, "threads": 1, "mip_rel_gap": GAP, "mip_heuristic_run_feasibility_jump": False}
    for option, value in options.items():
        highs.setOptionValue(option, value)
    return highs


def _run(highs: Any, seconds: float) -> tuple[Any, float]:
    """The values of the columns and their cost; None if there are none in time."""
    import highspy
    import numpy as np

    highs.setOptionValue("time_limit", highs.getRunTime() + seconds)
    highs.run()
    status, info = highs.getModelStatus(), highs.getInfo()
    searched = (
        info.mip_node_count >= 0 and info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    )
    late = status == highspy.HighsModelStatus.kTimeLimit and searched  # the best whole answer so far
    if status != highspy.HighsModelStatus.kOptimal and not late:
        return None, math.inf
    return np.array(highs.getSolution().col_value), float(info.objective_function_value)


def _model(price: np.ndarray, matrix: Any, least: Any, sums: Any) -> Any:
    """The relaxation: a column for each free cell between 0 and 1 at its price, then the numbers of gaps."""
    import highspy
    import numpy as np

    columns, width = matrix.tocsc(), matrix.shape[1]
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = width, matrix.shape[0]
    rest = width - len(price)
    lp.col_cost_ = np.concatenate([price, np.zeros(rest)])
    lp.col_lower_, lp.col_upper_ = np.zeros(width), np.concatenate([np.ones(len(price)), np.full(rest, np.inf)])
    lp.row_lower_, lp.row_upper_ = least, np.where(sums, 0.0, np.inf)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = columns.indptr, columns.indices, columns.data
    highs = _solver()
    highs.setOptionValue("presolve", "off")
    highs.passModel(lp)
    return highs


def _row(demand: Demand, free: Any) -> tuple[Any, Any]:
    """A demand over the columns of free cells; of a cell that is free itself only if it is chosen."""
    import numpy as np

    columns, weights = np.searchsorted(free, demand.cells), demand.weights
    at = int(np.searchsorted(free, demand.cell))
    if at < len(free) and free[at] == demand.cell:
        columns, weights = np.append(columns, at), np.append(weights, -1.0)
    return columns.astype(np.int32), weights


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
