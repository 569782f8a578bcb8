"""A verdict on something that is no table: a model, a figure, a curve, a text.

Decides its shape only. Leaves rules to the modules that make it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from output_checks.rules.findings import Finding, status_of


@dataclass(frozen=True)
class Verdict:
    """kind says what was judged (`ols`, `figure`, …), evidence the numbers about the whole, findings what
    rules said.
    """

    kind: str
    findings: tuple[Finding, ...]
    profile: str
    evidence: dict[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """pass, review or fail."""
        return status_of(finding.severity for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "kind": self.kind,
            "status": self.status,
            "profile": self.profile,
            "evidence": self.evidence,
            "findings": [finding.to_dict() for finding in self.findings],
        }

    def text(self) -> str:
        """The verdict in plain sentences."""
        lines = [f"{self.status}: {self.kind}"]
        return "\n".join([*lines, *(f"  {f.severity} {f.rule} {f.why}" for f in self.findings)])
