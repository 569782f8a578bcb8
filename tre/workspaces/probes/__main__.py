"""`python -m tre.workspaces.probes`: does this machine isolate? Two workspaces of nobody, every attempt, JSON.

Decides nothing about a running platform: `verify` does that with real neighbours. Here are no intake and no database,
and the report says so. Exit code 0 only if every attempt was refused.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import secrets
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tre.workspaces.plan import DataMount, LaunchPlan, Limits
from tre.workspaces.probes.report import Report, Subject, Surroundings
from tre.workspaces.probes.verify import verify
from tre.workspaces.runtime import REPOSITORY, SandboxRuntime

LEFT_OUT = ("intake", "other_token", "expired_token", "public_key", "database")
LIMITS = Limits(memory_bytes=1 << 30, processes=200, cpus=1, file_bytes=1 << 28, home_bytes=1 << 29)


def plan(folder: Path, name: str) -> LaunchPlan:
    """A plan for a workspace of nobody, with a data file and a secret of its own."""
    for part in ("intake", "data"):
        (folder / name / part).mkdir(parents=True, mode=0o700)
    (folder / name / "data" / "table.csv").write_text("a,b\n1,2\n")
    return LaunchPlan(
        workspace_id=f"probe-{name}",
        person="nobody",
        project=name,
        home=str(folder / name / "home"),
        base_url=f"/user/nobody/{name}/",
        intake_socket=str(folder / name / "intake" / "intake.sock"),
        jupyter_token=secrets.token_hex(32),
        data=(DataMount(name, str(folder / name / "data")),),
        secrets={"intake.token": secrets.token_hex(32), "pg_service.conf": "[project]\n"},
        limits=LIMITS,
    )


@contextlib.contextmanager
def running(runtime: SandboxRuntime, chosen: LaunchPlan) -> Iterator[Subject]:
    """The plan, running; gone afterwards."""
    state = runtime.start(chosen)
    try:
        yield Subject.of(state, chosen)
    finally:
        runtime.stop(state)


def on_this_machine(workspace_env: Path) -> Report:
    """Start two workspaces in a folder of their own and verify both."""
    with tempfile.TemporaryDirectory(prefix="tre-") as name:
        folder = Path(name)
        runtime = SandboxRuntime(folder / "run", workspace_env)
        with running(runtime, plan(folder, "one")) as one, running(runtime, plan(folder, "two")) as two:
            return verify(runtime, one, two, Surroundings(platform_folders=[name]), left_out=LEFT_OUT)


def main() -> int:
    """Print the report as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tre.workspaces.probes", description=__doc__)
    parser.add_argument("--workspace-env", type=Path, default=REPOSITORY / ".workspace-env")
    report = on_this_machine(parser.parse_args().workspace_env)
    print(json.dumps(report.to_dict(), indent=2))
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
