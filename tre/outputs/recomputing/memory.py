"""What is out already, held against what wants to go out.

Decides that tables of one request count against each other and which earlier tables tell nothing more than others do.
Leaves the attack to `output_checks.history.differencing`, and which tables are out to `tre.outputs.history`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from output_checks import OutputCheckError, TableSpec
from output_checks.attack.against import place
from output_checks.evidence.layout import label_text
from output_checks.history.differencing import Gaps, compare
from output_checks.history.releases import Release, release_of
from output_checks.mitigation.report import Report
from output_checks.reading.published import Published
from output_checks.rules.findings import Finding
from tre.outputs.findings import blocked

#: Tables on other parts of the data that one table is held against: each costs two readings of the data.
MAX_COMPARED = 200
OTHER = "population "


@dataclass(frozen=True)
class AsPublished:
    """A verified table with the values that are in the file: what `output_checks` takes for a mitigated table."""

    report: Report
    published: Published

    @cached_property
    def _values(self) -> list[float | None]:
        evidence = self.report.evidence
        placed, _ = place(evidence, self.published.cells(self.report.spec))
        shown = {i: cell.value for i, cell in placed.items()}
        return [
            None if shown.get(i) is None else float(str(shown[i])) for i in evidence.published.nonzero()[0].tolist()
        ]

    def values(self) -> list[float | None]:
        return self._values


@dataclass(frozen=True)
class Known:
    """A table that is out. `population` says which records it is of, equal for equal ones."""

    release: Release
    population: str
    dimensions: frozenset[str]


class Memory:
    """What is out on one dataset, and what this request adds to it. `clean` are pairs of populations that were compared
    and differ by nobody or by many: within one request they need no second look.
    """

    def __init__(self, data: Any) -> None:
        self.gaps = Gaps(data)
        self.tables: list[Known] = []
        self.clean: set[str] = set()

    def add(self, release: Release) -> None:
        spec = TableSpec.from_dict(release.spec)
        try:
            population = self.population(spec)
        except OutputCheckError:
            # Comparing with it will say why.
            population = f"unknown {len(self.tables)}"
        self.tables.append(Known(release, population, frozenset(spec.dimensions)))

    def population(self, spec: TableSpec) -> str:
        return json.dumps(self.gaps.population(spec).to_dict(), sort_keys=True)


def remembered(name: str, spec: dict[str, Any], grid: Sequence[Sequence[str]]) -> Release:
    """A kept table as output_checks compares it. Raises OutputCheckError when it cannot be read."""
    table = TableSpec.from_dict(spec)
    cells = Published(tuple(map(tuple, grid))).cells(table)
    values = tuple(
        (
            tuple(label_text(cell.labels.get(dimension)) for dimension in table.dimensions),
            None if cell.value is None else float(cell.value),
        )
        for cell in cells
    )
    return Release(name, table.to_dict(), values)


def joint_findings(table: AsPublished, data: Any, memory: Memory, profile: str) -> list[Finding]:
    """What the table gives away together with those in the memory; then it is remembered there itself."""
    mine = release_of(table)  # type: ignore[arg-type]
    others = telling(table.report.spec, memory, mine.id)
    memory.add(mine)
    new = [old for pair, old in others.items() if pair not in memory.clean]
    if len(new) > MAX_COMPARED:
        why = f"{len(new)} earlier tables on other parts of the data are too many to hold this one against."
        return [blocked(why, "Keep to the filters of earlier tables.")]
    if not new:
        return []
    spec = table.report.spec
    try:
        verdict = compare(spec, data, new, profile=profile, table=table, gaps=memory.gaps)  # type: ignore[arg-type]
    except OutputCheckError as error:
        why = f"The table cannot be held against earlier releases: {error}"
        return [blocked(why, "Change its specification.")]
    if not verdict.findings:
        memory.clean |= {pair for pair in others if pair.startswith(OTHER)}
    return list(verdict.findings)


def telling(spec: TableSpec, memory: Memory, mine: str = "") -> dict[str, Release]:
    """The earlier tables but for the one of that id, less those that tell nothing more, by what they are compared on.

    Of tables of other records only who is among them matters, so one of them stands for all with the same records and
    the same dimensions in common.
    """
    population, dimensions = memory.population(spec), frozenset(spec.dimensions)
    kept: dict[str, Release] = {}
    for number, old in enumerate(memory.tables):
        if old.release.id == mine:
            continue
        # Without a dimension in common the new table's own first one is what counts.
        shared = sorted(old.dimensions & dimensions) or spec.dimensions[:1]
        key = OTHER + json.dumps([population, old.population, shared, spec.unit])
        kept.setdefault(str(number) if old.population == population else key, old.release)
    return kept
