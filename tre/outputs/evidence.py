"""What stands behind a file: recomputed, attested, or only claimed; and what output_checks says of it.

Pure but for reading the pinned snapshot. The platform's own knowledge wins over what the author declares: the protected
unit of the data is the unit of every table made from them, and a specification cannot loosen the house's appetite.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

import duckdb

from output_checks import BadInput, OutputCheckError, TableSpec
from output_checks.against import compare_published
from output_checks.appetites import load
from output_checks.findings import Finding, status_of
from output_checks.published import Published
from output_checks.sources import SETTINGS, quote
from tre.outputs.history import AsPublished, Memory, joint_findings
from tre.outputs.model import Evidence
from tre.outputs.sandboxed import Seen

WHOLE = re.compile(r"\d{1,6}(\.0+)?")
#: Findings of one file that are kept; a file with more is blocked all the same.
MAX_FINDINGS = 500
MAX_DIMENSIONS = 6
#: Ten times what a file may show: suppressed cells and totals need not be in it.
MAX_CELLS = 2_000_000
#: The file is not the table that it is said to be.
WRONG = frozenset({"mismatch", "unknown_cell", "unreadable_cell"})


@dataclass(frozen=True)
class Snapshot:
    """A project's pinned data of one dataset: Parquet (file or folder), the digest that pins it, the protected unit."""

    dataset: str
    path: Path
    digest: str
    unit: str | None = None


@dataclass(frozen=True)
class Declared:
    """What the author says of a file."""

    kind: str
    dataset: str | None = None
    spec: dict[str, Any] | None = None
    digest: str = ""
    receipt: dict[str, Any] | None = None


@dataclass(frozen=True)
class Verdict:
    """`status` is pass, review or fail; `snapshot` the digest of the data that a verified table was computed
    from.
    """

    evidence: Evidence
    status: str
    findings: tuple[Finding, ...] = field(default=())
    snapshot: str | None = None


def judge(declared: Declared, seen: Seen, snapshot: Snapshot | None, profile: str, memory: Memory) -> Verdict:
    """The verdict on one file; `memory` holds the tables on the same data that are out or in the same request.

    Whatever could not be checked is a blocking finding, never silence.
    """
    found = [Finding(f.rule, f.severity, f.why, f.remedy, dict(f.cell), f.detail) for f in seen.findings]
    evidence = Evidence.claimed
    if declared.spec is not None:
        evidence, more = _recompute(declared, seen, snapshot, profile, memory)
        found += more
    else:
        evidence = Evidence.attested if attests(declared) else Evidence.claimed
        found += _loose_table(seen.grid, profile) if seen.grid is not None else []
    pinned = snapshot.digest if snapshot and evidence is Evidence.verified else None
    return Verdict(evidence, status_of(f.severity for f in found), tuple(bounded(found)), pinned)


def attests(declared: Declared) -> bool:
    """Whether what output_checks wrote beside the file (a certificate, for example) is about these very bytes. Nobody
    signed it: it says how the file was made, not that it is safe.
    """
    tables = (declared.receipt or {}).get("tables")
    return isinstance(tables, list) and declared.digest in tables


def bounded(found: Sequence[Finding]) -> list[Finding]:
    """At most MAX_FINDINGS, worst first, and a word about the rest."""
    ordered = sorted(found, key=lambda f: ("fail", "review", "note").index(f.severity))
    if len(ordered) <= MAX_FINDINGS:
        return ordered
    more = len(ordered) - MAX_FINDINGS
    return [*ordered[:MAX_FINDINGS], Finding("more_findings", "note", f"{more} more findings are not listed.")]


def _recompute(
    declared: Declared, seen: Seen, snapshot: Snapshot | None, profile: str, memory: Memory
) -> tuple[Evidence, list[Finding]]:
    """Verified if every published cell is what the pinned data give."""
    if seen.grid is None:
        return Evidence.claimed, [_blocked("The declared table is not in the file.", "Hand the table in as CSV.")]
    if snapshot is None:
        why = f"The project has no snapshot of {declared.dataset}: the table cannot be recomputed."
        return Evidence.claimed, [_blocked(why, "Name a dataset that the project was granted.")]
    published = Published(tuple(map(tuple, seen.grid)))
    try:
        spec = house_spec(TableSpec.from_dict(declared.spec), snapshot)
        report = compare_published(spec, snapshot.path, published, profile)
        if any(found.rule in WRONG for found in report.findings):
            return Evidence.claimed, list(report.findings)
        more = joint_findings(AsPublished(report, published), snapshot.path, memory, profile)
    except OutputCheckError as error:
        why = str(error)[:500]
        return Evidence.claimed, [_blocked(why, "Correct the specification or write the table again.")]
    return Evidence.verified, [*report.findings, *more]


def house_spec(spec: TableSpec, snapshot: Snapshot) -> TableSpec:
    """The author's specification with the data's own protected unit.

    Raises OutputCheckError for a table beyond reading.
    """
    if len(spec.dimensions) > MAX_DIMENSIONS:
        raise BadInput(f"more than {MAX_DIMENSIONS} dimensions.", field="rows", remedy="Use fewer dimensions.")
    if cells_at_most(spec, snapshot) > MAX_CELLS:
        raise BadInput(f"the table has more than {MAX_CELLS} cells.", field="rows", remedy="Use coarser dimensions.")
    return replace(spec, unit=snapshot.unit) if snapshot.unit else spec


def cells_at_most(spec: TableSpec, snapshot: Snapshot) -> int:
    """How many cells a declared table can have on these data, roughly: asked first, because the answer costs little and
    the table itself could take all the memory there is.
    """
    rows, labels = label_counts(snapshot, spec.dimensions)
    sizes = {name: labels.get(name, 0) + len(spec.categories.get(name, ())) + 2 for name in spec.dimensions}
    sides = [prod(sizes[name] for name in side) for side in (spec.rows, spec.columns)]
    most = [min(side, rows + 2) for side in sides] if spec.observed and not spec.categories else sides
    return int(most[0] * most[1])


@lru_cache(maxsize=1000)
def label_counts(snapshot: Snapshot, names: tuple[str, ...]) -> tuple[int, dict[str, int]]:
    """Rows, and about how many labels each of the named columns has. A snapshot is pinned, so it is asked once."""
    path = snapshot.path
    files = str(path / "*.parquet") if path.is_dir() else str(path)
    with duckdb.connect(config=SETTINGS) as connection:
        data = connection.read_parquet(files)
        known = [name for name in names if name in data.columns]
        asked = ", ".join(["count(*)", *(f"approx_count_distinct({quote(name)})" for name in known)])
        [(rows, *found)] = data.aggregate(asked).fetchall()
    return int(rows), dict(zip(known, map(int, found), strict=True))


def _loose_table(grid: list[list[str]], profile: str) -> list[Finding]:
    """Nothing says what a loose table shows: small whole numbers may be counts of people, so a reviewer must look."""
    limit = load(profile).threshold.limit
    found = [
        Finding("undeclared_table", "review", "The table has no specification: it cannot be recomputed.",
                "Make it with output_checks, or add its specification.")
    ]  # fmt: skip
    for line, row in enumerate(grid[1:], start=2):
        for column, text in enumerate(row, start=1):
            if WHOLE.fullmatch(text.strip()) and 0 < float(text) < limit:
                cell = {"line": str(line), "column": grid[0][column - 1][:100] or str(column)}
                why = f"A whole number below {limit:g}: a count of so few would be disclosive."
                found.append(Finding("small_number", "review", why, "Suppress it if it is a count.", cell))
    return found


def _blocked(why: str, remedy: str) -> Finding:
    return Finding("unreadable", "fail", why, remedy)
