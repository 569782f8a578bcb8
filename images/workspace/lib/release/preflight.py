"""The check before submitting: the same rules that the platform applies, run here on the data that made the table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from release.errors import ReleaseError
from release.files import Table


def plain(tables: Mapping[str, Table]) -> dict[str, Table]:
    """The tables with each specification as a JSON object in its normal form."""
    found: dict[str, Table] = {}
    for name, table in tables.items():
        if not isinstance(table, Table):
            hint = 'Give release.Table("dataset", spec, data).'
            raise ReleaseError("is not a table", field=f"tables.{name}", hint=hint)
        found[name] = replace(table, spec=_plain(table.spec, name))
    return found


def _plain(spec: Any, name: str) -> dict[str, Any]:
    from output_checks import OutputCheckError, TableSpec

    try:
        table = spec if isinstance(spec, TableSpec) else TableSpec.from_dict(spec)
        body: dict[str, Any] = table.to_dict()
        return body
    except OutputCheckError as error:
        raise ReleaseError(
            error.message, code=error.code, field=f"tables.{name}.{error.field}", hint=error.remedy
        ) from None


def findings(table: Table, name: str) -> list[dict[str, Any]]:
    """What the checks say about this table on its data: rule, severity, why, remedy and cell of each finding."""
    from output_checks import OutputCheckError, check

    if table.data is None:
        return []
    try:
        report = check(table.spec, table.data)
        return [{"file": name, **finding.to_dict()} for finding in report.findings if finding.severity != "note"]
    except OutputCheckError as error:
        raise ReleaseError(
            error.message, code=error.code, field=f"tables.{name}.{error.field}", hint=error.remedy
        ) from None


def sentence(finding: dict[str, Any]) -> str:
    """One line for people: file, cell, why, remedy."""
    cell = ", ".join(f"{key}={value}" for key, value in finding["cell"].items())
    where = f"{finding['file']}" + (f" [{cell}]" if cell else "")
    return f"{where}: {finding['why']}" + (f" Remedy: {finding['remedy']}" if finding["remedy"] else "")
