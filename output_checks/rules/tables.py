"""The rules on tables: pure functions of evidence and a risk appetite, one mask over all cells each.

Decides which cells are unsafe and why. Leaves gathering evidence to `evidence`, wording of whole reports to
`report`. Sources are named per rule; thresholds come from the profile, which also says whether its limit
itself is safe. Floating-point shares within 1e-12 of a limit count as at it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from output_checks.appetites import Limit, Profile
from output_checks.evidence.cells import Evidence
from output_checks.evidence.spec import SHAPES

Mask = Any
TOLERANCE = 1e-12


@dataclass(frozen=True)
class Rule:
    """One rule: which statistics it applies to, how it judges, what it says.

    judge     evidence, profile → mask of unsafe cells      severity  profile → fail, review, note or off
    why       evidence, profile, cell number → sentence     shows     names of the evidence it rests on
    """

    id: str
    applies: Callable[[Evidence], bool]
    judge: Callable[[Evidence, Profile], Mask]
    severity: Callable[[Profile], str]
    why: Callable[[Evidence, Profile, int], str]
    remedy: str
    source: str
    shows: tuple[str, ...] = ("units",)


def below_limit(values: Any, limit: Limit) -> Mask:
    """Where values that should be large are not large enough."""
    slack = TOLERANCE * abs(limit.limit)
    return values < limit.limit - slack if limit.safe_at_limit else values <= limit.limit + slack


def above_limit(values: Any, limit: Limit) -> Mask:
    """Where values that should be small are too large."""
    slack = TOLERANCE * abs(limit.limit)
    return values > limit.limit + slack if limit.safe_at_limit else values >= limit.limit - slack


def threshold(e: Evidence, p: Profile) -> Mask:
    """Cells with some but too few protected units, unweighted."""
    return (e.units > 0) & below_limit(e.units, p.threshold)


def zero(e: Evidence, p: Profile) -> Mask:
    """Empty cells: everybody of the row or column is known not to be there."""
    return (e.units == 0) & p.zeros_are_disclosive


def denominator(e: Evidence, p: Profile) -> Mask:
    """Percentages of too few: numerator and denominator can be worked out."""
    return (e.denominator > 0) & below_limit(e.denominator, p.threshold)


def dominance_nk(e: Evidence, p: Profile) -> Mask:
    """Cells that n contributors hold to the share k; sizes are absolute values."""
    import numpy as np

    unsafe = np.zeros(len(e), dtype=bool)
    for rule in p.nk:
        largest = np.sort(e.top, axis=1)[:, ::-1][:, : rule.n].sum(axis=1)
        limit = rule.k * e.total_abs
        slack = TOLERANCE * e.total_abs
        over = largest > limit + slack if rule.safe_at_limit else largest >= limit - slack
        unsafe |= over & (e.total_abs > 0)
    return unsafe


def dominance_p(e: Evidence, p: Profile) -> Mask:
    """Cells where the second largest contributor could estimate the largest to within the share p."""
    import numpy as np

    if p.p is None:
        return np.zeros(len(e), dtype=bool)
    first = e.top[:, 0]
    rest = e.total_abs - first - e.top[:, 1]
    slack = TOLERANCE * e.total_abs
    need = p.p.limit * first
    unsafe = rest < need - slack if p.p.safe_at_limit else rest <= need + slack
    return np.asarray(unsafe & (first > 0))


def class_share(e: Evidence, p: Profile) -> Mask:
    """Cells that hold nearly all of a row or column total: a fact about (nearly) everybody in it."""
    import numpy as np

    if p.class_share is None:
        return np.zeros(len(e), dtype=bool)
    return above_limit(np.nan_to_num(e.shares), p.class_share).any(axis=1) & (e.units > 0)


def all_same(e: Evidence, p: Profile) -> Mask:
    """Cells in which everybody has the same value: the statistic says it of each."""
    return (e.n > 0) & (e.low == e.high)


def extreme(e: Evidence, p: Profile) -> Mask:
    """Least and greatest values that fewer records share than the threshold asks for."""
    return (e.n > 0) & below_limit(e.ties, p.threshold)


def side_count(e: Evidence, p: Profile) -> Mask:
    """Positions with too few records on one side, unless enough records share the value itself."""
    few = below_limit(e.below, p.threshold) | below_limit(e.above, p.threshold)
    return (e.n > 0) & few & below_limit(e.ties, p.threshold)


def dof(e: Evidence, p: Profile) -> Mask:
    """Measures of shape with too few degrees of freedom (units - 1)."""
    import numpy as np

    if p.dof is None:
        return np.zeros(len(e), dtype=bool)
    return (e.units > 0) & below_limit(e.units - 1, p.dof)


def mode_share(e: Evidence, p: Profile) -> Mask:
    """Modes that nearly everybody has."""
    import numpy as np

    if p.mode_share is None:
        return np.zeros(len(e), dtype=bool)
    return (e.n > 0) & above_limit(1 - e.below / np.maximum(e.n, 1), p.mode_share)


def mode_count(e: Evidence, p: Profile) -> Mask:
    """Modes that too few records have."""
    return (e.n > 0) & below_limit(e.ties, p.threshold)


def negatives(e: Evidence, p: Profile) -> Mask:
    """Negative contributions: dominance was judged on absolute values."""
    return e.negatives > 0


def missing_values(e: Evidence, p: Profile) -> Mask:
    """Cells in which some values are missing: the count that matters is smaller than the cell's."""
    return e.missing > 0


def not_finite(e: Evidence, p: Profile) -> Mask:
    """Infinite contributions: nothing can be said about dominance, so the cell is blocked."""
    import numpy as np

    return (e.n > 0) & ~(np.isfinite(e.total) & np.isfinite(e.total_abs) & np.isfinite(e.low) & np.isfinite(e.high))


def _values(e: Evidence) -> bool:
    return not e.spec.count_like


def _fail(p: Profile) -> str:
    return "fail"


def _is(*statistics: str) -> Callable[[Evidence], bool]:
    return lambda e: e.spec.statistic in statistics


SUPPRESS = "Suppress the cell, merge it with a neighbour, or use coarser categories."
RULES: tuple[Rule, ...] = (
    Rule(
        "threshold", lambda e: True, threshold, _fail,
        lambda e, p, i: f"Only {e.units[i]} {_who(e)} in this cell; the house asks for {_least(p.threshold)}.",
        SUPPRESS, "minimum threshold check (SACRO), rule of thumb (DwB)", ("units", "records"),
    ),
    Rule(
        "zero", lambda e: True, zero, _fail,
        lambda e, p, i: "Nobody is in this cell, which says something about everybody in its row and column.",
        "Suppress the cell, or show that it is empty by definition.", "presence of zero check (SACRO)", ("units",),
    ),
    Rule(
        "denominator", lambda e: e.spec.statistic.endswith("percent"), denominator, _fail,
        lambda e, p, i: f"The percentage is of {int(e.denominator[i])}; numerator and denominator can be worked out.",
        SUPPRESS, "percentages carry numerator and denominator (DwB)", ("denominator",),
    ),
    Rule(
        "dominance_nk", lambda e: e.magnitude, dominance_nk, _fail,
        lambda e, p, i: f"{_dominant(e, p, i)} of the cell's total.",
        SUPPRESS, "nk rule (SACRO, ABS DataLab)", ("total_abs", "top"),
    ),
    Rule(
        "dominance_p", lambda e: e.magnitude, dominance_p, _fail,
        lambda e, p, i: "Without the two largest contributors too little remains to hide the largest from the second "
        f"largest ({_percent(p.p)} of it is asked for).",
        SUPPRESS, "p % rule, p-ratio (SACRO, Stata ACRO)", ("total_abs", "top"),
    ),
    Rule(
        "class_share", lambda e: e.spec.count_like, class_share, _fail,
        lambda e, p, i: f"{100 * _largest(e, i):.1f} % of a row or column total is in this cell; "
        f"above {_percent(p.class_share)} it says something about everybody there.",
        "Merge categories, or suppress the row or column.", "group disclosure (DwB, ABS DataLab)", ("units", "share"),
    ),
    Rule(
        "all_same", lambda e: not e.spec.count_like and e.mode is None, all_same, lambda p: p.all_same,
        lambda e, p, i: "Everybody in this cell has the same value, which the statistic says of each of them.",
        "Suppress the cell or merge it with one that differs.", "all-values-same check (SACRO)", ("n", "low", "high"),
    ),
    Rule(
        "extreme", _is("min", "max"), extreme, lambda p: p.extreme,
        lambda e, p, i: f"The value belongs to {e.ties[i]} record(s); {_least(p.threshold)} must share it.",
        "Publish a high or low quantile with enough records beyond it, or the legal limit.", "end points (SACRO)",
        ("ties", "n"),
    ),
    Rule(
        "side_count", lambda e: e.spec.quantile is not None, side_count, lambda p: p.side_count,
        lambda e, p, i: f"{e.below[i]} records lie below the value and {e.above[i]} above; {_least(p.threshold)} are "
        "asked for on each side.",
        "Use a quantile nearer to the middle, coarser cells, or suppress.", "position (SACRO)",
        ("below", "ties", "above"),
    ),
    Rule(
        "dof", _is(*SHAPES), dof, _fail,
        lambda e, p, i: f"{e.units[i] - 1} degrees of freedom; the house asks for {_least(p.dof)}.",
        SUPPRESS, "minimum degrees of freedom check (SACRO)", ("units",),
    ),
    Rule(
        "mode_share", _is("mode"), mode_share, _fail,
        lambda e, p, i: f"{e.n[i] - e.below[i]} of {e.n[i]} records have the value; above "
        f"{_percent(p.mode_share)} it is known of all.",
        "Suppress, or use coarser cells.", "mode (SDC Handbook)", ("ties", "n"),
    ),
    Rule(
        "mode_count", _is("mode"), mode_count, _fail,
        lambda e, p, i: f"Only {e.ties[i]} records have the commonest value.",
        "Use coarser values or cells.", "mode (SDC Handbook)", ("ties", "n"),
    ),
    Rule(
        "negatives", lambda e: e.magnitude, negatives, lambda p: p.negatives,
        lambda e, p, i: f"{e.negatives[i]} contributions are negative; dominance was judged on absolute values.",
        "A checker looks at the cell.", "negative values (SACRO, ABS DataLab)", ("negatives",),
    ),
    Rule(
        "missing_values", _values, missing_values, lambda p: p.missing_values,
        lambda e, p, i: f"{e.missing[i]} records of the cell have no value.",
        "State how many are missing.", "missing check (SACRO, optional)", ("missing", "n"),
    ),
    Rule(
        "not_finite", _values, not_finite, _fail,
        lambda e, p, i: "Some values are infinite, so nothing can be said about who contributes how much.",
        "Remove or replace infinite values.", "unknown means blocked", ("n",),
    ),
)  # fmt: skip


def _who(e: Evidence) -> str:
    return f"different {e.spec.unit or e.spec.holding}" if e.spec.unit or e.spec.holding else "records"


def _least(limit: Limit | None) -> str:
    assert limit is not None
    return f"at least {limit.words}" if limit.safe_at_limit else f"more than {limit.words}"


def _percent(limit: Limit | None) -> str:
    return f"{100 * limit.limit:g} %" if limit else "none"


def _largest(e: Evidence, i: int) -> float:
    import numpy as np

    return float(np.nanmax(np.nan_to_num(e.shares[i]))) if e.shares.shape[1] else 0.0


def _dominant(e: Evidence, p: Profile, i: int) -> str:
    ordered = sorted(e.top[i].tolist(), reverse=True)
    parts = [
        f"the largest {rule.n} hold {100 * sum(ordered[: rule.n]) / e.total_abs[i]:.1f} % (limit {100 * rule.k:g} %)"
        for rule in p.nk
        if e.total_abs[i] > 0
    ]
    text = " and ".join(parts) or "few contributors hold nearly all"
    return text[0].upper() + text[1:]
