"""Several tables of the same people attacked together: what can be added up, subtracted and multiplied back.

Decides which releases become one system and what of it is reported: gaps that follow from sums of other tables,
sums that follow from means and counts, counts that follow from percentages and totals, small counts behind several
roundings. Leaves the algebra to `auditing`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from output_checks.appetites import Profile
from output_checks.attack.auditing import audit_system
from output_checks.attack.bands import Measure
from output_checks.attack.longtable import LongTable
from output_checks.attack.systems import link
from output_checks.errors import Unreadable
from output_checks.evidence.layout import parents
from output_checks.evidence.spec import TableSpec
from output_checks.history.releases import Release
from output_checks.rules.findings import Finding

CLOSE = 0.1
MOST_PROGRAMS = 5_000


def attack(releases: Sequence[Release], house: Profile) -> list[Finding]:
    """Findings of tables on the same records: `linked` (fail) for what is recovered, `close` (fail) for sums that are
    known to within the share p of the house, `conflict` (fail) for tables that contradict one another.
    """
    tables = [table for release in releases if (table := long_of(release)) is not None]
    gaps = any((table.values != table.values).any() or table.rounding for table in tables)
    if len(tables) < 2 or not gaps:
        return []
    negative = any(bool((table.values < 0).any()) for table in tables)
    system = link(tables, negative=negative)
    few = int((system.unknown & system.shown).sum()) <= MOST_PROGRAMS
    close = house.p.limit if house.p is not None else CLOSE
    try:
        found = audit_system(system, intervals=few, close=close, below=house.threshold.limit).findings
    except Unreadable as problem:
        return [Finding("conflict", "fail", f"The tables together: {problem.message}", "Correct one of them.")]
    return [replace(f, rule="linked") if f.rule == "recoverable" else f for f in found]


def together(releases: Sequence[Release], house: Profile) -> list[Finding]:
    """The same for tables of one submission, by population: equal filter, weights and treatment of missing labels.

    Without the data nobody knows whether labels are missing, so tables that contradict one another because of what was
    dropped are attacked by equal dimensions only.
    """
    findings: list[Finding] = []
    for group in _groups(releases, ("where", "missing", "weights")):
        found = attack(group, house)
        if any(f.rule == "conflict" for f in found):
            found = [f for part in _groups(group, ("rows", "columns")) for f in attack(part, house)]
        findings += found
    return findings


def _groups(releases: Sequence[Release], keys: tuple[str, ...]) -> list[list[Release]]:
    groups: dict[str, list[Release]] = {}
    for release in releases:
        groups.setdefault(json.dumps([release.spec.get(key) for key in keys], sort_keys=True), []).append(release)
    return list(groups.values())


def long_of(release: Release) -> LongTable | None:
    """A release as a table for the joint attack; None for statistics that neither add up nor are quotients."""
    import numpy as np

    spec = TableSpec.from_dict(release.spec)
    measure = Measure(spec.statistic, spec.values or "")
    if spec.statistic not in ("count", "sum") and not measure.quotient:
        return None
    labels = tuple(row for row, _ in release.cells)
    values = np.array([np.nan if value is None else value for _, value in release.cells])
    trees = {
        name: _parents(spec, name, [row[j] for row in labels])
        for j, name in enumerate(spec.dimensions)
        if name in spec.hierarchies
    }
    return LongTable(
        spec.dimensions, labels, values, f"{spec.statistic}:{spec.values or ''}", spec.total, trees,
        rounding=spec.rounding, totals=spec.totals, rows=len(spec.rows),
    )  # fmt: skip


def _parents(spec: TableSpec, name: str, labels: list[str]) -> dict[str, str]:
    known = tuple(label for label in dict.fromkeys(labels) if label != spec.total)
    return {str(child): str(parent) for child, parent in parents(spec, name, known).items() if parent is not None}
