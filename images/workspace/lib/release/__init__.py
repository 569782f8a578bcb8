"""Submit outputs for release, and follow them.

    import release
    receipt = release.submit(
        ["counts.csv", "trend.png"],
        title="Visits by plan",
        context="Table 2 of the paper: visits per person and year.",
        controls="Threshold 10, values rounded to 5.",
        tables={"counts.csv": release.Table("visits", {"rows": ["plan"], "unit": "person"}, frame)},
    )
    release.status(receipt.request)

Only what is submitted here, checked and approved leaves the workspace. Standard library only, so that it works in any
environment.
"""

from __future__ import annotations

from release.client import Receipt, requests, status, submit
from release.errors import PreflightFailed, ReleaseError
from release.files import File, Table

__all__ = ["File", "PreflightFailed", "Receipt", "ReleaseError", "Table", "requests", "status", "submit"]
