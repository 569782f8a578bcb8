"""`python -m tests.cluster.suite [--once-more] [PART...]`: what needs the cluster, by the user who may run it.

Decides who runs what (root, who made the cluster; an ordinary user, what starts servers of ours) and what goes side by
side: most of the time a test waits for pods, so two processors carry two of them. What stops servers, or counts what a
cluster leaves behind, runs by itself. Each says in the end what it did not run. `--once-more` runs what failed a second
time, by itself: what fails again fails.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .machine.place import place

FOLDER = "tests/cluster"
CHECKOUT = Path(__file__).resolve().parents[2]
RELEASES = (f"{FOLDER}/chart", f"{FOLDER}/outside")
PROJECTS = (f"{FOLDER}/projects",)
ALONE = (f"{FOLDER}/test_lifecycle.py", f"{FOLDER}/failures")
OTHERS = (FOLDER, *(f"--ignore={each}" for each in (*RELEASES, *PROJECTS, *ALONE)))


@dataclass(frozen=True)
class Part:
    """Tests for one run of pytest."""

    name: str
    chosen: tuple[str, ...]
    ordinary: bool = False

    def command(self, *more: str) -> list[str]:
        user = [sys.executable, "-m", "tre.stack.ordinary", "--"] if self.ordinary else []
        found = ("-q", "-rs", "--durations=10", f"--override-ini=cache_dir=build/cluster-{self.name}")
        return [*user, sys.executable, "-m", "pytest", *found, *self.chosen, *more]


SIDE_BY_SIDE = (
    (Part("releases", RELEASES),),
    (Part("cluster", OTHERS), Part("projects", PROJECTS, ordinary=True)),
)
AFTERWARDS = (Part("failures", ALONE),)


def main(arguments: list[str] | None = None) -> int:
    names = [part.name for parts in (*SIDE_BY_SIDE, AFTERWARDS) for part in parts]
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.suite", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(names))
    parser.add_argument("--once-more", action="store_true", help="try what failed a second time, by itself")
    given = parser.parse_args(arguments)
    chosen = frozenset(given.parts or names)
    if not chosen <= {*names}:
        parser.error(f"the parts are {', '.join(names)}")
    with ThreadPoolExecutor(len(SIDE_BY_SIDE)) as pool:
        failed = [part for found in pool.map(partial(failures, chosen), SIDE_BY_SIDE) for part in found]
    failed += failures(chosen, AFTERWARDS)
    if given.once_more:
        failed = [part for part in failed if not passes(part, "--last-failed")]
    return 1 if failed else 0


def failures(chosen: frozenset[str], parts: tuple[Part, ...]) -> list[Part]:
    """Of those that were chosen, one after another."""
    return [part for part in parts if part.name in chosen and not passes(part)]


def passes(part: Part, *more: str) -> bool:
    """What it says is told when it is through: two at once would not be read. The kubeconfig is its owner's alone: it
    goes along as text.
    """
    config = Path(os.environ.get("KUBECONFIG") or place().kubeconfig)
    environment = {**os.environ, "TRE_TEST_KUBECONFIG": config.read_text()}
    print(f"{part.name}: running", flush=True)
    done = subprocess.run(
        part.command(*more),
        cwd=CHECKOUT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    print(f"{part.name}:\n{done.stdout.decode(errors='replace')}", flush=True)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
