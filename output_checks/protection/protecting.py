"""From a judged table to the cells that must be empty so that its true totals can stay.

Decides what is asked of each unsafe cell (its required range), which cells may go with it and what they cost.
Leaves the search to `protection` and the proof's form to `certificates`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from output_checks.errors import BadInput
from output_checks.evidence.equations import equations, sums
from output_checks.protection.problem import Problem
from output_checks.protection.search import Pattern, check_range, protect_cells
from output_checks.rules.judgement import Judgement

if TYPE_CHECKING:
    import numpy as np

RANGE = 0.3


def protect_report(report: Judgement, *, range: float = RANGE, seconds: float = 10.0) -> tuple[np.ndarray, Proof]:
    """Mask of the cells that must be empty, and why that is enough. Raises BadInput for statistics without sums, Unsafe
    if the table cannot be protected at all.
    """
    import numpy as np

    share = check_range(range)
    check_additive(report)
    problem = problem_of(report, share)
    pattern = protect_cells(problem, seconds=seconds)
    gone = np.zeros(len(report.evidence), dtype=bool)
    gone[report.evidence.published] = pattern.suppressed
    return gone, Proof(problem, pattern, names(report))


def check_additive(report: Judgement) -> None:
    """Raises BadInput for a table whose cells do not add up, or have no bound below."""
    e = report.evidence
    if e.spec.statistic not in ("count", "sum"):
        raise BadInput(f"{e.spec.statistic} does not add up.", field="statistic", remedy="Use suppress() instead.")
    if e.spec.statistic == "sum" and bool((e.negatives[e.published] > 0).any()):
        raise BadInput("negative values have no bound.", field="values", remedy='Use suppress(totals="recompute").')


def names(report: Judgement) -> list[dict[str, str]]:
    """The non-total labels of every published cell."""
    e, total = report.evidence, report.spec.total
    rows = e.codes[e.published].tolist()
    labels = ({a.name: a.text(code, total) for a, code in zip(e.axes, row, strict=True)} for row in rows)
    return [{name: text for name, text in cell.items() if text != total} for cell in labels]


@dataclass(frozen=True)
class Proof:
    """The problem, the pattern that solves it and the names of its cells; `certificates` turns them into what leaves
    with the table.
    """

    problem: Problem
    pattern: Pattern
    names: list[dict[str, str]]


def problem_of(report: Judgement, share: float) -> Problem:
    """The published cells of a report as a problem of protection."""
    import numpy as np

    e = report.evidence
    shown = np.flatnonzero(e.published)
    matrix = equations(sums(e), len(e))[:, shown]
    value, primary = e.value[shown], report.primary[shown]
    whole = e.spec.statistic == "count" and not e.spec.weights
    return Problem(
        matrix=matrix, value=value, primary=primary, required=required_ranges(report, share)[shown],
        allowed=(value > 0) & ~primary, cost=np.log1p(np.maximum(value, 0)),
        alone=report.alone[shown], hidden=np.zeros(len(shown), dtype=bool), whole=whole,
    )  # fmt: skip


def required_ranges(report: Judgement, share: float) -> np.ndarray:
    """For each cell of the evidence how far apart the reader's bounds must be; 0 for safe cells.

    Frequencies: ± share × threshold, down to zero at most. Magnitudes: the upper protection level of the rule
    that fails (p % of the largest less what the others hide of it; nk: largest / k less the total), the same
    downwards.
    """
    import numpy as np

    e, p = report.evidence, report.profile
    value = np.nan_to_num(np.abs(e.value))
    up = np.zeros(len(e))
    if e.spec.statistic == "count":
        step = np.ceil(share * p.threshold.limit)
        up = np.full(len(e), max(step, 1.0))
    else:
        first, second = e.top[:, 0], e.top[:, 1]
        if p.p is not None:
            up = np.maximum(up, p.p.limit * first - (e.total_abs - first - second))
        for rule in p.nk:
            largest = np.sort(e.top, axis=1)[:, ::-1][:, : rule.n].sum(axis=1)
            up = np.maximum(up, largest / rule.k - e.total_abs)
        up = np.maximum(up, share * value)
    return np.asarray(np.where(report.primary, up + np.minimum(up, value), 0.0))
