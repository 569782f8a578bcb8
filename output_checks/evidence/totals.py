"""Values that follow from mitigated cells: totals, percentages and means of what is still shown, rounded values.

Decides how totals follow from the cells that remain. Nothing here looks at suppressed cells. Leaves choosing
what to suppress to `mitigate` and `protection`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from output_checks.evidence.cells import Evidence
from output_checks.evidence.spec import PERCENTS

if TYPE_CHECKING:
    import numpy as np


Way = tuple["np.ndarray", "np.ndarray"]


def ways_up(e: Evidence, visible: np.ndarray) -> list[Way]:
    """From the visible base cells to the cells that they are part of, themselves included: position of each such cell,
    and of the base cell.
    """
    import numpy as np

    from output_checks.evidence.equations import parent_codes
    from output_checks.evidence.layout import cell_keys

    base = np.flatnonzero(e.base & visible)
    ways = [(e.codes[base], base)]
    for j in range(len(e.axes)):
        up = parent_codes(e, j)
        for codes, part in list(ways):
            current = codes
            while True:
                higher = up[current[:, j]]
                keep = higher >= -1
                if not keep.any():
                    break
                current, part = current[keep].copy(), part[keep]
                current[:, j] = higher[keep]
                ways.append((current, part))
    found = [(e.at(cell_keys(codes, e.axes)), part) for codes, part in ways]
    return [(at[at >= 0], part[at >= 0]) for at, part in found]


def add_up(e: Evidence, amounts: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """For every published cell the sum of `amounts` over the visible base cells below it (itself, if it is one)."""
    return _added(e, amounts, ways_up(e, visible))


def _added(e: Evidence, amounts: np.ndarray, ways: list[Way]) -> np.ndarray:
    import numpy as np

    out = np.zeros(len(e))
    for at, part in ways:
        out += np.bincount(at, amounts[part], len(e))
    return out


def values_of_shown(e: Evidence, visible: np.ndarray) -> np.ndarray:
    """The statistic of every cell from visible base cells alone; NaN where that cannot be told without looking
    further.
    """
    import numpy as np

    from output_checks.evidence.values import total_of

    statistic = e.spec.statistic
    with np.errstate(divide="ignore", invalid="ignore"):
        if statistic == "count":
            return add_up(e, e.weight, visible)
        if statistic == "sum":
            return add_up(e, e.total, visible)
        if statistic == "mean":
            ways = ways_up(e, visible)
            return np.asarray(_added(e, e.total, ways) / _added(e, e.weight, ways))
        if statistic in PERCENTS:
            rows, d = len(e.spec.rows), len(e.axes)
            over = {"percent": range(d), "row_percent": range(rows, d), "column_percent": range(rows)}[statistic]
            weights = add_up(e, e.weight, visible)
            at = total_of(e, e.axes, list(over))
            return np.where(at >= 0, 100 * weights / _below(e, weights, list(over), visible), np.nan)
    return np.full(len(e), np.nan)


def _below(e: Evidence, weights: np.ndarray, over: list[int], visible: np.ndarray) -> np.ndarray:
    """The denominator of each cell's percentage, added up from visible base cells."""
    import numpy as np

    from output_checks.evidence.layout import cell_keys

    base = np.flatnonzero(e.base & visible)
    codes = e.codes.copy()
    codes[:, over] = -1
    groups = cell_keys(codes, e.axes)
    if (np.delete(e.codes, over, axis=1) < 0).any():
        totals = {}
        for g in np.unique(groups[e.published]).tolist():
            member = codes[groups == g][0]
            inside = np.ones(len(base), dtype=bool)
            for j in range(len(e.axes)):
                if j not in over and member[j] >= 0:
                    inside &= e.codes[base, j] == member[j]
            totals[g] = float(weights[base][inside].sum())
        return np.array([totals.get(g, np.nan) for g in groups.tolist()])
    found, inverse = np.unique(groups, return_inverse=True)
    sums = np.zeros(len(found))
    np.add.at(sums, inverse[base], weights[base])
    return sums[inverse]


def rounded(values: Any, kind: str, base: int) -> Any:
    """Values rounded to a multiple of `base` (halves up), or to the midpoints of its bands (0 stays 0)."""
    import numpy as np

    values = np.asarray(values, dtype=float)
    if kind == "round":
        return np.floor(values / base + 0.5) * base
    return np.ceil(values / base) * base - (base // 2) * (values != 0)


def expected_values(e: Evidence, visible: np.ndarray) -> dict[str, np.ndarray]:
    """What a published value may be, by name: true, of what is shown, rounded, total of rounded cells."""
    import numpy as np

    if e.mode is not None:
        numbers = [float(v) if isinstance(v, int | float) else np.nan for v in e.mode.tolist()]
        return {"true": np.array(numbers)}
    of_shown = values_of_shown(e, visible)
    if e.spec.totals == "shown":
        own = e.base & (e.spec.statistic not in PERCENTS)
        if e.spec.statistic not in ("count", "sum", "mean", *PERCENTS):
            own = np.ones(len(e), dtype=bool)
        out = {"of_shown": np.where(own, e.value, of_shown)}
    else:
        out = {"true": e.value, "of_shown": of_shown}
    declared = e.spec.rounded_by
    if declared is None:
        return out
    direct = rounded(e.value if e.spec.totals == "true" else out["of_shown"], *declared)
    options = {"rounded": direct, "rounded_of_shown": rounded(out["of_shown"], *declared)}
    if e.spec.statistic in ("count", "sum"):
        base = e.base
        total = add_up(e, direct, visible)
        options["total_of_rounded"] = np.where(base, direct, total)
    return options
