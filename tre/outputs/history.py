"""Release memory: what is out already, held against what wants to go out.

Decides which earlier tables count (every released table on the same dataset, whichever project, recalled ones too:
what the world has seen it keeps) and that tables of one request count against each other. Leaves the attack to
`output_checks.differencing`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from output_checks import OutputCheckError, TableSpec
from output_checks.against import place
from output_checks.differencing import Release, compare, release_of
from output_checks.findings import Finding
from output_checks.layout import label_text
from output_checks.published import Published
from output_checks.report import Report
from tre.outputs.model import ReleasedTable


@dataclass(frozen=True)
class AsPublished:
    """A verified table with the values that are in the file: what `output_checks` takes for a mitigated table."""

    report: Report
    published: Published

    def values(self) -> list[float | None]:
        evidence = self.report.evidence
        placed, _ = place(evidence, self.published.cells(self.report.spec))
        shown = {i: cell.value for i, cell in placed.items()}
        return [
            None if shown.get(i) is None else float(str(shown[i])) for i in evidence.published.nonzero()[0].tolist()
        ]


def earlier_tables(session: Session, datasets: Iterable[str]) -> dict[str, list[Release]]:
    """Every released table by dataset, oldest first."""
    found: dict[str, list[Release]] = {dataset: [] for dataset in datasets}
    query = select(ReleasedTable).where(ReleasedTable.dataset.in_(list(found))).order_by(ReleasedTable.id)
    for kept in session.scalars(query):
        found[kept.dataset].append(remembered(f"request {kept.request_id}", kept.spec, kept.cells))
    return found


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


def joint_findings(
    table: AsPublished, data: Any, earlier: Sequence[Release], profile: str
) -> tuple[list[Finding], Release]:
    """What the table gives away together with earlier ones, and the table as it will be remembered itself."""
    mine = release_of(table)  # type: ignore[arg-type]
    if not earlier:
        return [], mine
    try:
        verdict = compare(table.report.spec, data, earlier, profile=profile, table=table)  # type: ignore[arg-type]
    except OutputCheckError as error:
        why = f"The table cannot be held against earlier releases: {error}"
        return [Finding("unreadable", "fail", why[:500], "Change its specification.")], mine
    return list(verdict.findings), mine
