"""Reads a job from standard input, writes one line of JSON per table as soon as it is done.

In: `{"profile", "memory_bytes", "data": {dataset: {"files": [name in /input], "unit"}}, "released": {dataset: [{"name",
"spec", "cells"}]}, "tables": [{"dataset", "spec", "cells"}]}`. Out, per table: `{"verified", "findings"}`.
"""

from __future__ import annotations

import json
import sys
from typing import IO, Any

from .memory import Memory, remembered
from .tables import Data, compute, opened

INPUT = "/input"


def answers(job: dict[str, Any], out: IO[str], folder: str = INPUT) -> None:
    connection = opened(job["memory_bytes"])
    memories = {
        name: Memory([remembered(old["name"], old["spec"], old["cells"]) for old in tables])
        for name, tables in job["released"].items()
    }
    data = {
        name: Data(connection, tuple(f"{folder}/{file}" for file in held["files"]), held["unit"])
        for name, held in job["data"].items()
    }
    for table in job["tables"]:
        name = table["dataset"]
        verified, findings = compute(table["spec"], table["cells"], data[name], memories[name], job["profile"])
        line = {"verified": verified, "findings": [finding.to_dict() for finding in findings]}
        out.write(json.dumps(line, default=str) + "\n")
        out.flush()


if __name__ == "__main__":
    answers(json.load(sys.stdin), sys.stdout)
