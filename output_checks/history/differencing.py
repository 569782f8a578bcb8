"""`compare`: what a new table gives away together with what was released before.

Decides how a new table is held against every earlier release on the same data: cells that are new or changed
by fewer people than the threshold (a filter moved, a category split, a newer snapshot), and a joint attack on
tables of the same population. Populations are compared directly on the data, never guessed from the filters' text.
Leaves what is remembered to `releases` and the joint attack to `joint`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from output_checks.appetites import Profile, load
from output_checks.errors import OutputCheckError
from output_checks.evidence.sources import attach
from output_checks.evidence.spec import TableSpec
from output_checks.evidence.where import Expression, Group, Not, Test
from output_checks.history.joint import attack
from output_checks.history.releases import Release, Store, release_of
from output_checks.mitigation.report import check
from output_checks.rules.findings import Finding
from output_checks.rules.tables import below_limit
from output_checks.rules.verdict import Verdict

if TYPE_CHECKING:
    from output_checks.mitigation.mitigate import Mitigated


Seen = dict[str, list[tuple[tuple[str, ...], int, str]]]


def compare(
    spec: TableSpec | dict[str, Any],
    data: Any,
    store: Store | Iterable[Release],
    *,
    profile: str | Path | Profile = "sacro",
    table: Mitigated | None = None,
    gaps: Gaps | None = None,
) -> Verdict:
    """The verdict on a new table given every earlier release.

    table is what is to be published (by default the table with its unsafe cells suppressed); gaps, where several
    tables are compared on one and the same data, remembers what was asked of them. Findings:
    `differencing` (fail) where two populations differ by fewer units than the threshold, `snapshot` (fail)
    where the same cell of the same table changed by so few, `linked` (fail) where gaps follow from several
    tables together, `unreadable` (fail).
    Raises BadInput and Unreadable as `check` does, Unreadable for a store of which a line cannot be read.
    """
    house = load(profile)
    published = table or check(spec, data, house).suppress()
    report, new = published.report, release_of(published)
    earlier = list(store.releases() if hasattr(store, "releases") else store)
    findings: list[Finding] = []
    seen: Seen = {}
    gaps = gaps or Gaps(data)
    mine = gaps.population(report.spec)
    alike: list[Release] = []
    for old in earlier:
        if old.id == new.id:
            continue
        try:
            before = TableSpec.from_dict(old.spec)
            findings += _changed(report.spec, before, new, old, house)
            if gaps.population(before) == mine:
                alike.append(old)
            else:
                findings += _populations(report.spec, before, old, data, house, seen, gaps)
        except OutputCheckError as problem:
            findings.append(
                Finding("unreadable", "fail", f"Release {old.id} cannot be compared: {problem.message}", "Ask.")
            )
    findings += attack([new, *alike], house)
    return Verdict("comparison", tuple(findings), house.id, {"earlier": len(earlier)})


class Gaps:
    """Which records a table is of: its filter, and which dimensions with missing labels drop them."""

    def __init__(self, data: Any) -> None:
        self.data = data
        self.missing: dict[str, bool] = {}

    def population(self, spec: TableSpec) -> Expression:
        """The records as one expression. Two tables that differ in `missing`, or in a dimension whose missing labels
        are dropped, are of different people.
        """
        dropped = [name for name in sorted(spec.dimensions) if spec.missing == "drop" and self._has_gaps(name)]
        return Group("all", (*([spec.where] if spec.where else []), *(Test(name, "not_missing") for name in dropped)))

    def _has_gaps(self, name: str) -> bool:
        if name not in self.missing:
            source = attach(self.data, (name,))
            gap = source.filter_sql(Test(name, "is_missing"))
            self.missing[name] = bool(source.one(f"SELECT count(*) FILTER ({gap}) FROM records"))  # noqa: S608
        return self.missing[name]


def _changed(spec: TableSpec, before: TableSpec, new: Release, old: Release, house: Profile) -> Iterator[Finding]:
    """The same table again with slightly other numbers: a newer snapshot."""
    same = replace(spec, parameters={}, totals="true", rounding="") == replace(
        before, parameters={}, totals="true", rounding=""
    )
    if not same or spec.statistic not in ("count", "units"):
        return
    then = dict(old.cells)
    for labels, value in new.cells:
        was = then.get(labels)
        if value is not None and was is not None and value != was and below_limit(abs(value - was), house.threshold):
            yield _found(
                "snapshot",
                spec,
                labels,
                old,
                f"The cell was {was:g} and is now {value:g}: {abs(value - was):g} people.",
            )


def _populations(
    spec: TableSpec, before: TableSpec, old: Release, data: Any, house: Profile, seen: Seen, gaps: Gaps
) -> Iterator[Finding]:
    """Two populations, same cells: how many units are in one and not in the other, counted on the data."""
    shared = tuple(name for name in spec.dimensions if name in before.dimensions) or spec.dimensions[:1]
    now, then = gaps.population(spec), gaps.population(before)
    key = json.dumps([then.to_dict(), shared])
    if key not in seen:
        seen[key] = list(_few(replace(spec, rows=shared, columns=()), now, then, data, house))
    for labels, units, words in seen[key]:
        why = f"{units} people are in the {words} table and not in the other: subtracting shows them."
        yield _found("differencing", replace(spec, rows=shared, columns=()), labels, old, why)


def _few(
    spec: TableSpec, now: Expression, then: Expression, data: Any, house: Profile
) -> Iterator[tuple[tuple[str, ...], int, str]]:
    """Cells (labels, units, which table) in which so few are in one population only that the house minds."""
    for inside, outside, words in ((now, then, "new"), (then, now, "earlier")):
        only = Group("all", (inside, Not(outside)))
        counting = TableSpec(rows=spec.rows, margins="all", unit=spec.unit, where=only, missing="keep")
        e = check(counting, data, house).evidence
        few = e.published & (e.units > 0) & below_limit(e.units, house.threshold)
        for i in few.nonzero()[0].tolist():
            labels = tuple(axis.text(int(code), spec.total) for axis, code in zip(e.axes, e.codes[i], strict=True))
            yield labels, int(e.units[i]), words


def _found(rule: str, spec: TableSpec, labels: tuple[str, ...], old: Release, why: str) -> Finding:
    return Finding(
        rule, "fail", why, "Keep to the earlier filter and categories, round both tables, or merge the cell.",
        cell=dict(zip(spec.dimensions, labels, strict=True)), evidence={"release": old.id},
    )  # fmt: skip
