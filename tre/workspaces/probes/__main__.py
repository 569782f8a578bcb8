"""`python -m tre.workspaces.probes`: does this machine isolate? Two workspaces of nobody, every attempt, JSON.

Decides nothing about a running platform: `verify` does that with real neighbours. Here are no intake and no database,
and the report says so. Exit code 0 only if every attempt was refused.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from tre.workspaces.probes import nobody
from tre.workspaces.probes.ending import endings
from tre.workspaces.probes.pulse import workspace_answers
from tre.workspaces.probes.report import Report, Surroundings
from tre.workspaces.probes.verify import verify
from tre.workspaces.runtime import REPOSITORY, SandboxRuntime


def on_this_machine(workspace_env: Path) -> Report:
    """Start two workspaces in a folder of their own and verify both."""
    with tempfile.TemporaryDirectory(prefix="tre-") as name:
        folder = Path(name)
        runtime = SandboxRuntime(folder / "run", workspace_env)
        plans = (nobody.plan(folder, "probe-one"), nobody.plan(folder, "probe-two"))
        with nobody.running(runtime, plans[0]) as one, nobody.running(runtime, plans[1]) as two:
            others = {"neighbour": workspace_answers(runtime, two)}
            report = verify(runtime, one, two, Surroundings(platform_folders=[name]), others)
            return replace(report, results=(*report.results, *endings(runtime, folder, others)))


def main() -> int:
    """Print the report as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tre.workspaces.probes", description=__doc__)
    parser.add_argument("--workspace-env", type=Path, default=REPOSITORY / ".workspace-env")
    report = on_this_machine(parser.parse_args().workspace_env)
    print(json.dumps(report.to_dict(), indent=2))
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
