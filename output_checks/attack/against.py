"""A published table against the data that it claims to show, cell by cell.

Decides for each published cell whether it is equal, suppressed, rounded as declared, a total of what is shown,
or different, and whether something disclosive was published. This is how a submitted table becomes *verified*.
Leaves evidence to `check`, reading files to `published` and what follows from published cells to `inference`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from output_checks.attack.inference import NEAR, worked_out
from output_checks.errors import Unreadable
from output_checks.evidence.cells import Evidence
from output_checks.evidence.layout import Axis, cell_keys, label_text, parse_label
from output_checks.evidence.spec import MISSING, TableSpec
from output_checks.evidence.totals import expected_values
from output_checks.reading.published import TOTALS, Published, PublishedCell, cell, read
from output_checks.rules.findings import Finding
from output_checks.rules.judgement import Judgement

Table = TypeVar("Table", bound=Judgement)


def named(cells: Any, spec: TableSpec) -> list[PublishedCell]:
    """Published cells from a file, a grid or plain values."""
    if isinstance(cells, str | Path | bytes):
        cells = read(cells)
    if isinstance(cells, Published):
        return cells.cells(spec)
    out = []
    for item in cells:
        if isinstance(item, PublishedCell):
            out.append(item)
        else:
            labels = {name: "" if text is None else label_text(text) for name, text in item["labels"].items()}
            value = item.get("value")
            out.append(cell(labels, "" if value is None else str(value)))
    return out


def compare(report: Table, cells: list[PublishedCell]) -> Table:
    """The verdict on published cells given the report on the true table."""
    e = report.evidence
    placed, problems = place(e, cells)
    problems += _completeness(report, placed)
    shown = {i: c for i, c in placed.items() if c.value is not None or not c.readable}
    accepted, found = _values(report, shown)
    problems += found
    problems += _unsuppressed(report, shown, accepted)
    problems += worked_out(report, shown)
    severities = {rule: (severity, mask) for rule, (severity, mask) in report.masks.items() if severity != "fail"}
    return replace(report, masks=severities, extra=(*report.extra, *problems))


def place(e: Evidence, cells: list[PublishedCell]) -> tuple[dict[int, PublishedCell], list[Finding]]:
    """Each published cell at its position in the evidence; findings for those that have none or are there twice."""
    placed: dict[int, PublishedCell] = {}
    problems: list[Finding] = []
    for c, i in zip(cells, _positions(e, cells), strict=True):
        if not c.readable and e.mode is None:
            problems.append(_about(c, "unreadable_cell", f"{c.text!r} is neither a number nor a sign of suppression."))
        elif i < 0:
            if c.value is not None or not c.readable:
                problems.append(_about(c, "unknown_cell", "The declared table has no such cell."))
        elif i in placed:
            problems.append(_about(c, "unknown_cell", "The cell is there twice."))
        else:
            placed[i] = c
    return placed, problems


class _Codes(dict[str, int]):
    """Label text of one dimension → its code, -1 for the total, -2 for none; worked out when first asked."""

    def __init__(self, axis: Axis, total: str) -> None:
        self.axis, self.total = axis, total
        self.known: dict[Any, int] = {label: i for i, label in enumerate(axis.labels)}

    def __missing__(self, text: str) -> int:
        code = self.known.get(parse_label(text, self.axis.kind))
        if code is None and text in ("", "nan", "NaN", MISSING):
            code = self.known.get(None, -1 if text == "" else None)
        if code is None:
            code = -1 if text == self.total or text in TOTALS else -2
        self[text] = code
        return code


def _positions(e: Evidence, cells: list[PublishedCell]) -> list[int]:
    """Where each cell stands in the evidence; -1 for a cell that the table does not show."""
    import numpy as np

    codes = np.empty((len(cells), len(e.axes)), dtype=np.int64)
    for j, axis in enumerate(e.axes):
        code_of, name = _Codes(axis, e.spec.total), axis.name
        codes[:, j] = [code_of[c.labels.get(name, "")] for c in cells]
    at = np.where((codes < -1).any(axis=1), -1, e.at(cell_keys(codes, e.axes)))
    shown: list[int] = np.where((at >= 0) & e.published[at], at, -1).tolist()
    return shown


def _completeness(report: Judgement, placed: dict[int, PublishedCell]) -> list[Finding]:
    """Cells with people in them that the file does not mention: not wrong, but the checker must know."""
    e = report.evidence
    lost = [i for i in e.published.nonzero()[0].tolist() if i not in placed and e.units[i] > 0]
    if not placed:
        raise Unreadable("the file holds no cell of the declared table.", field="table", remedy="Check the dimensions.")
    if not lost:
        return []
    why = f"{len(lost)} cells of the declared table are not in the file; they count as suppressed."
    return [
        Finding("missing_cell", "note", why, "Declare the table that is in the file.", evidence={"cells": len(lost)})
    ]


def _values(report: Judgement, shown: dict[int, PublishedCell]) -> tuple[set[int], list[Finding]]:
    """Which cells are rounded as declared, and findings for values that are none of what they may be."""
    import numpy as np

    e, problems = report.evidence, []
    visible = np.zeros(len(e), dtype=bool)
    visible[list(shown)] = True
    allowed = list(expected_values(e, visible).values())
    exact = _exact(shown, allowed)
    accepted = set(exact)
    for i, c in shown.items():
        if i in exact:
            continue
        if e.mode is not None and e.mode[i] is not None and str(e.mode[i]) == c.text.strip():
            continue
        if c.value is None:
            problems.append(_about(c, "mismatch", f"The file says {c.text.strip()}, the data say {report.value(i)}."))
            continue
        value, near = float(c.value), c.slack + NEAR * max(1.0, abs(float(c.value)))
        if any(abs(value - values[i]) <= near for values in allowed):
            accepted.add(i)
        elif value == 0 and e.n[i] == 0:
            continue
        else:
            truth = report.value(i)
            why = f"The file says {c.text.strip()}, the data say {truth if truth is None else format(truth, '.10g')}."
            problems.append(
                _about(c, "mismatch", why, "Write the table again from the pinned data, or correct its specification.")
            )
    return accepted if e.spec.rounded_by else set(), problems


def _exact(shown: dict[int, PublishedCell], allowed: list[Any]) -> set[int]:
    """Cells whose published value is one that they may have, to the last digit."""
    import numpy as np

    at = np.fromiter(shown, dtype=np.int64, count=len(shown))
    values = np.array([np.nan if c.value is None else float(c.value) for c in shown.values()])
    near = NEAR * np.maximum(1.0, np.abs(values))
    fits = np.zeros(len(at), dtype=bool)
    for truth in allowed:
        fits |= np.abs(values - truth[at]) <= near
    return set(at[fits].tolist())


def _unsuppressed(report: Judgement, shown: dict[int, PublishedCell], accepted: set[int]) -> list[Finding]:
    """Disclosive cells that were published although a rule fails them."""
    declared, problems = report.spec.rounded_by, []
    hides = declared is not None and declared[0] == "midpoint" and declared[1] == report.profile.midpoint_base
    for rule_id, (severity, mask) in report.masks.items():
        if severity != "fail":
            continue
        for i in (mask & report.evidence.published).nonzero()[0].tolist():
            c = shown.get(i)
            if c is None or _harmless(report, i, c) or (hides and i in accepted and rule_id in ("threshold", "zero")):
                continue
            finding = report._finding(rule_id, severity, i)
            where = f" (line {c.place[0]}, column {c.place[1]} of the file)" if c.place[0] else ""
            problems.append(replace(finding, why=f"{finding.why} It was published as {c.text.strip()}{where}."))
    return problems


def _harmless(report: Judgement, i: int, c: PublishedCell) -> bool:
    """A total that differs from the true one because it adds up only what is shown says nothing of the hidden
    rest.
    """
    e = report.evidence
    is_total = bool((e.codes[i] < 0).any())
    truth = float(e.value[i]) if e.mode is None else float("nan")
    return is_total and c.value is not None and abs(float(c.value) - truth) > c.slack + NEAR * max(1.0, abs(truth))


def _about(c: PublishedCell, rule: str, why: str, remedy: str = "Write the table again.") -> Finding:
    where = {"line": c.place[0], "column": c.place[1]} if c.place[0] else {}
    return Finding(rule, "fail", why, remedy, cell=dict(c.labels), evidence={"published": c.text, **where})
