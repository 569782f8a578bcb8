"""`check`: a table specification and data in, a report out.

Decides the order: profile, evidence, rules, report. Leaves each of them to its module.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from output_checks.appetites import Profile, adapt, load
from output_checks.cells import Evidence
from output_checks.evidence import gather
from output_checks.report import Report
from output_checks.rules import RULES
from output_checks.spec import TableSpec


def check(
    spec: TableSpec | dict[str, Any],
    data: Any,
    profile: str | Path | Profile = "sacro",
    *,
    may_loosen: bool = True,
) -> Report:
    """Judges every cell of the table `spec` on `data` by a risk appetite.

    data is a pandas, polars or Arrow table, a DuckDB relation, or the path of Parquet or CSV. With
    `may_loosen=False` parameters of the specification that are looser than the profile are ignored. Raises
    BadInput for what the specification gets wrong and Unreadable for data that cannot be read; both mean blocked.
    """
    table = spec if isinstance(spec, TableSpec) else TableSpec.from_dict(spec)
    appetite = adapt(load(profile), table.parameters, may_loosen=may_loosen)
    top = max([2, *(rule.n for rule in appetite.nk)])
    return judge(gather(table, data, top=top), appetite)


def judge(evidence: Evidence, profile: Profile) -> Report:
    """The report of all rules on evidence that is at hand."""
    masks = {}
    for rule in RULES:
        severity = rule.severity(profile)
        if severity == "off" or not rule.applies(evidence):
            continue
        mask = rule.judge(evidence, profile)
        if mask.any():
            masks[rule.id] = (severity, mask)
    return Report(evidence, profile, masks)
