"""A record that came with a file: what output_checks says, in the workspace, that it made.

Decides whether it is such a record and about such a table. Nobody signed it: whether it is about these very bytes is
for the other side of the wall to compare, and it is the workspace's word all the same.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

from output_checks import OutputCheckError, TableSpec
from output_checks.reading.published import Published
from output_checks.rules.findings import ORDER

from .tables import Grid

Record = dict[str, Any]
MAX_FINDINGS = 100
MAX_WORDS = 600
ITEM = {"name", "title", "context", "status", "files", "spec", "what", "findings"}
DIGEST = re.compile(r"[0-9a-f]{64}")


def read_record(text: str, grid: Grid | None) -> Record:
    """What the record says in plain values; `problem` says why it is none, or none of such a table."""
    try:
        return _read(json.loads(text), grid)
    except OutputCheckError as error:
        return {"problem": _words(f"Its specification does not fit the table: {error}")}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {"problem": "It is not a record that output_checks wrote about a table."}


def _read(body: dict[str, Any], grid: Grid | None) -> Record:
    item, profile = body["item"], body["profile"]
    files = list(item["files"].values())
    findings = [(finding["severity"], _words(finding["why"])) for finding in item["findings"]]
    sound = (
        body.keys() == {"item", "profile"}
        and item.keys() == ITEM
        and item["status"] in ("pass", "review", "fail")
        and all(DIGEST.fullmatch(digest) for digest in files)
        and all(severity in ORDER for severity, _ in findings)
    )
    spec = TableSpec.from_dict(item["spec"])
    if not sound or not Published(tuple(map(tuple, grid or ()))).cells(spec):
        raise ValueError
    failed = item["status"] == "fail" or any(severity == "fail" for severity, _ in findings)
    return {
        "files": files,
        "profile": _words(f"{profile['id']} {profile['version']}")[:64],
        "status": "fail" if failed else item["status"],
        "what": _words(item["what"]),
        "spec": spec.to_dict(),
        "findings": findings[:MAX_FINDINGS],
    }


def _words(text: str) -> str:
    """Text for people: what would hide or turn what is read is a blank."""
    plain = "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Co", "Cs") else c for c in str(text)[:MAX_WORDS])
    return plain.strip()
