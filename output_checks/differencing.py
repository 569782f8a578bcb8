"""`compare`: what a new table gives away together with what was released before.

Decides how a new table is held against every earlier release on the same data: cells that are new or changed
by fewer people than the threshold (a filter moved, a category split, a newer snapshot), and a joint attack on
linked tables with gaps. The populations are compared directly on the data where it is at hand, never guessed
from the filters' text. Leaves storing to a small interface.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from output_checks.appetites import Profile, load
from output_checks.auditing import audit_system
from output_checks.engine import check
from output_checks.errors import OutputCheckError, Unreadable
from output_checks.findings import Finding
from output_checks.layout import label_text
from output_checks.report import Report
from output_checks.rules import below_limit
from output_checks.spec import TableSpec
from output_checks.systems import LongTable, link
from output_checks.verdict import Verdict

if TYPE_CHECKING:
    from output_checks.mitigate import Mitigated


Seen = dict[str, list[tuple[tuple[str, ...], int, str]]]


@dataclass(frozen=True)
class Release:
    """An earlier table: its specification, labels of cells, published values (None: suppressed) and an id for
    people.
    """

    id: str
    spec: dict[str, Any]
    cells: tuple[tuple[tuple[str, ...], float | None], ...]
    context: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        cells = [[list(labels), value] for labels, value in self.cells]
        return {"id": self.id, "spec": self.spec, "cells": cells, "context": self.context}

    @classmethod
    def from_dict(cls, body: dict[str, Any]) -> Release:
        cells = tuple((tuple(map(str, labels)), None if v is None else float(v)) for labels, v in body["cells"])
        return cls(str(body["id"]), dict(body["spec"]), cells, dict(body.get("context", {})))


class Store(Protocol):
    """Where earlier releases are kept: read all, add one."""

    def releases(self) -> Iterable[Release]: ...

    def add(self, release: Release) -> None: ...


class JsonLines:
    """A store in one file, a release per line. A line that cannot be read blocks: what was released is then
    not known.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def releases(self) -> Iterator[Release]:
        if not self.path.exists():
            return
        for number, line in enumerate(self.path.read_text(encoding="utf-8").splitlines(), start=1):
            if line.strip():
                try:
                    yield Release.from_dict(json.loads(line))
                except (ValueError, KeyError, TypeError):
                    raise Unreadable(
                        f"line {number} of the store cannot be read.",
                        field="store",
                        remedy="Restore it from its backup.",
                    ) from None

    def add(self, release: Release) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(release.to_dict()) + "\n")
            file.flush()
            os.fsync(file.fileno())


def release_of(table: Mitigated | Report, *, context: dict[str, Any] | None = None) -> Release:
    """What is to be remembered of a table that leaves."""
    report = table if isinstance(table, Report) else table.report
    values = [c.value for c in report.cells] if isinstance(table, Report) else table.values()
    labels = [tuple(label_text(text) for text in cell.labels.values()) for cell in report.cells]
    numbers = [float(v) if isinstance(v, int | float) else None for v in values]
    cells = tuple(zip(labels, numbers, strict=True))
    text = json.dumps([report.spec.to_dict(), [[list(a), b] for a, b in cells]], sort_keys=True, default=str)
    return Release(hashlib.sha256(text.encode()).hexdigest()[:16], report.spec.to_dict(), cells, context or {})


def remember(table: Mitigated | Report, store: Store, *, context: dict[str, Any] | None = None) -> Release:
    """Adds a table that leaves to the store."""
    release = release_of(table, context=context)
    store.add(release)
    return release


def compare(
    spec: TableSpec | dict[str, Any],
    data: Any,
    store: Store | Iterable[Release],
    *,
    profile: str | Path | Profile = "sacro",
    table: Mitigated | None = None,
) -> Verdict:
    """The verdict on a new table given every earlier release.

    table is what is to be published (by default the table with its unsafe cells suppressed). Findings:
    `differencing` (fail) where two populations differ by fewer units than the threshold, `snapshot` (fail)
    where the same cell of the same table changed by so few, `linked` (fail) where gaps follow from several
    tables together, `unreadable` (fail).
    """
    house = load(profile)
    report = table.report if table is not None else check(spec, data, house)
    new = release_of(table or report.suppress())
    earlier = list(store.releases() if hasattr(store, "releases") else store)
    findings: list[Finding] = []
    seen: Seen = {}
    for old in earlier:
        if old.id == new.id:
            continue
        try:
            findings += _against(report, new, old, data, house, seen)
        except OutputCheckError as problem:
            findings.append(
                Finding("unreadable", "fail", f"Release {old.id} cannot be compared: {problem.message}", "Ask.")
            )
    findings += _linked(new, earlier)
    return Verdict("comparison", tuple(findings), house.id, {"earlier": len(earlier)})


def _against(report: Report, new: Release, old: Release, data: Any, house: Profile, seen: Seen) -> Iterator[Finding]:
    """Cells of equal labels whose populations differ by a few."""
    before = TableSpec.from_dict(old.spec)
    dims = set(before.dimensions) & set(report.spec.dimensions)
    if not dims and before.where == report.spec.where and before.missing == report.spec.missing:
        return
    yield from _changed(report.spec, before, new, old, house)
    if (before.where, before.missing) == (report.spec.where, report.spec.missing):
        return
    yield from _populations(report.spec, before, old, data, house, seen)


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
    spec: TableSpec, before: TableSpec, old: Release, data: Any, house: Profile, seen: Seen
) -> Iterator[Finding]:
    """Two filters, same cells: how many units are in one population and not in the other, counted on the data."""
    shared = tuple(name for name in spec.dimensions if name in before.dimensions) or spec.dimensions[:1]
    key = json.dumps([before.where.to_dict() if before.where else None, before.missing, shared])
    if key not in seen:
        seen[key] = list(_few(spec, before, shared, data, house))
    for labels, units, words in seen[key]:
        why = f"{units} people are in the {words} table and not in the other: subtracting shows them."
        yield _found("differencing", replace(spec, rows=shared, columns=()), labels, old, why)


def _few(
    spec: TableSpec, before: TableSpec, shared: tuple[str, ...], data: Any, house: Profile
) -> Iterator[tuple[tuple[str, ...], int, str]]:
    """Cells (labels, units, which table) in which so few are in one population only that the house minds."""
    from output_checks.where import Group, Not

    every = Group("all", ())
    now, then = spec.where or every, before.where or every
    for inside, outside, words in ((now, then, "new"), (then, now, "earlier")):
        only = Group("all", (inside, Not(outside)))
        counting = TableSpec(rows=shared, margins="all", unit=spec.unit, where=only, missing=spec.missing)
        e = check(counting, data, house).evidence
        few = e.published & (e.units > 0) & below_limit(e.units, house.threshold)
        for i in few.nonzero()[0].tolist():
            labels = tuple(axis.text(int(code), spec.total) for axis, code in zip(e.axes, e.codes[i], strict=True))
            yield labels, int(e.units[i]), words


def _linked(new: Release, earlier: list[Release]) -> Iterator[Finding]:
    """Gaps that follow from tables of one population together."""
    import numpy as np

    mine = _long(new)
    if mine is None:
        return
    tables = [mine]
    for old in earlier:
        table = _long(old)
        if table is not None and old.id != new.id and _population(old) == _population(new):
            tables.append(table)
    if len(tables) < 2 or not any(np.isnan(t.values).any() for t in tables):
        return
    for finding in audit_system(link(tables), intervals=False).findings:
        yield replace(finding, rule="linked" if finding.rule == "recoverable" else finding.rule)


def _population(release: Release) -> str:
    keys = ("where", "missing", "values", "statistic", "weights")
    return json.dumps({key: release.spec.get(key) for key in keys}, sort_keys=True)


def _long(release: Release) -> LongTable | None:
    """A release as a table for the joint attack; None where cells do not add up exactly."""
    import numpy as np

    spec = TableSpec.from_dict(release.spec)
    if spec.statistic not in ("count", "sum") or spec.rounding or spec.hierarchies:
        return None
    labels = tuple(row for row, _ in release.cells)
    values = np.array([np.nan if value is None else value for _, value in release.cells])
    if spec.totals == "shown" and np.isnan(values).any():
        keep = [i for i, row in enumerate(labels) if spec.total not in row]
        labels, values = tuple(labels[i] for i in keep), values[keep]
    measure = f"{spec.statistic}:{spec.values or ''}"
    return LongTable(spec.dimensions, labels, values, np.zeros(len(values)), measure, spec.total)


def _found(rule: str, spec: TableSpec, labels: tuple[str, ...], old: Release, why: str) -> Finding:
    return Finding(
        rule, "fail", why, "Keep to the earlier filter and categories, round both tables, or merge the cell.",
        cell=dict(zip(spec.dimensions, labels, strict=True)), evidence={"release": old.id},
    )  # fmt: skip
