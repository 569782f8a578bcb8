"""Secondary suppression: true totals stay, further cells go until nothing can be worked out.

Decides how a pattern is searched, attacked and repaired. Every pattern ends in an audit: each unsafe cell must
be free to move by its required range in complete fillings of the table that agree with all published values. A
time limit stops improvement, never proof. Leaves the lines to `pattern`, programs to `intervals`, the proof
that leaves with the table to `certificates`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from output_checks.attacker import determined
from output_checks.errors import BadInput, Unsafe
from output_checks.intervals import TOLERANCE, Bounds
from output_checks.pattern import close_gaps, give_back, lines_from

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Problem:
    """A table to protect, in arrays over its cells.

    matrix    scipy CSR (sums × cells): +1 for parts, -1 for the total        value    true values
    primary   unsafe cells                                                    required  range that each must be
              free to move in
    allowed   cells that may be suppressed further                            cost     what the reader loses
              with a cell
    alone     cells whose only contributor knows their value                  whole    whether values are whole
              numbers
    """

    matrix: Any
    value: np.ndarray
    primary: np.ndarray
    required: np.ndarray
    allowed: np.ndarray
    cost: np.ndarray
    alone: np.ndarray
    whole: bool = True

    @property
    def needed(self) -> np.ndarray:
        """The range that every cell would have to be free in: what its rule asks for, and at least not to be
        known.
        """
        import numpy as np

        if self.whole:
            return np.asarray(np.maximum(self.required, 1.0))
        size = np.where(self.value > 0, self.value, np.median(self.value[self.value > 0]) if self.value.any() else 1.0)
        return np.asarray(np.maximum(self.required, 1e-3 * size))


@dataclass(frozen=True)
class Pattern:
    """A safe pattern: mask of suppressed cells, fillings (values of the suppressed cells) that prove it,
    seconds spent.
    """

    suppressed: np.ndarray
    fillings: tuple[np.ndarray, ...]
    seconds: float


def protect_cells(problem: Problem, *, seconds: float = 30.0, tries: int = 4) -> Pattern:
    """The best safe pattern found: several starts, each attacked and repaired; always at least one.

    Raises Unsafe if not even suppressing every allowed cell hides the unsafe ones.
    """
    started = time.monotonic()
    lines = lines_from(problem.matrix)
    best: Pattern | None = None
    for seed in range(max(1, tries)):
        late = time.monotonic() - started > seconds
        if best is not None and late:
            break
        mask = close_gaps(lines, problem.primary, problem.allowed, problem.cost, problem.alone, seed)
        mask = give_back(lines, mask, problem.primary, problem.cost, problem.alone)
        if best is not None and _loss(problem, mask) >= _loss(problem, best.suppressed):
            continue
        found = prove(problem, mask)
        if best is None or _loss(problem, found.suppressed) < _loss(problem, best.suppressed):
            best = found
    assert best is not None
    return Pattern(best.suppressed, best.fillings, time.monotonic() - started)


def _loss(problem: Problem, mask: np.ndarray) -> float:
    return float(mask.sum()) + 1e-9 * float(problem.cost[mask].sum())


def prove(problem: Problem, mask: np.ndarray) -> Pattern:
    """Attacks a pattern and repairs it until every unsafe cell is free to move by its range and no cell is
    determined.
    """
    import numpy as np

    repair: _Repair | None = None
    for _ in range(200):
        weak, fillings = attack(problem, mask)
        if not len(weak):
            return Pattern(mask, fillings, 0.0)
        repair = repair or _Repair(problem)
        extra = np.zeros(len(mask), dtype=bool)
        for cell in weak[:25].tolist():
            extra |= repair.cells(cell, mask | extra)
        if not (extra & ~mask).any():
            break
        mask = mask | extra
    raise Unsafe(
        "The table cannot be protected: even with every other cell empty an unsafe cell stays known.",
        remedy="Use coarser categories, or leave the totals out.",
    )


def attack(problem: Problem, mask: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Suppressed cells that are not free enough, and fillings (over the suppressed cells) that free the others."""
    import numpy as np

    where = np.flatnonzero(mask)
    if not len(where):
        return where, ()
    matrix = problem.matrix[:, where]
    used = np.diff(matrix.indptr) > 0
    right = np.asarray(matrix @ problem.value[where]).ravel()[used]
    need = problem.needed[where]
    if not used.any():
        return np.zeros(0, dtype=np.int64), _free(problem.value[where], need)
    roof = np.full(len(where), 2 * float(problem.value.max()) + 10 * float(need.max()))
    bounds = Bounds(matrix[used], right, np.zeros(len(where)), roof)
    _stir(bounds, need)
    fixed = determined(matrix)
    weak: list[int] = np.flatnonzero(fixed).tolist()
    for cell in np.flatnonzero(~fixed & (bounds.most - bounds.least < need - TOLERANCE)).tolist():
        for most in (True, False):
            if bounds.most[cell] - bounds.least[cell] < need[cell] - TOLERANCE:
                bounds.extreme(cell, most=most)
        if bounds.most[cell] - bounds.least[cell] < need[cell] - TOLERANCE:
            weak.append(cell)
    return where[np.array(weak, dtype=np.int64)], tuple(bounds.fillings)


def _stir(bounds: Bounds, need: np.ndarray, rounds: int = 12) -> None:
    """Programs with random objectives over the cells that are not yet free: few of them free most cells."""
    import numpy as np

    rng = np.random.default_rng(0)
    for _ in range(rounds):
        stuck = bounds.most - bounds.least < need - TOLERANCE
        if not stuck.any():
            return
        signs = rng.choice([-1.0, 1.0], len(need)) * stuck
        bounds.optimise(signs)
        bounds.optimise(-signs)


def _free(value: np.ndarray, need: np.ndarray) -> tuple[np.ndarray, ...]:
    """Fillings of cells that no sum holds: as they are, and moved by what is asked for."""
    import numpy as np

    return (np.floor(value), np.floor(value) + np.ceil(need))


class _Repair:
    """For one cell: the cheapest further cells that let it move, as a program over the whole table."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    def cells(self, cell: int, mask: np.ndarray) -> np.ndarray:
        """Mask of cells to add so that `cell` can move up (or, failing that, down) by its range; empty if
        nothing helps.
        """
        import numpy as np

        p = self.problem
        need = float(p.needed[cell])
        usable = np.flatnonzero((p.allowed | mask) & _touched(p.matrix))
        if cell not in usable:
            return np.zeros(len(mask), dtype=bool)
        for move in (need, -min(need, float(p.value[cell]))):
            if move == 0:
                continue
            moved = self._move(cell, move, usable, mask)
            if moved is not None:
                return np.asarray(moved)
        return np.zeros(len(mask), dtype=bool)

    def _move(self, cell: int, move: float, usable: Any, mask: Any) -> Any:
        import numpy as np
        from scipy.optimize import linprog
        from scipy.sparse import hstack

        p = self.problem
        matrix = p.matrix[:, usable]
        matrix = matrix[np.diff(matrix.indptr) > 0]
        price = np.where(mask[usable], 1e-6, 1 + p.cost[usable] / max(float(p.cost.max()), 1e-12))
        down = np.minimum(p.value[usable], 10 * abs(move) + p.value[usable] * mask[usable])
        high = np.concatenate([np.full(len(usable), np.inf), down])
        low = np.zeros(len(high))
        at = int(np.searchsorted(usable, cell))
        low[at], high[at] = (move, move) if move > 0 else (0, 0)
        low[at + len(usable)], high[at + len(usable)] = (-move, -move) if move < 0 else (0, 0)
        found = linprog(
            np.concatenate([price, price]), A_eq=hstack([matrix, -matrix]).tocsr(), b_eq=np.zeros(matrix.shape[0]),
            bounds=np.stack([low, high], axis=1), method="highs",
        )  # fmt: skip
        if found.status != 0:
            return None
        net = np.abs(found.x[: len(usable)] - found.x[len(usable) :])
        out = np.zeros(len(mask), dtype=bool)
        out[usable[net > TOLERANCE]] = True
        return np.asarray(out)


def _touched(matrix: Any) -> Any:
    import numpy as np

    return np.asarray(np.diff(matrix.tocsc().indptr) > 0)


def check_range(value: Any) -> float:
    """A share of the threshold for frequency tables. Raises BadInput outside 0 … 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise BadInput(f"{value!r} is not a share.", field="range", remedy="Use 0.3 for 30 % of the threshold.")
    return float(value)
