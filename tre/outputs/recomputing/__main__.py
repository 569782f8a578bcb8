"""Reads a job from standard input, writes one line of JSON per table as soon as it is done.

In: `{"profile", "memory_bytes", "data": {dataset: {"files": [name in /input], "unit"}}, "released": {dataset: [{"name",
"spec", "cells"}]}, "tables": [{"dataset", "spec", "cells"}]}`. Out, per table: `{"verified", "findings"}`.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import IO, Any

from output_checks.evidence.sources import SETTINGS

from .memory import Memory, remembered
from .tables import Data, compute

INPUT = Path("/input")


def answers(job: dict[str, Any], out: IO[str], folder: Path = INPUT) -> None:
    # What would take more than half of the memory is put aside in files.
    SETTINGS["memory_limit"] = f"{job['memory_bytes'] >> 21}MiB"
    data = {name: Data(gathered(folder, held["files"]), held["unit"]) for name, held in job["data"].items()}
    memories = {name: Memory(held.path) for name, held in data.items()}
    for name, memory in memories.items():
        for old in job["released"][name]:
            memory.add(remembered(old["name"], old["spec"], old["cells"]))
    for table in job["tables"]:
        name = table["dataset"]
        verified, findings = compute(table["spec"], table["cells"], data[name], memories[name], job["profile"])
        line = {"verified": verified, "findings": [finding.to_dict() for finding in findings]}
        out.write(json.dumps(line, default=str) + "\n")
        out.flush()


def gathered(folder: Path, files: list[str]) -> Path:
    """One path for the files of a dataset: its only file, or a folder of its own with links to all of them."""
    if len(files) == 1:
        return folder / files[0]
    together = Path(tempfile.mkdtemp())
    for name in files:
        (together / name).symlink_to(folder / name)
    return together


if __name__ == "__main__":
    answers(json.load(sys.stdin), sys.stdout)
