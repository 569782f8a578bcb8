"""What follows from a published table about its unsafe cells, given the data that it is of.

Decides which suppressed or rounded cells can be worked out: from sums, from bounds (no cell is negative, a rounded
value is a band), from percentages that miss one to 100, and by a lone contributor from its own value. Leaves which
values may be published at all to `against`, and tables without their data to `auditing`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from output_checks.attack.attacker import determined, told_by_one
from output_checks.attack.bands import band
from output_checks.attack.intervals import feasible
from output_checks.evidence.cells import Evidence
from output_checks.evidence.equations import equations, percent_groups, sums
from output_checks.reading.published import PublishedCell
from output_checks.rules.findings import Finding
from output_checks.rules.judgement import BY_ID, Judgement

if TYPE_CHECKING:
    import numpy as np

NEAR = 1e-9
SLACK = 1e-3
HOUSE_BASE = 5


def worked_out(report: Judgement, shown: dict[int, PublishedCell]) -> list[Finding]:
    """Unsafe cells, suppressed or rounded, that follow from what is shown: from equations, from bounds (no cell is
    negative, a rounded value is a band), or for a lone contributor from its own value.
    """
    import numpy as np

    e = report.evidence
    if e.spec.totals == "shown":
        return []  # `_values` has seen that everything shown follows from cells that are shown
    least, most, told = _said(report, shown)
    system = sums(e)
    matrix = equations(system, len(e))[told[system.total]] if len(system) else equations(system, len(e))
    found = _percent_gaps(e, least != most, told & (least == most))
    lowest, highest = _attacked(report, matrix, least, most)
    found |= report.primary & (highest - lowest < (1 - SLACK) * _enough(report))
    problems = [_recovered(report, i, lowest[i], highest[i]) for i in (found & report.primary).nonzero()[0].tolist()]
    unknown = np.flatnonzero(e.published & (least != most))
    pairs = told_by_one(matrix[:, unknown], report.alone[unknown])
    return problems + [_by_one(report, unknown[j]) for j in {j for _, j in pairs if report.primary[unknown[j]]}]


def _said(report: Judgement, shown: dict[int, PublishedCell]) -> tuple[Any, Any, Any]:
    """Bounds that the published value of each cell says, and which cells say the truth or nothing: a total of what is
    shown says nothing of the hidden rest.
    """
    import numpy as np

    e = report.evidence
    floor = -np.inf if (e.negatives[e.published] > 0).any() else 0.0
    least, most, told = np.full(len(e), floor), np.full(len(e), np.inf), np.ones(len(e), dtype=bool)
    whole = e.spec.statistic == "count" and not e.spec.weights
    for i, c in shown.items():
        truth = float(e.value[i]) if e.mode is None else float("nan")
        value = float("nan") if c.value is None else float(c.value)
        if e.spec.rounding:
            low, high = (x[0] for x in band(np.array([value]), e.spec.rounding, whole=whole, negative=floor < 0))
            told[i] = low <= truth <= high
        else:
            low = high = truth
            told[i] = abs(value - truth) <= c.slack + NEAR * max(1.0, abs(truth))
        if told[i]:
            least[i], most[i] = low, high
    return least, most, told


def _attacked(report: Judgement, matrix: Any, least: Any, most: Any) -> tuple[Any, Any]:
    """Feasible interval of every unsafe cell; of the others only what they say themselves."""
    import numpy as np

    e = report.evidence
    unknown = np.flatnonzero(e.published & (least != most))
    lowest, highest = np.full(len(e), -np.inf), np.full(len(e), np.inf)
    wanted = np.flatnonzero(report.primary[unknown])
    inside = matrix[:, unknown]
    used = np.diff(inside.indptr) > 0
    if not len(wanted) or not used.any():
        return lowest, highest
    known = np.where(least == most, np.nan_to_num(least), 0.0)
    right = -np.asarray(matrix @ known)[used]
    enough = np.where(report.primary, (1 - SLACK) * _enough(report), 0.0)[unknown]
    low, high = least[unknown], most[unknown]
    found = feasible(inside[used], right, cells=wanted, low=low, high=high, enough=enough)
    at, fixed = unknown[wanted], determined(inside)
    lowest[at], highest[at] = np.where(fixed, found[1], found[0])[wanted], found[1][wanted]
    return lowest, highest


def _enough(report: Judgement) -> np.ndarray:
    """How far apart the bounds of each unsafe cell must be: two values; where values are rounded, as many as the
    house's own base would leave.
    """
    import numpy as np

    e = report.evidence
    if e.spec.rounding:
        return np.full(len(e), float((report.profile.round_base or HOUSE_BASE) - 1))
    if e.spec.statistic == "count" and not e.spec.weights:
        return np.ones(len(e))
    return np.asarray(1e-6 * np.maximum(1.0, np.abs(np.nan_to_num(e.value))))


def _percent_gaps(e: Evidence, unknown: Any, exact: Any) -> Any:
    """Percentages that are what is missing to 100."""
    import numpy as np

    group = percent_groups(e)
    found = np.zeros(len(e), dtype=bool)
    if not (group >= 0).any():
        return found
    gaps = np.bincount(group[(group >= 0) & unknown], minlength=int(group.max()) + 1)
    told = np.bincount(group[(group >= 0) & exact], minlength=int(group.max()) + 1)
    alone = (gaps == 1) & (told > 0)
    inside = (group >= 0) & unknown
    found[inside] = alone[group[inside]]
    return found


def _recovered(report: Judgement, i: int, least: float, most: float) -> Finding:
    rules = [rule for rule, (severity, mask) in report.masks.items() if severity == "fail" and mask[i]]
    how = (
        f"lies between {round(least, 6) + 0:g} and {most:g}"
        if math.isfinite(least) and least < most
        else "follows exactly"
    )
    return Finding(
        "recoverable",
        "fail",
        f"The unsafe cell ({', '.join(BY_ID[rule].id for rule in rules)}) {how} by what is published.",
        "Use totals of the published cells (and declare totals: shown), suppress a further cell in the same row and "
        "column, or leave totals out.",
        cell=report._labels(i, 0, len(report.spec.dimensions)),
        evidence=report.shown_evidence(i),
    )


def _by_one(report: Judgement, i: int) -> Finding:
    why = "The only contributor of another suppressed cell can work this one out from its own value."
    labels = report._labels(i, 0, len(report.spec.dimensions))
    return Finding("singleton", "fail", why, "Suppress a third cell of the row and column.", cell=labels)
