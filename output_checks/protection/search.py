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

from output_checks.attack.attacker import determined, told_by_one
from output_checks.attack.intervals import TOLERANCE, Bounds
from output_checks.errors import BadInput, Unsafe
from output_checks.protection.cover import Cover
from output_checks.protection.demands import demands
from output_checks.protection.pattern import Lines, close_gaps, give_back, lines_from
from output_checks.protection.problem import Problem
from output_checks.protection.repair import Repair

if TYPE_CHECKING:
    import numpy as np

MOST_DEMANDS = 60
REPAIRS = 10


@dataclass(frozen=True)
class Pattern:
    """A safe pattern: mask of suppressed cells, fillings (values of the suppressed cells) that prove it,
    seconds spent.
    """

    suppressed: np.ndarray
    fillings: tuple[np.ndarray, ...]
    seconds: float


def protect_cells(problem: Problem, *, seconds: float = 10.0) -> Pattern:
    """The best safe pattern found in about that time; always at least one, however long the first takes.

    The fewest cells that close all lines and meet what attacks on earlier tries demanded; where time runs out, the best
    try so far is repaired, and thinned out while time lasts. Raises Unsafe if not even suppressing every allowed cell
    hides the unsafe ones.
    """
    started = time.monotonic()
    deadline = started + seconds
    lines = lines_from(problem.shown_sums)
    fewest, best = by_demands(problem, lines, deadline)
    if best is None:
        best = thin_out(problem, prove(problem, _start(problem, lines, fewest)), lines, deadline)
        best = hide_from_contributors(problem, best)
    return Pattern(best.suppressed, best.fillings, time.monotonic() - started)


def closed(problem: Problem, lines: Lines) -> np.ndarray:
    """A pattern that closes all lines, at once."""
    mask = close_gaps(lines, problem.gone, problem.allowed, problem.cost, problem.alone)
    return give_back(lines, mask, problem.gone, problem.cost, problem.alone)


def by_demands(problem: Problem, lines: Lines, deadline: float) -> tuple[np.ndarray | None, Pattern | None]:
    """The fewest cells that close all lines, attacked; what the attack finds wanting is demanded of the next try, until
    it finds nothing. The last try, and its proof if it withstood everything. No round begins that would probably not
    leave as much time as it takes, nor one after a try that lacks more than can be demanded at once, and no less than
    the one before.
    """
    program = Cover(problem, lines, problem.gone)
    mask, left, round_took, lacked = None, deadline - time.monotonic(), 0.0, len(problem.value) ** 2
    while left > max(2 * round_took, 0):
        found = program.fewest(left / 2)
        if found is None:
            break
        mask = found
        weak, fillings = attack(problem, mask)
        told = contributors_know(problem, mask)
        if not len(weak) and not told:
            return mask, Pattern(mask, fillings, 0.0)
        lacking = max(len(weak), len(told))
        if lacking > MOST_DEMANDS and lacking >= lacked:
            break
        lacked = lacking
        more = demands(problem, mask, weak[:MOST_DEMANDS].tolist(), told[:MOST_DEMANDS])
        if not more:
            break
        program.demand(more)
        left, before = deadline - time.monotonic(), left
        round_took = before - left
    return mask, None


def thin_out(problem: Problem, pattern: Pattern, lines: Lines, deadline: float) -> Pattern:
    """Gives back added cells one by one, dearest first, as long as the table withstands the attack without them."""
    import numpy as np

    best = pattern
    added = np.flatnonzero(pattern.suppressed & ~problem.gone)
    for cell in added[np.argsort(-problem.cost[added], kind="stable")].tolist():
        if time.monotonic() > deadline:
            break
        mask = best.suppressed.copy()
        mask[cell] = False
        if any(mask[lines.cells(line)].sum() == 1 for line in lines.lines(cell).tolist()):
            continue
        if _pairs(problem, lines, mask, cell):
            continue
        weak, fillings = attack(problem, mask)
        if not len(weak):
            best = Pattern(mask, fillings, 0.0)
    return best


def _pairs(problem: Problem, lines: Lines, mask: np.ndarray, cell: int) -> bool:
    """Whether a line would be left with a lone contributor and one other unsafe cell."""
    for line in lines.lines(cell).tolist():
        gaps = lines.cells(line)[mask[lines.cells(line)]]
        if len(gaps) == 2 and problem.primary[gaps].all() and problem.alone[gaps].any():
            return True
    return False


def _start(problem: Problem, lines: Lines, fewest: np.ndarray | None) -> np.ndarray:
    """The pattern that repairs begin with: the fewest cells, unless most of them are known. So it is mostly where sums
    cross in three dimensions, and repairs of such a pattern end dearer than those of a looser one.
    """
    if fewest is not None and 2 * len(attack(problem, fewest)[0]) <= fewest.sum():
        return fewest
    return closed(problem, lines)


def prove(problem: Problem, mask: np.ndarray) -> Pattern:
    """Attacks a pattern and repairs it until every unsafe cell is free to move by its range and no cell is
    determined.
    """
    import numpy as np

    repair: Repair | None = None
    for _ in range(200):
        weak, fillings = attack(problem, mask)
        if not len(weak):
            return Pattern(mask, fillings, 0.0)
        repair = repair or Repair(problem, mask)
        extra = np.zeros(len(mask), dtype=bool)
        for cell in weak[np.lexsort((-problem.required[weak], ~problem.primary[weak]))][:REPAIRS].tolist():
            extra |= repair.cells(cell)  # what frees the one that needs most frees others, too
        if not (extra & ~mask).any():
            break
        mask = mask | extra
    raise Unsafe(
        "The table cannot be protected: even with every other cell empty an unsafe cell stays known.",
        remedy="Use coarser categories, or leave the totals out.",
    )


def hide_from_contributors(problem: Problem, pattern: Pattern) -> Pattern:
    """Repairs a pattern until no lone contributor can work out another unsafe cell from its own value, over all sums
    together. Raises Unsafe if that cannot be had.
    """
    import numpy as np

    repair: Repair | None = None
    for _ in range(200):
        told = contributors_know(problem, pattern.suppressed)
        if not told:
            return pattern
        repair = repair or Repair(problem, pattern.suppressed)
        extra = np.zeros(len(pattern.suppressed), dtype=bool)
        for own, cell in told[:25]:
            extra |= repair.cells(cell, held=own)
        if not (extra & ~pattern.suppressed).any():
            break
        pattern = prove(problem, pattern.suppressed | extra)
    raise Unsafe(
        "The table cannot be protected: a lone contributor could work out another unsafe cell from its own.",
        remedy="Use coarser categories, or leave the totals out.",
    )


def contributors_know(problem: Problem, mask: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of cells: the lone contributor of the first can work out the second, which is unsafe."""
    import numpy as np

    where = np.flatnonzero(mask)
    lone = (problem.alone & problem.primary)[where]
    pairs = [(int(where[i]), int(where[j])) for i, j in told_by_one(problem.matrix[:, where], lone)]
    return [(own, cell) for own, cell in pairs if problem.primary[cell]]


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
    weak: list[int] = np.flatnonzero(fixed & ~problem.hidden[where]).tolist()
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


def check_range(value: Any) -> float:
    """A share of the threshold for frequency tables. Raises BadInput outside 0 … 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise BadInput(f"{value!r} is not a share.", field="range", remedy="Use 0.3 for 30 % of the threshold.")
    return float(value)
