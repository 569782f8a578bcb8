"""Workspaces of nobody: a plan like any other, in a folder of its own, with a data file and secrets that open nothing.

They stand beside a workspace where nobody else's runs, and take what would end a researcher's. Decides their limits.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tre.workspaces.plan import DataMount, LaunchPlan, Limits
from tre.workspaces.probes.report import Subject
from tre.workspaces.runtime import SandboxRuntime

# Its age ends what a killed verifier left behind.
LIMITS = Limits(
    memory_bytes=1 << 30, processes=200, cpus=1, file_bytes=1 << 28, home_bytes=1 << 29, max_age_seconds=900
)
# Memory and disk are to be filled in it.
SMALL = replace(LIMITS, memory_bytes=512 << 20, home_bytes=64 << 20)


def plan(folder: Path, name: str, *, limits: Limits = LIMITS, token: str = "") -> LaunchPlan:
    """`name` is the workspace's id and its project's; its host folders are made below `folder`. `token`: the text that
    it shows as its intake token.
    """
    for part in ("intake", "data"):
        (folder / name / part).mkdir(parents=True, mode=0o700)
    (folder / name / "data" / "table.csv").write_text("a,b\n1,2\n")
    return LaunchPlan(
        workspace_id=name,
        person="nobody",
        project=name,
        home=str(folder / name / "home"),
        base_url=f"/user/nobody/{name}/",
        intake_socket=str(folder / name / "intake" / "intake.sock"),
        jupyter_token=secrets.token_hex(32),
        data=(DataMount(name, str(folder / name / "data")),),
        secrets={"intake.token": token or secrets.token_hex(32), "pg_service.conf": "[project]\n"},
        limits=limits,
    )


@contextlib.contextmanager
def running(runtime: SandboxRuntime, chosen: LaunchPlan) -> Iterator[Subject]:
    """The plan, running; gone afterwards."""
    state = runtime.start(chosen)
    try:
        yield Subject.of(state, chosen)
    finally:
        runtime.stop(state)
