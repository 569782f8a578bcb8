"""`python -m tests.cluster.suite [--once-more]`: every test that needs the cluster, by the user who may run it.

Decides who runs what: root, who made the cluster; then, as an ordinary user, what starts servers of ours. Each says in
the end what it did not run. `--once-more` runs what failed a second time, by itself: what fails again fails.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from .machine.place import place

PROJECTS = "tests/cluster/projects"
OF_ROOT = ("tests/cluster", f"--ignore={PROJECTS}")
CHECKOUT = Path(__file__).resolve().parents[2]


def main(arguments: list[str]) -> int:
    parts = {"root": pytest("root", *OF_ROOT), "ordinary": [*ordinary(), *pytest("ordinary", PROJECTS)]}
    failed = [name for name, command in parts.items() if not passes(command)]
    if arguments == ["--once-more"]:
        failed = [name for name in failed if not passes([*parts[name], "--last-failed"])]
    return 1 if failed else 0


def pytest(name: str, *chosen: str) -> list[str]:
    return [sys.executable, "-m", "pytest", "-q", "-rs", f"--override-ini=cache_dir=build/cluster-{name}", *chosen]


def ordinary() -> list[str]:
    return [sys.executable, "-m", "tre.stack.ordinary", "--"]


def passes(command: list[str]) -> bool:
    """The kubeconfig is its owner's alone: it goes along as text."""
    config = Path(os.environ.get("KUBECONFIG") or place().kubeconfig)
    environment = {**os.environ, "TRE_TEST_KUBECONFIG": config.read_text()}
    return subprocess.run(command, cwd=CHECKOUT, env=environment, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
