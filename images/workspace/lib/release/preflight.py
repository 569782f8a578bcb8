"""The check before submitting: the same rules that the platform applies, run here on the data that made the table."""

from __future__ import annotations

from typing import Any

from release.errors import ReleaseError


def split(tables: Any) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """`tables` as given → specifications by file name, and data by file name where some came with them."""
    specs: dict[str, dict[str, Any]] = {}
    data: dict[str, Any] = {}
    for name, value in dict(tables or {}).items():
        spec = value
        if isinstance(value, tuple):
            if len(value) != 2:
                raise ReleaseError("must be (spec, data)", field=f"tables.{name}", hint="Give spec alone or a pair.")
            spec, data[name] = value
        specs[name] = _plain(spec, name)
    return specs, data


def _plain(spec: Any, name: str) -> dict[str, Any]:
    """A specification as a JSON object, in its normal form where `output_checks` is at hand."""
    from output_checks import OutputCheckError, TableSpec

    try:
        table = spec if isinstance(spec, TableSpec) else TableSpec.from_dict(spec)
        body: dict[str, Any] = table.to_dict()
        return body
    except OutputCheckError as error:
        raise ReleaseError(
            error.message, code=error.code, field=f"tables.{name}.{error.field}", hint=error.remedy
        ) from None


def findings(spec: dict[str, Any], data: Any, name: str) -> list[dict[str, Any]]:
    """What the checks say about this table on this data: rule, severity, why, remedy and cell of each finding."""
    from output_checks import OutputCheckError, check

    try:
        report = check(spec, data)
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
