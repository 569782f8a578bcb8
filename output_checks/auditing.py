"""`audit`: published tables seen with an attacker's eyes.

Decides which suppressed cells can be recovered exactly or bounded too closely, from the published values
alone, over any number of linked tables. Leaves the algebra to `attacker` and `intervals`, reading to `systems`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from output_checks.attacker import determined
from output_checks.findings import Finding, status_of
from output_checks.intervals import TOLERANCE, feasible
from output_checks.spec import TOTAL
from output_checks.systems import LongTable, Name, System, link, read_long

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
    width: float = 0.0,
    intervals: bool = True,
    negative: bool = False,
    parents: dict[str, dict[str, str]] | None = None,
) -> Audit:
    """Attacks published long tables jointly.

    width      a feasible interval narrower than this is a finding, too (0: only exact values)
    intervals  False: equations only, without non-negativity (fast)
    negative   whether cells may be negative          parents  per dimension label → parent label
    Raises Unreadable for files that are no long table and for tables that contradict one another.
    """
    long = [t if isinstance(t, LongTable) else read_long(t, total=total, parents=parents) for t in tables]
    return audit_system(link(long), width=width, intervals=intervals, negative=negative)


def audit_system(system: System, *, width: float = 0.0, intervals: bool = True, negative: bool = False) -> Audit:
    """The same for a system that is at hand."""
    import numpy as np

    unknown = np.flatnonzero(system.unknown)
    matrix = system.matrix[:, unknown]
    right = -system.matrix @ np.nan_to_num(system.values)
    findings = [_conflict(name) for name in system.conflicts]
    exact = determined(matrix)
    least, most = np.full(len(unknown), -np.inf if negative else 0.0), np.full(len(unknown), np.inf)
    if len(unknown) and (intervals or exact.any()) and not system.conflicts:
        used = matrix[np.diff(matrix.indptr) > 0]
        wanted = np.flatnonzero(system.shown[unknown] if intervals else system.shown[unknown] & exact)
        low = np.full(len(unknown), -np.inf) if negative else None
        found_least, found_most, _ = feasible(used, right[np.diff(matrix.indptr) > 0], cells=wanted, low=low)
        least[wanted], most[wanted] = found_least[wanted], found_most[wanted]
        tight = most - least <= TOLERANCE * np.maximum(1, np.abs(np.where(np.isfinite(most), most, 0)))
        exact = exact | (tight & np.isfinite(most))
    shown = system.shown[unknown]
    names = tuple(system.names[i] for i in unknown[shown].tolist())
    exact, least, most = exact[shown], least[shown], most[shown]
    findings += [_recovered(n, v) for n, v, e in zip(names, most.tolist(), exact.tolist(), strict=True) if e]
    narrow = ~exact & (most - least < width)
    findings += [
        _narrow(n, lo, hi, width)
        for n, lo, hi, flag in zip(names, least.tolist(), most.tolist(), narrow.tolist(), strict=True)
        if flag
    ]
    return Audit(names, exact, least, most, tuple(findings), int(system.shown.sum()))


def _recovered(name: Name, value: float) -> Finding:
    why = f"The suppressed cell can only be {value:g}." if abs(value) != float("inf") else "The cell is determined."
    return Finding("recoverable", "fail", why, "Suppress a further cell of its row and column.", cell=dict(name))


def _narrow(name: Name, least: float, most: float, width: float) -> Finding:
    return Finding(
        "narrow", "review", f"The cell lies between {least:g} and {most:g}; a width of {width:g} is asked for.",
        "Suppress a further cell of its row and column.", cell=dict(name), evidence={"least": least, "most": most},
    )  # fmt: skip


def _conflict(name: Name) -> Finding:
    return Finding("conflict", "fail", "Two tables say different things of one cell.", "Correct one.", cell=dict(name))


def _finite(value: float) -> float | None:
    return value if abs(value) != float("inf") else None
