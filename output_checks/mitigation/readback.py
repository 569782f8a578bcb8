"""Written tables read back and attacked before they leave.

Decides that bytes are handed over only if they withstand the audit that anybody's published table meets. Leaves making
them to `encoding` and the audit's verdict to `against`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from output_checks.attack.against import compare
from output_checks.errors import Unsafe
from output_checks.mitigation.encoding import csv_text
from output_checks.reading.formats import decode

if TYPE_CHECKING:
    from output_checks.mitigation.redacted import Redacted
    from output_checks.rules.judgement import Judgement


def audit(table: Redacted, raw: bytes, kind: str = "csv") -> Judgement:
    """Reads published bytes as anybody would and judges them. Raises Unsafe with the findings if they fail."""
    verdict = compare(table.report, decode(raw, kind).cells(table.report.spec))
    if verdict.status == "fail":
        failures = tuple(f for f in verdict.findings if f.severity == "fail")
        raise Unsafe(
            f"The written table failed its audit: {failures[0].why}", findings=failures, remedy=failures[0].remedy
        )
    return verdict


def audited_csv(table: Redacted, layout: str = "long", like: Any = None) -> str:
    """The table as CSV text that has withstood its audit; arguments as for `csv_text`."""
    text = csv_text(table, layout, like)
    audit(table, text.encode())
    return text
