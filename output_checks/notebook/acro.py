"""ACRO's results folder, in and out, so that users of SACRO-Viewer can change over one side at a time.

Decides how a session becomes `results.json` with checksums (versions 0.4 and 1.0) and how such a folder
becomes records whose files are whole. What ACRO says of an output is its author's claim and never a verdict
here. Leaves judging files to `compare_published`.
"""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from output_checks.errors import BadInput, Unreadable, Unsafe
from output_checks.mitigation.report import Report
from output_checks.notebook.session import Item, Session

CHECKS = {
    "1.0": {
        "threshold": "MinimumThresholdCheck", "zero": "PresenceOfZeroCheck", "dominance_nk": "NKCheck",
        "dominance_p": "PPercentCheck", "dof": "MinimumDoFCheck", "all_same": "AllSameValuesCheck",
        "missing_values": "MissingCheck",
    },
    "0.4": {
        "threshold": "threshold", "dominance_nk": "nk-rule", "dominance_p": "p-ratio",
        "all_same": "all-values-are-same",
        "missing_values": "missing", "negatives": "negative",
    },
}  # fmt: skip
STATBARNS = {
    "count": "Frequencies", "units": "Frequencies", "sum": "LinearAggregations", "mean": "LinearAggregations",
    "median": "Position", "std": "Shape", "skew": "Shape", "kurt": "Shape", "min": "EndPoints", "max": "EndPoints",
    "mode": "Mode",
}  # fmt: skip
MAX_JSON = 32 * 2**20


@dataclass(frozen=True)
class AcroRecord:
    """One output of a results folder: what its author claims of it, and its files with their digests (checked
    on reading).
    """

    uid: str
    claimed: str
    type: str
    method: str
    files: dict[str, str]
    summary: str = ""
    exception: str = ""
    comments: tuple[str, ...] = ()
    dimensions: tuple[str, ...] = ()
    values: str | None = None
    body: dict[str, Any] = field(default_factory=dict)


def write_acro(session: Session, folder: str | Path, *, version: str = "1.0") -> Path:
    """Writes a session as a results folder of ACRO 1.0 or 0.4.

    Tables leave audited as `Session.write` has them; the context is the exception that ACRO asks for. Raises
    Unsafe if an item fails.
    """
    if version not in CHECKS:
        raise BadInput(f"{version!r} is not known.", field="version", remedy='Use "1.0" or "0.4".')
    unsafe = [item.name for item in session.items if item.status == "fail"]
    if unsafe:
        raise Unsafe(f"{', '.join(unsafe)} must not leave as it is.", remedy="Mitigate or remove it.")
    written = {item.name: _file(item) for item in session.items}
    results = {item.name: _record(item, written[item.name], version) for item in session.items}
    number = "1.0.2" if version == "1.0" else "0.4.8"
    body = {"version": number, "tool": "output_checks", "results": results}
    if version == "0.4":
        del body["tool"]
    out = Path(folder)
    (out / "checksums").mkdir(parents=True, exist_ok=True)
    for name, raw in [*written.values(), ("results.json", json.dumps(body, indent=4).encode())]:
        (out / name).write_bytes(raw)
        (out / "checksums" / f"{name}.txt").write_text(hashlib.sha256(raw).hexdigest(), encoding="utf-8")
    (out / "config.json").write_text(json.dumps(_config(session), indent=4), encoding="utf-8")
    return out


def _file(item: Item) -> tuple[str, bytes]:
    thing = item.table or (item.report.suppress() if item.report else None)
    if thing is not None:
        layout = "wide" if thing.report.spec.columns and thing.report.spec.rows else "long"
        return f"{item.name}.csv", thing.to_csv(layout=layout).encode()
    verdict = getattr(item.thing, "verdict", item.thing)
    return f"{item.name}.json", json.dumps(verdict.to_dict(), indent=1).encode()


def _record(item: Item, written: tuple[str, bytes], version: str) -> dict[str, Any]:
    report, names = item.report, CHECKS[version]
    summary, outcome, cells = ("review", {}, {}) if report is None else _outcome(report, names)
    spec = report.spec if report is not None else None
    record: dict[str, Any] = {
        "uid": item.name,
        "status": item.status,
        "type": "table" if report is not None else "regression",
        "properties": {"method": spec.statistic if spec else getattr(item.thing, "kind", "model")},
        "files": [{"name": written[0], "sdc": {"summary": {k: len(v) for k, v in cells.items()}, "cells": cells}}],
        "outcome": outcome,
        "command": item.title,
        "summary": summary if item.table is None else f"{summary}; {item.table.what}",
        "timestamp": dt.datetime.now(dt.UTC).isoformat(),
        "comments": [item.title] if item.title else [],
        "exception": item.context,
    }
    if version == "1.0":
        record["properties"]["mitigation"] = "suppression" if item.mitigated else "none"
        record["fair"] = {
            "context": "https://w3id.org/statbarnsdc#",
            "statbarn": STATBARNS.get(spec.statistic, "Position") if spec else "CorrelationCoefficients",
            "dependent": spec.values if spec and spec.values else "unknown",
            "independent": list(spec.dimensions) if spec else [],
        }
    elif cells and item.mitigated:
        record["files"][0]["sdc"]["summary"]["suppressed"] = True
    return record


def _outcome(report: Report, names: dict[str, str]) -> tuple[str, dict[str, Any], dict[str, list[list[int]]]]:
    """ACRO's summary sentence, its map column → row → rules, and positions of flagged cells per rule."""
    rows: dict[tuple[Any, ...], int] = {}
    columns: dict[tuple[Any, ...], int] = {}
    cells: dict[str, list[list[int]]] = {name: [] for name in names.values()}
    outcome: dict[str, dict[str, str]] = {}
    for cell in report.cells:
        r, c = tuple(cell.row.values()), tuple(cell.column.values())
        at = [rows.setdefault(r, len(rows)), columns.setdefault(c, len(columns))]
        found = [names[rule] for rule in cell.findings if rule in names]
        for name in found:
            cells[name].append(at)
        side = " | ".join(map(str, c)) or report.spec.statistic
        outcome.setdefault(side, {})[" | ".join(map(str, r))] = "".join(f"{n}; " for n in found) or "ok"
    parts = [f"{name}: {len(at)} cells may need suppressing" for name, at in cells.items() if at]
    return "; ".join([report.status, *parts]) + "; ", outcome, cells


def _config(session: Session) -> dict[str, Any]:
    p = session.profile
    nk = p.nk[0] if p.nk else None
    return {
        "safe_threshold": int(p.threshold.limit),
        "safe_dof_threshold": int(p.dof.limit) if p.dof else 0,
        "safe_nk_n": nk.n if nk else 0,
        "safe_nk_k": nk.k if nk else 1.0,
        "safe_pratio_p": p.p.limit if p.p else 0.0,
        "zeros_are_disclosive": p.zeros_are_disclosive,
        "blocked_extensions": list(p.blocked_extensions),
    }


def read_acro(folder: str | Path) -> list[AcroRecord]:
    """The records of a results folder. Raises Unreadable if a file is missing, altered, outside the folder or
    not declared.
    """
    root = Path(folder)
    try:
        raw = (root / "results.json").read_bytes()
        if len(raw) > MAX_JSON:
            raise ValueError("too large")
        body = json.loads(raw)
        results = body["results"]
        version = str(body["version"])
        if not isinstance(results, dict) or version.split(".")[0] not in ("0", "1"):
            raise ValueError("unknown version")
        return [_read(root, uid, record) for uid, record in results.items()]
    except (OSError, KeyError, ValueError, TypeError, AttributeError) as problem:
        raise Unreadable(f"is no results folder ({problem}).", field="folder", remedy="Finalise it again.") from None


def _read(root: Path, uid: str, record: dict[str, Any]) -> AcroRecord:
    fair = record.get("fair") or {}
    files = {str(entry["name"]): _digest(root, str(entry["name"])) for entry in record["files"]}
    dependent = fair.get("dependent")
    return AcroRecord(
        uid=uid, claimed=str(record["status"]), type=str(record["type"]),
        method=str(record.get("properties", {}).get("method", "")), files=files, summary=str(record.get("summary", "")),
        exception=str(record.get("exception", "")), comments=tuple(map(str, record.get("comments", ()))),
        dimensions=tuple(map(str, fair.get("independent", ()))),
        values=None if dependent in (None, "unknown") else str(dependent), body=dict(record),
    )  # fmt: skip


def _digest(root: Path, name: str) -> str:
    if Path(name).name != name or name in ("", ".", ".."):
        raise ValueError(f"{name!r} is outside the folder")
    path = root / name
    if path.is_symlink() or not path.is_file():
        raise ValueError(f"{name!r} is missing")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if (root / "checksums" / f"{name}.txt").read_text(encoding="utf-8").strip() != found:
        raise ValueError(f"{name!r} was altered after its checksum was taken")
    return found


def table_of(record: AcroRecord, folder: str | Path) -> list[list[str]]:
    """The texts of a record's first CSV, for viewers."""
    name = next((name for name in record.files if name.endswith(".csv")), None)
    if name is None:
        raise Unreadable("the record holds no CSV.", field="folder", remedy="Look at its files.")
    return list(csv.reader(io.StringIO((Path(folder) / name).read_text(encoding="utf-8"))))
