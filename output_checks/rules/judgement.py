"""What rules say of a whole table: status, cells with evidence and findings, the table.

Decides how a verdict is shown. Findings and cells are made when asked for, so that a check costs the same
however much it finds. Leaves the rules to `tables` and ways to mitigate to `mitigation`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from output_checks.appetites import Profile
from output_checks.evidence.cells import Evidence
from output_checks.evidence.layout import label_text
from output_checks.rules.findings import Finding, status_of
from output_checks.rules.tables import RULES

if TYPE_CHECKING:
    import numpy as np


BY_ID = {rule.id: rule for rule in RULES}


@dataclass(frozen=True)
class Cell:
    """One cell: labels of the rows side and the columns side, the unprotected value, evidence, ids of rules
    with findings.
    """

    row: dict[str, Any]
    column: dict[str, Any]
    value: Any
    evidence: dict[str, Any]
    findings: tuple[str, ...] = ()
    status: str = "pass"

    @property
    def labels(self) -> dict[str, Any]:
        return {**self.row, **self.column}

    def to_dict(self) -> dict[str, Any]:
        return {
            "row": self.row,
            "column": self.column,
            "value": self.value,
            "evidence": self.evidence,
            "findings": list(self.findings),
            "status": self.status,
        }


@dataclass(frozen=True)
class Judgement:
    """A verdict on one table. `masks`: rule id → (severity, mask over the evidence's cells); `extra`: findings
    beyond cells.
    """

    evidence: Evidence
    profile: Profile
    masks: dict[str, tuple[str, Any]]
    extra: tuple[Finding, ...] = field(default=())

    @property
    def spec(self) -> Any:
        return self.evidence.spec

    @cached_property
    def status(self) -> str:
        """pass, review or fail."""
        shown = self.evidence.published
        worst = [severity for severity, mask in self.masks.values() if (mask & shown).any()]
        return status_of([*worst, *(finding.severity for finding in self._about_all)])

    @cached_property
    def primary(self) -> np.ndarray:
        """Mask of the published cells that some rule fails."""
        import numpy as np

        unsafe = np.zeros(len(self.evidence), dtype=bool)
        for severity, mask in self.masks.values():
            if severity == "fail":
                unsafe |= mask
        return np.asarray(unsafe & self.evidence.published)

    @cached_property
    def alone(self) -> np.ndarray:
        """Mask of the unsafe cells whose only contributor knows their value, and so a part of every sum over them: of a
        sum one protected unit, or one holding; of a count one unit, which may know that it is the only one.
        """
        import numpy as np

        e = self.evidence
        one = (e.units == 1) | ((e.parts == 1) & bool(e.spec.holding))
        return np.asarray(self.primary & one & (e.spec.statistic in ("count", "sum")))

    @cached_property
    def findings(self) -> list[Finding]:
        """Every finding, worst first; cells in the table's order."""
        out = list(self._about_all)
        for rule_id, (severity, mask) in self.masks.items():
            for i in (mask & self.evidence.published).nonzero()[0].tolist():
                out.append(self._finding(rule_id, severity, i))
        return sorted(out, key=lambda f: ("fail", "review", "note").index(f.severity))

    @property
    def _about_all(self) -> tuple[Finding, ...]:
        return self.extra + tuple(_loosened(key) for key in self.profile.loosened)

    @cached_property
    def cells(self) -> list[Cell]:
        """Published cells in the table's order."""
        return [self._cell(i) for i in self.evidence.published.nonzero()[0].tolist()]

    @property
    def table(self) -> Any:
        """The long table as a pandas frame: a column per dimension, the value, the status of the cell."""
        import pandas as pd

        shown = self.evidence.published.nonzero()[0].tolist()
        columns: dict[str, list[Any]] = {
            axis.name: [axis.text(int(self.evidence.codes[i, j]), self.spec.total) for i in shown]
            for j, axis in enumerate(self.evidence.axes)
        }
        columns["value"] = [self.value(i) for i in shown]
        columns["status"] = [self._status(i) for i in shown]
        return pd.DataFrame(columns)

    def value(self, i: int) -> Any:
        """The unprotected value of cell i; None where there is nothing to show."""
        if self.evidence.mode is not None:
            return self.evidence.mode[i]
        value = float(self.evidence.value[i])
        if math.isnan(value):
            return None
        return int(value) if value.is_integer() and self.spec.statistic in ("count", "units") else value

    def to_dict(self) -> dict[str, Any]:
        """The whole report as plain JSON values."""
        return {
            "status": self.status,
            "profile": {"id": self.profile.id, "version": self.profile.version},
            "spec": self.spec.to_dict(),
            "cells": [cell.to_dict() for cell in self.cells],
            "findings": [finding.to_dict() for finding in self.findings],
        }

    def text(self, limit: int = 20) -> str:
        """The verdict in plain sentences."""
        lines = [f"{self.status}: {int(self.evidence.published.sum())} cells, {len(self.findings)} findings"]
        for finding in self.findings[:limit]:
            where = ", ".join(f"{name} {label}" for name, label in finding.cell.items())
            lines.append(f"  {finding.severity} {finding.rule} [{where}] {finding.why}")
        if len(self.findings) > limit:
            lines.append(f"  … and {len(self.findings) - limit} more")
        return "\n".join(lines)

    def _labels(self, i: int, start: int, stop: int) -> dict[str, Any]:
        codes, out = self.evidence.codes[i], {}
        for j in range(start, stop):
            axis, code = self.evidence.axes[j], int(codes[j])
            label = self.spec.total if code < 0 else axis.labels[code]
            out[axis.name] = label if isinstance(label, str | int | float | bool) else label_text(label)
        return out

    def _cell(self, i: int) -> Cell:
        rows = len(self.spec.rows)
        found = tuple(rule for rule, (_, mask) in self.masks.items() if mask[i])
        return Cell(
            row=self._labels(i, 0, rows),
            column=self._labels(i, rows, len(self.spec.dimensions)),
            value=self.value(i),
            evidence=self.shown_evidence(i),
            findings=found,
            status=self._status(i),
        )

    def _status(self, i: int) -> str:
        return status_of(severity for severity, mask in self.masks.values() if mask[i])

    def _finding(self, rule_id: str, severity: str, i: int) -> Finding:
        rule = BY_ID[rule_id]
        evidence = self.shown_evidence(i)
        return Finding(
            rule=rule_id,
            severity=severity,
            why=rule.why(self.evidence, self.profile, i),
            remedy=rule.remedy,
            cell=self._labels(i, 0, len(self.spec.dimensions)),
            evidence={name: evidence[name] for name in rule.shows if name in evidence},
        )

    def shown_evidence(self, i: int) -> dict[str, Any]:
        """The evidence of one cell as plain values, only what the statistic makes use of."""
        e = self.evidence
        out: dict[str, Any] = {"records": int(e.records[i]), "units": int(e.units[i])}
        if self.spec.values:
            out |= {"n": int(e.n[i]), "missing": int(e.missing[i])}
        if e.magnitude:
            out |= {"contributors": int(e.parts[i]), "total_abs": float(e.total_abs[i])}
            out |= {"top": e.top[i].tolist(), "negatives": int(e.negatives[i])}
        if not self.spec.count_like and self.spec.statistic != "mode":
            out |= {"low": float(e.low[i]), "high": float(e.high[i])}
        if self.spec.quantile is not None or self.spec.statistic in ("min", "max", "mode"):
            out |= {"below": int(e.below[i]), "ties": int(e.ties[i]), "above": int(e.above[i])}
        if self.spec.statistic.endswith("percent"):
            out["denominator"] = int(e.denominator[i])
        if self.spec.count_like and not all(map(math.isnan, e.shares[i].tolist())):
            out["share"] = max(s for s in e.shares[i].tolist() if not math.isnan(s))
        return out


def _loosened(key: str) -> Finding:
    return Finding(
        rule="parameter_loosened",
        severity="note",
        why=f"The specification's own parameter {key} is looser than the house's.",
        remedy="Leave it out, or give the reason in the context.",
        evidence={"parameter": key},
    )


def judge(evidence: Evidence, profile: Profile) -> dict[str, tuple[str, Any]]:
    """Rule id → (severity, mask) of all rules that find something."""
    masks = {}
    for rule in RULES:
        severity = rule.severity(profile)
        if severity == "off" or not rule.applies(evidence):
            continue
        mask = rule.judge(evidence, profile)
        if mask.any():
            masks[rule.id] = (severity, mask)
    return masks
