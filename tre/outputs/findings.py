"""How many findings of one file are kept, and which."""

from __future__ import annotations

from collections.abc import Sequence

from output_checks.rules.findings import ORDER, Finding

#: Findings of one file that are kept; a file with more is blocked all the same.
MAX_FINDINGS = 500


def bounded(found: Sequence[Finding]) -> list[Finding]:
    """At most MAX_FINDINGS, worst first, and a word about the rest."""
    ordered = sorted(found, key=lambda finding: -ORDER[finding.severity])
    if len(ordered) <= MAX_FINDINGS:
        return ordered
    more = len(ordered) - MAX_FINDINGS
    return [*ordered[:MAX_FINDINGS], Finding("more_findings", "note", f"{more} more findings are not listed.")]


def blocked(why: str, remedy: str) -> Finding:
    """What could not be checked is blocked, never passed over."""
    return Finding("unreadable", "fail", why[:500], remedy)
