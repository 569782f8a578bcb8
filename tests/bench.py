"""`make bench`: every benchmark of the suite, one after the other, into build/bench.json and docs/bench.md.

Decides only which there are and how the page looks. Each module has `run() -> list[Row]`-like dictionaries: what was
measured, ours, what it is compared with in the same run, the ratio, and the goal.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

MODULES = (
    "tests.door.bench_guard",
    "tests.data.bench_extract",
    "tests.outputs.bench_lists",
    "tests.outputs.bench_checks",
    "tests.output_checks.bench",
)
ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    chosen = sys.argv[1:] or MODULES
    results: dict[str, Any] = {}
    for name in chosen:
        start = time.monotonic()
        results[name] = importlib.import_module(name).run()
        print(f"{name}: {time.monotonic() - start:.0f} s", file=sys.stderr)
    cpus = len(os.sched_getaffinity(0))
    machine = {"cpus": cpus, "kernel": platform.release(), "python": platform.python_version()}
    body = {"machine": machine, "results": results}
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    (build / "bench.json").write_text(json.dumps(body, indent=1, default=str) + "\n")
    print(page(body))
    return 0


def page(body: dict[str, Any]) -> str:
    """The results as Markdown, one table per module."""
    lines = ["# Benchmarks", "", f"One run of `make bench` on {body['machine']}.", ""]
    for name, rows in body["results"].items():
        header = ["| what | ours | compared with | ratio | goal | met |", "|---|---|---|---|---|---|"]
        lines += [f"## {name.rpartition('.')[2]}", "", *header]
        for row in rows:
            cells = (row.get(key, "") for key in ("what", "ours", "other", "ratio", "goal", "met"))
            lines.append("| " + " | ".join(map(str, cells)) + " |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
