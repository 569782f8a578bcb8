"""Which further cells to suppress: lines first, then what the programs say.

Decides a set of cells such that no sum has a single gap, adding as few as it can. A cell is scored by the gaps
that it closes less those that it opens; afterwards cells that no line needs are given back. Leaves proof to
`protection`, which attacks the pattern and repairs what lines alone do not see.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Lines:
    """Sums as incidence: `cells_of[start[k]:start[k+1]]` are the cells of line k (parts and total), and the
    other way round.
    """

    start: np.ndarray
    cells_of: np.ndarray
    first: np.ndarray
    lines_of: np.ndarray

    def cells(self, line: int) -> np.ndarray:
        return self.cells_of[self.start[line] : self.start[line + 1]]

    def lines(self, cell: int) -> np.ndarray:
        return self.lines_of[self.first[cell] : self.first[cell + 1]]


def lines_from(matrix: Any) -> Lines:
    """Lines of a sparse matrix (sums × cells)."""
    rows, columns = matrix.tocsr(), matrix.tocsc()
    return Lines(rows.indptr, rows.indices, columns.indptr, columns.indices)


def close_gaps(
    lines: Lines, suppressed: np.ndarray, allowed: np.ndarray, cost: np.ndarray, alone: np.ndarray, seed: int = 0
) -> np.ndarray:
    """The mask of suppressed cells after adding allowed ones until no line has a single gap.

    alone   mask of cells whose only contributor knows their value: a line with one of them and one other gap
    needs a third Cells that are already suppressed stay. Where nothing allowed is left the gap stays; the
    caller's audit will see it.
    """
    import numpy as np

    out = suppressed.copy()
    state = _State(lines, out, alone, cost, allowed, np.random.default_rng(seed))
    while True:
        gaps = np.flatnonzero(state.gap)
        if not len(gaps):
            return out
        best = state.best(gaps)
        if best < 0:
            return out
        out[best] = True
        state.add(best)


class _State:
    """Counts per line and scores per cell, kept up to date while cells are added."""

    OPENING = 0.95

    def __init__(self, lines: Lines, out: Any, alone: Any, cost: Any, allowed: Any, rng: Any) -> None:
        import numpy as np

        n_lines = len(lines.start) - 1
        self.lines, self.out, self.alone = lines, out, alone
        line_of = np.repeat(np.arange(n_lines), np.diff(lines.start))
        self.count = np.bincount(line_of, weights=out[lines.cells_of], minlength=n_lines)
        self.singles = np.bincount(line_of, weights=(out & alone)[lines.cells_of], minlength=n_lines)
        self.unsafe = np.bincount(
            line_of, weights=out[lines.cells_of], minlength=n_lines
        )  # what must go was there first
        self.room = np.bincount(line_of, weights=(allowed & ~out)[lines.cells_of], minlength=n_lines)
        self.gap = self._gaps(slice(None))
        worth = self.gap - self.OPENING * (self.count == 0)
        cell_of = np.repeat(np.arange(len(out)), np.diff(lines.first))
        base = np.bincount(cell_of, weights=worth[lines.lines_of], minlength=len(out))
        self.score = base - 0.3 * cost / max(float(cost.max(initial=0)), 1e-12) + 0.01 * rng.random(len(out))
        self.score[~allowed | out] = -np.inf

    def _gaps(self, which: Any) -> Any:
        pair = (self.count[which] == 2) & (self.singles[which] > 0) & (self.unsafe[which] == 2)
        return ((self.count[which] == 1) | pair) & (self.room[which] > 0)

    def best(self, gaps: Any) -> int:
        """The cell with the best score among those that close some gap; -1 if there is none."""
        import numpy as np

        top, value = -1, -np.inf
        for line in gaps[:64].tolist():
            cells = self.lines.cells(line)
            at = int(np.argmax(self.score[cells]))
            if self.score[cells[at]] > value:
                top, value = int(cells[at]), float(self.score[cells[at]])
        if top < 0:
            self.room[gaps[:64]] = 0
            self.gap[gaps[:64]] = False
            rest = np.flatnonzero(self.gap)
            return self.best(rest) if len(rest) else -1
        return top

    def add(self, cell: int) -> None:
        import numpy as np

        self.score[cell] = -np.inf
        for line in self.lines.lines(cell).tolist():
            before = self.gap[line] - self.OPENING * (self.count[line] == 0)
            self.count[line] += 1
            self.room[line] -= 1
            self.gap[line] = self._gaps(line)
            change = (self.gap[line] - self.OPENING * (self.count[line] == 0)) - before
            if change:
                self.score[self.lines.cells(line)] += change


def give_back(
    lines: Lines, suppressed: np.ndarray, keep: np.ndarray, cost: np.ndarray, alone: np.ndarray
) -> np.ndarray:
    """The mask without the added cells that no line needs; dearest first."""
    import numpy as np

    out = suppressed.copy()
    n_lines = len(lines.start) - 1
    line_of = np.repeat(np.arange(n_lines), np.diff(lines.start))
    count = np.bincount(line_of, weights=out[lines.cells_of], minlength=n_lines)
    singles = np.bincount(line_of, weights=(out & alone)[lines.cells_of], minlength=n_lines)
    unsafe = np.bincount(line_of, weights=keep[lines.cells_of], minlength=n_lines)
    need = np.where((singles > 0) & (unsafe == 2), 4, 3)
    added = np.flatnonzero(out & ~keep)
    for cell in added[np.argsort(-cost[added], kind="stable")].tolist():
        at = lines.lines(cell)
        if (count[at] >= need[at]).all():
            out[cell] = False
            count[at] -= 1
    return out
