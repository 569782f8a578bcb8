"""`audit`: published tables seen with an attacker's eyes.

Decides which suppressed cells can be recovered exactly or bounded too closely, from the published values
alone, over any number of linked tables. Leaves the algebra to `attacker` and `intervals`, reading to `systems`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from output_checks.attack.attacker import determined, told_by_one
from output_checks.attack.bands import CLOSE, WIDTH
from output_checks.attack.intervals import CONTRADICTION, TOLERANCE, feasible
from output_checks.attack.longtable import LongTable, Name, Trees, read_long
from output_checks.attack.systems import System, link
from output_checks.errors import Unreadable
from output_checks.evidence.spec import TOTAL
from output_checks.rules.findings import Finding, status_of

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Audit:
    """What an attacker learns. Arrays are over the suppressed cells that some table shows.

    names      labels of the cell                 exact  whether its value is determined
    least, most   its feasible interval (equal where exact)
    """

    names: tuple[Name, ...]
    exact: np.ndarray
    least: np.ndarray
    most: np.ndarray
    findings: tuple[Finding, ...]
    cells: int

    @property
    def status(self) -> str:
        """pass, review (something is bounded too closely) or fail (something is recovered)."""
        return status_of(finding.severity for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; an unbounded side is null."""
        suppressed = [
            {
                "cell": dict(name),
                "exact": bool(exact),
                "least": _finite(least),
                "most": _finite(most),
            }
            for name, exact, least, most in zip(
                self.names, self.exact.tolist(), self.least.tolist(), self.most.tolist(), strict=True
            )
        ]
        return {
            "status": self.status,
            "cells": self.cells,
            "suppressed": suppressed,
            "recoverable": sum(map(bool, self.exact.tolist())),
            "findings": [finding.to_dict() for finding in self.findings],
        }


def audit(
    *tables: str | Path | bytes | LongTable,
    total: str = TOTAL,
    width: float = WIDTH,
    intervals: bool = True,
    negative: bool = False,
    parents: Trees | None = None,
    rounding: str = "",
    totals: str = "true",
    whole: bool = True,
    close: float = CLOSE,
    alone: Sequence[dict[str, str]] = (),
) -> Audit:
    """Attacks published long tables jointly.

    A value column called `count`, `sum:income`, `mean:income`, `percent`, `row_percent` or `column_percent` says what
    it holds: means and percentages are then multiplied back. Any other name is something that adds up.

    width      a whole cell known to less than this many is a finding, too (0: only exact values)
    intervals  False: equations only, without non-negativity (fast)
    negative   whether cells may be negative, as surely they may where a published one is
    parents    per dimension label → parent label, or the lengths of the prefixes that are parents
    rounding   "round:5" or "midpoint:6": what was done to the values of all tables; true values lie in bands
    totals     "shown": totals add up what is shown and say nothing of the rest
    whole      whether cells are whole numbers (counts); published fractions say that they are not
    close      a sum known to within this share of itself is a finding (0.05: to within 5 %)
    alone      suppressed cells with a single contributor, who knows them: other gaps must not follow from one of them
    Raises Unreadable for files that are no long table and for tables that contradict one another.
    """
    long = [
        t if isinstance(t, LongTable) else read_long(t, total=total, parents=parents, rounding=rounding, totals=totals)
        for t in tables
    ]
    system = link(long, negative=negative, whole=whole)
    if system.contradicts_itself():
        raise Unreadable(CONTRADICTION, field="table", remedy="Correct it, or say its rounding and hierarchies.")
    return audit_system(
        system, width=width, intervals=intervals, close=close, alone=[tuple(sorted(cell.items())) for cell in alone]
    )


def audit_system(
    system: System,
    *,
    width: float = 0.0,
    intervals: bool = True,
    close: float = 0.0,
    alone: Sequence[Name] = (),
    below: float = float("inf"),
) -> Audit:
    """The same for a system that is at hand; cells that are surely at `below` or above it are not attacked."""
    import numpy as np

    unknown = np.flatnonzero(system.unknown)
    least, most, exact = (
        system.least[unknown].copy(),
        system.most[unknown].copy(),
        determined(system.matrix[:, unknown]),
    )
    shown = system.shown[unknown] & (least < below)
    wanted = np.flatnonzero(shown if intervals or system.ratios.shape[0] else shown & exact)
    if len(wanted) and not system.conflicts:
        least, most = _bounds(system, unknown, wanted)
        size = np.where(np.isfinite(most), np.maximum(np.abs(most), 1), 1)
        in_whole = system.whole[unknown]
        least = np.where(in_whole, np.ceil(least - 1e-4), least)
        most = np.where(in_whole, np.floor(most + 1e-4), most)
        exact = exact | (np.isfinite(most) & (most - least <= TOLERANCE * size))
    findings = [_conflict(name) for name in system.conflicts]
    at = unknown[shown]
    names = tuple(system.names[i] for i in at.tolist())
    found = Audit(names, exact[shown], least[shown], most[shown], (), int(system.shown.sum()))
    widths = np.minimum(width, (system.most[at] - system.least[at]) / 2)  # a rounded value keeps half of its band
    findings += _told(found, [system.measures[i] for i in at.tolist()], ~system.whole[at], widths, close)
    findings += _told_by_one(system, unknown, set(alone), exact)
    return replace(found, findings=tuple(findings))


def _bounds(system: System, unknown: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Feasible intervals; where they do not agree to the last decimal, as loosely as decimals are shown, and without
    quotients if the tables do not agree on what they are of.
    """
    import numpy as np

    values = np.nan_to_num(system.values)
    low, high = system.least[unknown], system.most[unknown]

    def cut(matrix: Any) -> tuple[Any, np.ndarray, np.ndarray]:
        inside = matrix.tocsr()[:, unknown]
        used = np.diff(inside.indptr) > 0
        return inside[used], np.asarray(-(matrix @ values))[used], used

    rows, right, used = cut(system.matrix)
    above, slack = cut(system.ratios)[:2] if system.ratios.shape[0] else None, system.slack[used]
    ways = [(above, 0 * slack), *([(above, slack)] if slack.any() else []), *([(None, slack)] if above else [])]
    for number, (quotients, loose) in enumerate(ways, start=1):
        try:
            found = feasible(rows, right, cells=wanted, low=low, high=high, above=quotients, slack=loose)
            break
        except Unreadable:
            if number == len(ways):
                raise
    least, most = low.copy(), high.copy()
    least[wanted], most[wanted] = np.maximum(found[0], low)[wanted], np.minimum(found[1], high)[wanted]
    return least, most


def _told(found: Audit, measures: list[str], sums: np.ndarray, widths: np.ndarray, close: float) -> Iterator[Finding]:
    """Findings on each suppressed or rounded cell by itself."""
    cells = zip(
        found.names,
        measures,
        sums.tolist(),
        found.exact.tolist(),
        found.least.tolist(),
        found.most.tolist(),
        widths.tolist(),
        strict=True,
    )
    for name, measure, is_sum, exact, least, most, width in cells:
        if exact:
            yield _recovered(name, most, measure)
        elif is_sum and close and abs(most) != float("inf") and most - least <= close * abs(most + least):
            yield _close(name, least, most, measure)
        elif not is_sum and most - least < width:
            yield _narrow(name, least, most, width)


def _told_by_one(system: System, unknown: np.ndarray, alone: set[Name], exact: np.ndarray) -> Iterator[Finding]:
    """Gaps that follow from the value that a lone contributor knows, over all equations together."""
    if not alone:
        return
    is_alone = [system.names[i] in alone for i in unknown.tolist()]
    for i, j in told_by_one(system.matrix[:, unknown], is_alone):
        if system.shown[unknown[j]] and not exact[j]:
            name, by = system.names[unknown[j]], system.names[unknown[i]]
            why = f"Whoever is alone in {dict(by)} can work the cell out."
            yield Finding("singleton", "fail", why, "Suppress a further cell of its row and column.", cell=dict(name))


def _recovered(name: Name, value: float, measure: str) -> Finding:
    why = f"The cell can only be {value + 0:g}." if abs(value) != float("inf") else "The cell is determined."
    return Finding(
        "recoverable", "fail", why, "Suppress a further cell of its row and column.", cell=dict(name),
        evidence=_of(measure),
    )  # fmt: skip


def _close(name: Name, least: float, most: float, measure: str) -> Finding:
    why = f"What is published puts the cell's sum between {least:g} and {most:g}."
    remedy = "Suppress a further cell of its row and column; of means, leave out the totals or show fewer decimals."
    return Finding("close", "fail", why, remedy, dict(name), {"least": least, "most": most, **_of(measure)})


def _of(measure: str) -> dict[str, str]:
    return {} if measure == "value" else {"measure": measure}


def _narrow(name: Name, least: float, most: float, width: float) -> Finding:
    return Finding(
        "narrow", "review", f"The cell lies between {least + 0:g} and {most + 0:g}; a width of {width:g} is asked for.",
        "Suppress a further cell of its row and column.", cell=dict(name), evidence={"least": least, "most": most},
    )  # fmt: skip


def _conflict(name: Name) -> Finding:
    return Finding("conflict", "fail", "Two tables say different things of one cell.", "Correct one.", cell=dict(name))


def _finite(value: float) -> float | None:
    return value + 0.0 if abs(value) != float("inf") else None  # no -0
