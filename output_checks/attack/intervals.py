"""How closely a reader can bound each suppressed cell.

Decides the feasible interval of unknown cells under the published sums and non-negativity by linear programs
on one HiGHS model that is re-used from cell to cell. Leaves cells that equations alone determine to `attacker`.

Every solution of a program is a complete filling of the table; the values it gives to the other cells are kept
as witnesses, so that a cell whose spread is already wide enough needs no program of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from output_checks.errors import Unreadable

if TYPE_CHECKING:
    import numpy as np

TOLERANCE = 1e-6
MOST_STIRS = 20
CONTRADICTION = "the published values contradict one another."


class Bounds:
    """Programs over the unknown cells of a system: `matrix @ x = right` (or from there to `upper`), low ≤ x ≤ high."""

    def __init__(
        self, matrix: Any, right: np.ndarray, low: np.ndarray, high: np.ndarray, upper: np.ndarray | None = None
    ) -> None:
        import highspy
        import numpy as np

        self.size = matrix.shape[1]
        self.least = np.full(self.size, np.inf)
        self.most = np.full(self.size, -np.inf)
        self.fillings: list[np.ndarray] = []
        columns = matrix.tocsc()
        columns.sort_indices()
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = self.size, matrix.shape[0]
        lp.col_cost_ = np.zeros(self.size)
        lp.col_lower_, lp.col_upper_ = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
        lp.row_lower_ = np.asarray(right, dtype=float)
        lp.row_upper_ = lp.row_lower_ if upper is None else np.asarray(upper, dtype=float)
        lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        lp.a_matrix_.start_ = columns.indptr
        lp.a_matrix_.index_ = columns.indices
        lp.a_matrix_.value_ = columns.data
        self._highs = highspy.Highs()  # type: ignore[no-untyped-call]
        self._highs.setOptionValue("output_flag", False)
        self._highs.setOptionValue("threads", 1)
        self._highs.setOptionValue("presolve", "off")
        self._highs.setOptionValue("simplex_strategy", 4)  # only costs change, so the last vertex stays feasible
        self._highs.passModel(lp)
        self._optimal = highspy.HighsModelStatus.kOptimal
        self._sense = (highspy.ObjSense.kMinimize, highspy.ObjSense.kMaximize)
        self._last: int | None = None

    def extreme(self, cell: int, *, most: bool) -> float:
        """The least or greatest value of one cell. Raises Unreadable if the published values contradict one
        another.
        """
        import numpy as np

        if self._last is not None and self._last != cell:
            self._highs.changeColCost(self._last, 0.0)
        if self._last != cell:
            self._highs.changeColCost(cell, 1.0)
        self._last = cell
        self._highs.changeObjectiveSense(self._sense[most])
        self._highs.run()
        if self._highs.getModelStatus() != self._optimal:
            unbounded = "unbounded" in str(self._highs.modelStatusToString(self._highs.getModelStatus())).lower()
            if unbounded:
                return float("inf") if most else float("-inf")
            raise Unreadable(CONTRADICTION, field="table", remedy="Correct it, or say its rounding and hierarchies.")
        filling = np.array(self._highs.getSolution().col_value)
        self._keep(filling)
        return float(filling[cell])

    def optimise(self, objective: np.ndarray) -> None:
        """One program with an objective over all cells; its filling counts for every cell."""
        import numpy as np

        numbers = np.arange(self.size, dtype=np.int32)
        self._highs.changeColsCost(self.size, numbers, np.asarray(objective, dtype=float))
        self._highs.changeObjectiveSense(self._sense[True])
        self._highs.run()
        if self._highs.getModelStatus() == self._optimal:
            self._keep(np.array(self._highs.getSolution().col_value))
        self._highs.changeColsCost(self.size, numbers, np.zeros(self.size))
        self._last = None

    def _keep(self, filling: np.ndarray) -> None:
        import numpy as np

        better = (filling < self.least - TOLERANCE) | (filling > self.most + TOLERANCE)
        if better.any():
            self.fillings.append(filling)
        np.minimum(self.least, filling, out=self.least)
        np.maximum(self.most, filling, out=self.most)


def feasible(
    matrix: Any,
    right: np.ndarray,
    *,
    cells: np.ndarray | None = None,
    low: np.ndarray | None = None,
    high: np.ndarray | None = None,
    enough: np.ndarray | None = None,
    above: tuple[Any, np.ndarray] | None = None,
    slack: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Least and greatest value of each unknown cell, and the fillings met on the way.

    cells   numbers of the cells that matter (all, if None)      enough  spread that need not be beaten, per cell
    above   further rows that must reach at least a value         slack   how far each sum may be off
    """
    import numpy as np
    from scipy.sparse import vstack

    size = matrix.shape[1]
    low = np.zeros(size) if low is None else low
    high = np.full(size, np.inf) if high is None else high
    slack = np.zeros(len(right)) if slack is None else slack
    rows, lower, upper = matrix, right - slack, right + slack
    if above is not None and above[0].shape[0]:
        rows, lower = vstack([matrix, above[0]]), np.concatenate([lower, above[1]])
        upper = np.concatenate([upper, np.full(len(above[1]), np.inf)])
    bounds = Bounds(rows, lower, low, high, upper)
    top = np.minimum(high, ceilings(matrix, right + slack, low))
    wanted = range(size) if cells is None else cells.tolist()
    enough = np.full(size, np.inf) if enough is None else enough
    _stir(bounds, low, top, np.fromiter(wanted, dtype=np.int64), enough)
    for most in (True, False):
        for cell in wanted:
            if np.isfinite(bounds.least[cell]) and bounds.most[cell] >= bounds.least[cell] + enough[cell]:
                continue
            if bounds.most[cell] >= top[cell] - TOLERANCE if most else bounds.least[cell] <= low[cell] + TOLERANCE:
                continue
            value = bounds.extreme(cell, most=most)
            if most:
                bounds.most[cell] = max(bounds.most[cell], value)
            else:
                bounds.least[cell] = min(bounds.least[cell], value)
    return bounds.least, bounds.most, bounds.fillings


def _stir(bounds: Bounds, low: np.ndarray, top: np.ndarray, wanted: np.ndarray, enough: np.ndarray) -> None:
    """A few programs with random objectives over the cells whose ends are still open: their fillings reach many ends
    at once.
    """
    import numpy as np

    rng = np.random.default_rng(0)
    for _ in range(min(MOST_STIRS, len(wanted) // 32)):
        narrow = bounds.most[wanted] < bounds.least[wanted] + enough[wanted]
        up = narrow & np.isfinite(top[wanted]) & (bounds.most[wanted] < top[wanted] - TOLERANCE)
        down = narrow & np.isfinite(low[wanted]) & (bounds.least[wanted] > low[wanted] + TOLERANCE)
        if not (up | down).any():
            return
        sign = np.where(up & down, rng.choice([-1.0, 1.0], len(wanted)), up.astype(float) - down)
        objective = np.zeros(bounds.size)
        objective[wanted] = sign * rng.uniform(0.5, 1.0, len(wanted))
        bounds.optimise(objective)


def ceilings(matrix: Any, right: np.ndarray, low: np.ndarray) -> np.ndarray:
    """What one equation alone says of each cell at most; infinite where none says anything."""
    import numpy as np

    out = np.full(matrix.shape[1], np.inf)
    rows = matrix.tocsr()
    if not np.isfinite(low).all():
        return out
    smallest = np.ones(rows.shape[0])
    filled = np.diff(rows.indptr) > 0
    if filled.any():
        smallest[filled] = np.minimum.reduceat(rows.data, rows.indptr[:-1][filled])
    plus = smallest > 0
    entries = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    inside = plus[entries]
    room = right - rows @ low
    np.minimum.at(out, rows.indices[inside], room[entries[inside]] + low[rows.indices[inside]])
    return out
