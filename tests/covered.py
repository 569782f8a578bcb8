"""Branch coverage of rules and services: measured while `make test` runs, judged by `python -m tests.covered`.

Decides what counts as rules and services (what lies in a subject's room itself, not in the rooms below it: those are
programs and builders), and the least share of their branches that the suite must take. Nothing is measured unless
TRE_COVERAGE names a folder: each process of the suite writes its own file there, those that the platform starts none.
"""

from __future__ import annotations

import json
import os
import sys
from io import StringIO
from pathlib import Path

from coverage import Coverage

CHECKOUT = Path(__file__).parents[1]
FOLDER = CHECKOUT / "build" / "coverage"
SUBJECTS = ("people", "projects", "data", "workspaces", "outputs", "audit")
LEAST = 95.0


def begun() -> Coverage | None:
    """Begins in a process of the suite, before it imports anything of the platform."""
    if not os.environ.get("TRE_COVERAGE"):
        return None
    found = measurement(Path(os.environ["TRE_COVERAGE"]).resolve(), suffix=True)
    found.start()
    return found


def measurement(folder: Path, *, suffix: bool) -> Coverage:
    rooms = [CHECKOUT / "tre" / subject for subject in SUBJECTS]
    return Coverage(
        data_file=str(folder / "all"),
        data_suffix=suffix,
        branch=True,
        source=[str(room) for room in rooms],
        omit=[str(room / "*" / "*") for room in rooms],
        config_file=False,
    )


def main() -> int:
    found = measurement(FOLDER, suffix=False)
    found.combine([str(path) for path in FOLDER.glob("all.*")], strict=True, keep=True)
    table, numbers = StringIO(), FOLDER / "all.json"
    found.report(file=table, show_missing=True, skip_covered=True)
    found.json_report(outfile=str(numbers))
    totals = json.loads(numbers.read_text())["totals"]
    numbers.unlink()
    taken, every = totals["covered_branches"], totals["num_branches"]
    share = 100 * taken / every
    print(table.getvalue())
    print(f"Of {every} branches of rules and services the suite took {taken}: {share:.1f} %; least: {LEAST:.0f} %.")
    return 0 if share >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
