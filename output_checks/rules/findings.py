"""Findings: one sentence each about one cell or thing.

Decides what a finding carries and the order of severities. Leaves the rules that make them to `rules` and its
neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

ORDER = {"note": 0, "review": 1, "fail": 2}


@dataclass(frozen=True)
class Finding:
    """What a rule has to say.

    rule      stable id (threshold, zero, dominance_nk, …)     severity  fail, review or note
    why       one plain sentence                               remedy    what would put it right
    cell      label per dimension, `Total` for totals; empty for findings on the whole thing
    evidence  the numbers that the verdict rests on
    """

    rule: str
    severity: str
    why: str
    remedy: str = ""
    cell: dict[str, Any] = field(default_factory=dict)
    evidence: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "rule": self.rule,
            "severity": self.severity,
            "why": self.why,
            "remedy": self.remedy,
            "cell": self.cell,
            "evidence": self.evidence,
        }


def status_of(severities: Iterable[str]) -> str:
    """pass, review or fail: the worst severity decides; anything unknown counts as fail."""
    worst = max((ORDER.get(severity, 2) for severity in severities), default=0)
    return ("pass", "review", "fail")[worst]
