"""What stands behind a file: recomputed, attested, or only claimed; and what the checks say of it.

Pure: takes what the two sandboxes saw and computed. Whatever could not be checked is a blocking finding, never silence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from output_checks.appetites import load
from output_checks.rules.findings import Finding, status_of
from tre.outputs.findings import bounded
from tre.outputs.model import Evidence
from tre.outputs.recomputed import Computed
from tre.outputs.sandboxed import Seen, SeenRecord

WHOLE = re.compile(r"\d{1,6}(\.0+)?")


@dataclass(frozen=True)
class Verdict:
    """`status` is pass, review or fail; `attested` is what the workspace says of a file that it attests."""

    evidence: Evidence
    status: str
    findings: tuple[Finding, ...] = field(default=())
    attested: dict[str, Any] | None = None


def judge(digest: str, seen: Seen, computed: Computed | None, profile: str) -> Verdict:
    """The verdict on the file with these bytes; `computed` for a declared table, and only for one."""
    found = [Finding(f.rule, f.severity, f.why, f.remedy, dict(f.cell), f.detail) for f in seen.findings]
    evidence, attested = Evidence.claimed, None
    if computed is not None:
        evidence = Evidence.verified if computed.verified else Evidence.claimed
        found += computed.findings
    else:
        if seen.record is not None:
            evidence, said = attest(digest, seen.record)
            found += said
            attested = _attested(seen.record) if evidence is Evidence.attested else None
        found += _loose_table(seen.grid, profile) if seen.grid is not None else []
    return Verdict(evidence, status_of(f.severity for f in found), tuple(bounded(found)), attested)


def attest(digest: str, record: SeenRecord) -> tuple[Evidence, list[Finding]]:
    """Attested if the record is about these very bytes and finds nothing that must not leave; else claimed, with the
    reason. Nobody signed it: it is the workspace's word how the file was made, and no more.
    """
    problem = record.problem
    if not problem and digest not in record.files:
        problem = "It is about other bytes than those that were submitted."
    if not problem and record.status not in ("pass", "review"):
        problem = "By its own word the table must not leave as it is."
    if problem:
        why = f"The record that came with the file does not count. {problem}"
        return Evidence.claimed, [Finding("record", "review", why, "Write the table again with output_checks.")]
    # Its words stay in the sentence, which is shown to the project inside the workspace only: no way out for text.
    return Evidence.attested, [
        Finding("attested", "note" if severity == "note" else "review", f"By the workspace's word: {why}")
        for severity, why in record.findings
    ]


def _attested(record: SeenRecord) -> dict[str, Any]:
    return {"profile": record.profile, "status": record.status, "what": record.what, "spec": record.spec}


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
