"""`protect_linked`: several tables of the same people protected together.

Decides when tables are linked (same records, same measure), which cells they share and how one pattern becomes many
tables with one certificate. A cell that two tables show is empty in both or in neither. Leaves the search to
`protection`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from output_checks.appetites import Profile
from output_checks.attack.longtable import LongTable
from output_checks.attack.systems import System, link
from output_checks.errors import BadInput
from output_checks.evidence.layout import text_parents
from output_checks.evidence.spec import TableSpec
from output_checks.mitigation.delivery import deliver
from output_checks.mitigation.mitigate import Mitigated, said_of
from output_checks.mitigation.report import check
from output_checks.protection.certificates import certify
from output_checks.protection.problem import Problem
from output_checks.protection.protecting import RANGE, Proof, check_additive, names, required_ranges
from output_checks.protection.search import check_range, protect_cells
from output_checks.rules.judgement import Judgement

if TYPE_CHECKING:
    import numpy as np

SAME = ("values", "statistic", "where", "missing", "unit", "holding", "weights", "total")


@dataclass(frozen=True)
class Linked:
    """Tables that leave together. None of them has a certificate of its own: the proof is about all of them."""

    tables: tuple[Mitigated, ...]
    proof: Proof

    def to_csv(self) -> list[str]:
        """The long CSV of every table, read back and audited."""
        return [table.to_csv() for table in self.tables]

    def certificate(self) -> dict[str, Any]:
        """Proof for all the long CSVs that nothing follows from them together; `verify` takes it with all tables."""
        raws = [text.encode() for text in self.to_csv()]
        return certify(self.proof, raws, total=self.tables[0].report.spec.total, parents=_parents(self.tables))

    def write(self, folder: str | Path) -> list[Path]:
        """Writes table-1.csv, table-2.csv, … and certificate.json; nothing, if one of them fails its audit."""
        proof, texts = self.certificate(), self.to_csv()
        out = Path(folder)
        out.mkdir(parents=True, exist_ok=True)
        paths = [deliver(out / f"table-{i}.csv", text.encode()) for i, text in enumerate(texts, start=1)]
        assert sorted(proof["tables"]) == sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths)
        return [*paths, deliver(out / "certificate.json", json.dumps(proof).encode())]


def protect_linked(
    specs: Sequence[TableSpec | dict[str, Any]],
    data: Any,
    profile: str | Path | Profile = "sacro",
    *,
    range: float = RANGE,
    seconds: float = 10.0,
) -> Linked:
    """Tables with true totals that meet in totals or cells, protected as one; arguments as for `protect`.

    Raises BadInput for tables that are not of the same records and measure, Unsafe if they cannot be protected.
    """

    share = check_range(range)
    reports = [check(spec, data, profile) for spec in specs]
    _check_alike(reports)
    system = link([_long(report) for report in reports])
    if system.conflicts:
        raise BadInput(
            "leaves different people out of the tables.", field="missing", remedy='Use "keep", or a common filter.'
        )
    places = [_places(system, report) for report in reports]
    problem = _problem(system, reports, places, share)
    pattern = protect_cells(problem, seconds=seconds)
    proof = Proof(problem, pattern, [dict(name) for name in system.names])
    return Linked(tuple(_mitigated(r, pattern.suppressed[at]) for r, at in zip(reports, places, strict=True)), proof)


def _check_alike(reports: Sequence[Judgement]) -> None:
    if not reports:
        raise BadInput("names no table.", field="specs", remedy="Give at least one specification.")
    for report in reports:
        check_additive(report)
        for key in SAME:
            if getattr(report.spec, key) != getattr(reports[0].spec, key):
                raise BadInput("differs between the tables.", field=key, remedy="Protect them one by one.")
    trees: dict[str, Any] = {}
    for report in reports:
        for name in report.spec.dimensions:
            if trees.setdefault(name, report.spec.hierarchies.get(name)) != report.spec.hierarchies.get(name):
                raise BadInput(f"of {name!r} differ between the tables.", field="hierarchies", remedy="Use one tree.")


def _long(report: Judgement) -> LongTable:
    """The true table as its reader would see it without gaps."""
    import numpy as np

    e = report.evidence
    rows = e.codes[e.published].tolist()
    labels = tuple(tuple(a.text(code, e.spec.total) for a, code in zip(e.axes, row, strict=True)) for row in rows)
    values = np.nan_to_num(e.value[e.published])
    return LongTable(e.spec.dimensions, labels, values, total=e.spec.total, parents=text_parents(e.axes))


def _places(system: System, report: Judgement) -> np.ndarray:
    """Number in the system of every published cell."""
    import numpy as np

    number = {name: i for i, name in enumerate(system.names)}
    return np.array([number[tuple(sorted(cell.items()))] for cell in names(report)], dtype=np.int64)


def _problem(system: System, reports: Sequence[Judgement], places: Sequence[np.ndarray], share: float) -> Problem:
    """All cells once; a cell is unsafe, or has a lone contributor, if some table says so."""
    import numpy as np

    n = len(system.names)
    primary, alone, required = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool), np.zeros(n)
    for report, at in zip(reports, places, strict=True):
        e = report.evidence
        primary[at] |= report.primary[e.published]
        alone[at] |= report.alone[e.published]
        required[at] = np.maximum(required[at], required_ranges(report, share)[e.published])
    value = _completed(system)
    whole = reports[0].spec.statistic == "count" and not reports[0].spec.weights
    return Problem(
        matrix=system.matrix, value=value, primary=primary, required=required,
        allowed=(value > 0) & ~primary & system.shown, cost=np.log1p(np.maximum(value, 0)), alone=alone,
        hidden=~system.shown, whole=whole,
    )  # fmt: skip


def _completed(system: System) -> np.ndarray:
    """True values of all cells; totals that no table shows from their parts."""
    import numpy as np

    value, matrix = system.values.copy(), system.matrix
    while np.isnan(value).any():
        gaps = np.isnan(value)
        single = np.asarray((abs(matrix) @ gaps.astype(float)) == 1)
        if not single.any():
            raise BadInput("do not meet in any cell.", field="specs", remedy="Protect them one by one.")
        sums = np.asarray(matrix @ np.nan_to_num(value))
        for row in np.flatnonzero(single).tolist():
            inside = slice(matrix.indptr[row], matrix.indptr[row + 1])
            cell = matrix.indices[inside][gaps[matrix.indices[inside]]][0]
            sign = matrix.data[inside][matrix.indices[inside] == cell][0]
            value[cell] = -sums[row] / sign
    return value


def _mitigated(report: Judgement, suppressed: np.ndarray) -> Mitigated:
    import numpy as np

    e = report.evidence
    gone = np.zeros(len(e), dtype=bool)
    gone[np.flatnonzero(e.published)] = suppressed
    what = f"{said_of(report, gone)} Protected together with linked tables."
    return Mitigated(report, np.where(gone, np.nan, e.value), what)


def _parents(tables: Sequence[Mitigated]) -> dict[str, dict[str, str]]:
    out: dict[str, dict[str, str]] = {}
    for table in tables:
        for name, tree in text_parents(table.report.evidence.axes).items():
            out.setdefault(name, {}).update(tree)
    return out
