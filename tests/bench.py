"""`make bench`: every benchmark of the suite, one after the other, into docs/benchmarks.json and docs/benchmarks.md.

Decides only which there are and how the page looks. Each module has `run()`, which returns rows: `what` was measured,
`ours`, the `other` it was compared with in the same run, their `ratio`, the `goal`, whether it was `met`, `detail`.
`make bench` measures all of them; `python -m tests.bench NAME…` some, and keeps what the page knows of the others.
Each module runs in a process of its own, so that none measures what another left in memory, and as an ordinary user,
because Jupyter and PostgreSQL refuse root; only this process, which writes the page, and what needs root's cluster may
be root's.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

MODULES = (
    "tests.stack.bench_workspaces",
    "tests.door.bench_guard",
    "tests.data.bench_extract",
    "tests.outputs.bench_lists",
    "tests.outputs.bench_checks",
    "tests.cluster.bench_scale",
    "tests.cluster.bench_start",
    "tests.output_checks.bench_rows",
)
#: The cluster of the tests is root's.
AS_ROOT = {"tests.cluster.bench_start"}
CHECKOUT = Path(__file__).resolve().parents[1]
ROWS = CHECKOUT / "build" / "bench-rows.json"
DOCS = CHECKOUT / "docs"
FOUND, PAGE = DOCS / "benchmarks.json", DOCS / "benchmarks.md"


def main() -> int:
    chosen = sys.argv[1:] or MODULES
    found: dict[str, Any] = json.loads(FOUND.read_text()) if FOUND.exists() else {}
    for name in chosen:
        begun = time.monotonic()
        found[name] = {
            "on": date.today().isoformat(),
            "machine": machine(),
            "rows": measured(name),
        }
        print(f"{name}: {time.monotonic() - begun:.0f} s", file=sys.stderr)
        FOUND.write_text(json.dumps({name: found[name] for name in MODULES if name in found}, indent=1) + "\n")
    PAGE.write_text(page(found))
    print(PAGE.read_text())
    return 0


def measured(name: str) -> list[dict[str, Any]]:
    """The rows of one module, measured in a process of its own; raises `CalledProcessError` where it fails."""
    ROWS.unlink(missing_ok=True)
    ordinary = [] if name in AS_ROOT else [sys.executable, "-m", "tre.stack.ordinary", "--"]
    measure = f"from tests import bench; bench.write_rows({name!r})"
    subprocess.run([*ordinary, sys.executable, "-c", measure], cwd=CHECKOUT, check=True)
    rows: list[dict[str, Any]] = json.loads(ROWS.read_text())
    return rows


def write_rows(name: str) -> None:
    """What the measuring process does: into `build/`, which an ordinary user may write to also when root asked."""
    ROWS.parent.mkdir(exist_ok=True)
    ROWS.write_text(json.dumps(importlib.import_module(name).run(), default=str))


def machine() -> str:
    cores, version = len(os.sched_getaffinity(0)), platform.python_version()
    return f"{cores} cores, Linux {platform.release()}, Python {version}"


def page(found: dict[str, Any]) -> str:
    """The results as Markdown, one table per module."""
    lines = ["# Benchmarks", "", "Made by `make bench`. Ratios are of one run, the two sides measured in turns.", ""]
    for name in MODULES:
        if name in found:
            lines += section(name, found[name])
    return "\n".join(lines)


def section(name: str, found: dict[str, Any]) -> list[str]:
    title = f"## {name.removeprefix('tests.')}"
    about = f"`python -m tests.bench {name}`, {found['on']}, {found['machine']}."
    lines = [title, "", about, "", "| what | ours | beside | ratio | goal | met |", "|---|---|---|---|---|---|"]
    for row in found["rows"]:
        met = {True: "yes", False: "**no**", None: ""}[row.get("met")]
        cells = [*(str(row.get(key, "")) for key in ("what", "ours", "other", "ratio", "goal")), met]
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


if __name__ == "__main__":
    sys.exit(main())
