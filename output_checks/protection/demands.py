"""What a pattern lacks, as inequalities that every safe pattern must meet.

Decides, for each cell that is not free enough under a pattern, which other cells could free it: the dual solution of
the attacker's program bounds how far the cell can move under *any* pattern, so that a safe one must hold enough of the
cells that the bound names. Leaves choosing among them to `cover` and the verdict on the outcome to the attack.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from output_checks.protection.problem import Problem

if TYPE_CHECKING:
    import numpy as np

NOTHING = 1e-7
LEAST_MOVE = 1e-3


@dataclass(frozen=True)
class Demand:
    """If `cell` is suppressed, so must be some of `cells`, weighing at least 1 together."""

    cell: int
    cells: np.ndarray
    weights: np.ndarray


class Movements:
    """How far cells can move under a pattern while all sums stay: one program, only objective and held cell change."""

    def __init__(self, problem: Problem, mask: np.ndarray) -> None:
        import highspy
        import numpy as np

        self.problem, self.where = problem, np.flatnonzero(mask)
        columns = problem.matrix[:, self.where].tocsc()
        self.roof = 2 * float(problem.value.max()) + 10 * float(problem.needed.max())
        self.down = problem.value[self.where]
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = len(self.where), columns.shape[0]
        lp.col_cost_ = np.zeros(len(self.where))
        lp.col_lower_, lp.col_upper_ = -self.down, np.full(len(self.where), self.roof)
        lp.row_lower_ = lp.row_upper_ = np.zeros(columns.shape[0])
        lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = columns.indptr, columns.indices, columns.data
        self._highs = highspy.Highs()  # type: ignore[no-untyped-call]
        for option, value in (("output_flag", False), ("threads", 1), ("presolve", "off"), ("simplex_strategy", 4)):
            self._highs.setOptionValue(option, value)
        self._highs.passModel(lp)
        self._highs.changeObjectiveSense(highspy.ObjSense.kMaximize)
        self._optimal = highspy.HighsModelStatus.kOptimal
        self._turned = problem.matrix.T.tocsr()

    def demand(self, cell: int, *, held: int | None = None) -> Demand | None:
        """What must be suppressed for `cell` to move by its range, up and down together, while `held` stays; for a
        held cell any movement is enough. None if the program says nothing against the pattern.
        """
        import numpy as np

        need = LEAST_MOVE if held is not None else float(self.problem.needed[cell])
        weights = np.zeros(len(self.problem.value))
        for sign in (1.0, -1.0):
            price = self._price(cell, sign, held)
            if price is None:
                return None
            weights += np.maximum(price, 0) * self.roof + np.maximum(-price, 0) * self.problem.value
        if held is not None:
            weights[held] = 0.0
        gone = self.problem.gone
        gone[cell] = True
        left = need - float(weights[gone].sum())
        cells = np.flatnonzero((weights > NOTHING) & self.problem.allowed & ~gone)
        if left <= NOTHING * max(1.0, need) or float(weights[self.where].sum()) >= need * (1 - NOTHING):
            return None
        return Demand(cell, cells, np.minimum(weights[cells] / left, 1.0))

    def _price(self, cell: int, sign: float, held: int | None) -> Any:
        """How much each cell of the table, if it could move, would move `cell`: reduced costs at the optimum."""
        import numpy as np

        at = int(np.searchsorted(self.where, cell))
        still = int(np.searchsorted(self.where, held)) if held is not None else None
        self._highs.changeColCost(at, sign)
        if still is not None:
            self._highs.changeColBounds(still, 0.0, 0.0)
        self._highs.run()
        solved = self._highs.getModelStatus() == self._optimal
        duals = np.array(self._highs.getSolution().row_dual) if solved else None
        self._highs.changeColCost(at, 0.0)
        if still is not None:
            self._highs.changeColBounds(still, -float(self.down[still]), self.roof)
        if duals is None:
            return None
        price = -np.asarray(self._turned @ duals)
        price[cell] += sign
        price[np.abs(price) < NOTHING] = 0.0
        return price


def demands(problem: Problem, mask: np.ndarray, weak: list[int], told: list[tuple[int, int]]) -> list[Demand]:
    """One demand for each weak cell and for each pair of a lone contributor and the cell that it can work out."""
    moves = Movements(problem, mask)
    found = [moves.demand(cell) for cell in weak] + [moves.demand(cell, held=own) for own, cell in told]
    return [demand for demand in found if demand is not None]
