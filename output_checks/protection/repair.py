"""For one cell that is not free enough: the cheapest further cells that let it move.

Decides with one program over the whole table, kept and changed from cell to cell: a movement is spread over
the table so that all sums stay, moving a cell that is suppressed already costs next to nothing, any other its
share of what the reader loses. Leaves the verdict on the outcome to the attack in `protection`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from output_checks.protection.problem import Problem

if TYPE_CHECKING:
    import numpy as np

MOVED = 1e-6
FREE = 1e-4


class Repair:
    """Columns 0 … n-1 move cells up, n … 2n-1 move them down; cells that may not be suppressed do not move."""

    def __init__(self, problem: Problem, mask: np.ndarray) -> None:
        import highspy
        import numpy as np
        from scipy.sparse import hstack

        self.problem, self.mask = problem, mask.copy()
        touched = np.diff(problem.matrix.tocsc().indptr) > 0
        self.cell_of = np.flatnonzero((problem.allowed | mask) & touched)
        self.column_of = {int(cell): k for k, cell in enumerate(self.cell_of.tolist())}
        self.n = len(self.cell_of)
        matrix = problem.matrix[:, self.cell_of]
        both = hstack([matrix, -matrix]).tocsc()
        self.price = 1 + problem.cost[self.cell_of] / max(float(problem.cost.max(initial=0)), 1e-12)
        self.price[mask[self.cell_of]] = FREE
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = 2 * self.n, both.shape[0]
        lp.col_cost_ = np.concatenate([self.price, self.price])
        lp.col_lower_ = np.zeros(2 * self.n)
        self.high = np.concatenate([np.full(self.n, np.inf), problem.value[self.cell_of]])
        lp.col_upper_ = self.high
        lp.row_lower_ = lp.row_upper_ = np.zeros(both.shape[0])
        lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = both.indptr, both.indices, both.data
        self._highs = highspy.Highs()  # type: ignore[no-untyped-call]
        for option, value in (("output_flag", False), ("threads", 1), ("presolve", "off")):
            self._highs.setOptionValue(option, value)
        self._highs.passModel(lp)
        self._optimal = highspy.HighsModelStatus.kOptimal

    def cells(self, cell: int, *, held: int | None = None) -> np.ndarray:
        """Mask of cells to add so that `cell` can move up (or, failing that, down) by its range, while the cell `held`
        stays as it is; empty if nothing helps.
        """
        import numpy as np

        out = np.zeros(len(self.mask), dtype=bool)
        at = self.column_of.get(cell)
        if at is None:
            return out
        need = float(self.problem.needed[cell])
        for up, move in ((True, need), (False, min(need, float(self.problem.value[cell])))):
            moved = self._move(at, up, move, held) if move > 0 else None
            if moved is not None:
                out[self.cell_of[moved]] = True
                self._free(np.flatnonzero(moved & ~self.mask[self.cell_of]))
                self.mask |= out
                return out
        return out

    def _move(self, at: int, up: bool, move: float, held: int | None) -> Any:
        import numpy as np

        this, other = (at, at + self.n) if up else (at + self.n, at)
        still = self.column_of.get(held, -1) if held is not None else -1
        fixed = [other, *([still, still + self.n] if still >= 0 else [])]
        self._highs.changeColBounds(this, move, move)
        for column in fixed:
            self._highs.changeColBounds(column, 0.0, 0.0)
        self._highs.clearSolver()  # the slack basis is dual feasible at these prices, a stale one is not
        self._highs.run()
        solved = self._highs.getModelStatus() == self._optimal
        found = np.array(self._highs.getSolution().col_value) if solved else None
        for column in (this, *fixed):
            self._highs.changeColBounds(column, 0.0, float(self.high[column]))
        return None if found is None else np.abs(found[: self.n] - found[self.n :]) > MOVED

    def _free(self, columns: Any) -> None:
        """Cells that are suppressed from now on cost next to nothing to move."""
        for column in columns.tolist():
            self._highs.changeColCost(column, FREE)
            self._highs.changeColCost(column + self.n, FREE)
