"""`python -m tests.cluster.suite [--once-more] [PART...]`: what needs the cluster, by the user who may run it.

Decides who runs what (root, who made the cluster; an ordinary user, what starts servers of ours), on which cluster, and
what goes side by side: most of the time a test waits for pods. What stops a cluster's servers has a second cluster for
itself, which goes with it; what counts what a cluster leaves behind on the machine runs after all else. Each says in
the end what it did not run. `--once-more` runs what failed a second time, by itself: what fails again fails.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .machine.place import CHECKOUT, RUN, VAULT, place

FOLDER = "tests/cluster"
RELEASES = (f"{FOLDER}/chart", f"{FOLDER}/outside")
PROJECTS = (f"{FOLDER}/projects",)
FAILURES = (f"{FOLDER}/failures",)
LIFECYCLE = (f"{FOLDER}/test_lifecycle.py",)
OTHERS = (FOLDER, *(f"--ignore={each}" for each in (*RELEASES, *PROJECTS, *FAILURES, *LIFECYCLE)))
IMAGES = CHECKOUT / "build" / "images"


@dataclass(frozen=True)
class Part:
    """Tests for one run of pytest."""

    name: str
    chosen: tuple[str, ...]
    ordinary: bool = False
    #: What of our images it needs on a cluster of its own; without, it runs on the one that is there.
    images: tuple[str, ...] = ()
    #: The institution's secrets server is HashiCorp Vault instead of OpenBao.
    vault: bool = False

    def command(self, *more: str) -> list[str]:
        user = [sys.executable, "-m", "tre.stack.ordinary", "--"] if self.ordinary else []
        found = ("-q", "-rs", "--durations=10", f"--override-ini=cache_dir=build/cluster-{self.name}")
        return [*user, sys.executable, "-m", "pytest", *found, *self.chosen, *more]


SIDE_BY_SIDE = (
    (Part("failures", FAILURES, images=("control", "guard", "hub", "proxy", "servers", "workspace")),),
    (Part("releases", RELEASES),),
    (Part("cluster", OTHERS), Part("projects", PROJECTS, ordinary=True)),
)
AFTERWARDS = (Part("lifecycle", LIFECYCLE),)
#: Only where it is named: Vault takes long to build.
NAMED = (Part("vault", (f"{FOLDER}/outside",), vault=True),)


def main(arguments: list[str] | None = None) -> int:
    names = [part.name for parts in (*SIDE_BY_SIDE, AFTERWARDS) for part in parts]
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.suite", description=__doc__)
    known = [*names, *(part.name for part in NAMED)]
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(known))
    parser.add_argument("--once-more", action="store_true", help="try what failed a second time, by itself")
    given = parser.parse_args(arguments)
    chosen = frozenset(given.parts or names)
    if not chosen <= {*known}:
        parser.error(f"the parts are {', '.join(known)}")
    with ThreadPoolExecutor(len(SIDE_BY_SIDE)) as pool:
        failed = [part for found in pool.map(partial(failures, chosen), SIDE_BY_SIDE) for part in found]
    failed += failures(chosen, (*NAMED, *AFTERWARDS))
    if given.once_more:
        failed = [part for part in failed if not passes(part, "--last-failed")]
    return 1 if failed else 0


def failures(chosen: frozenset[str], parts: tuple[Part, ...]) -> list[Part]:
    """Of those that were chosen, one after another."""
    return [part for part in parts if part.name in chosen and not passes(part)]


def passes(part: Part, *more: str) -> bool:
    """What it says is told when it is through: several at once would not be read."""
    print(f"{part.name}: running", flush=True)
    said, passed = "", False
    try:
        with cluster_of(part) as environment:
            done = told(part.command(*more), environment)
            said, passed = done.stdout, done.returncode == 0
    except subprocess.CalledProcessError as problem:
        # A cluster that does not come up, or does not go: behind what the tests themselves said.
        said, passed = said + problem.stdout, False
    print(f"{part.name}:\n{said}", flush=True)
    return passed


@contextlib.contextmanager
def cluster_of(part: Part) -> Iterator[Mapping[str, str]]:
    """The environment that leads to it. A kubeconfig is its owner's alone: it goes along as text. On somebody's own
    cluster (KUBECONFIG) all run, and what stops servers says why it does not.
    """
    if named := os.environ.get("KUBECONFIG"):
        yield {**os.environ, "TRE_TEST_KUBECONFIG": Path(named).read_text()}
    elif not part.images:
        yield {**os.environ, "TRE_TEST_KUBECONFIG": place().kubeconfig.read_text(), **(vault() if part.vault else {})}
    else:
        yield from second_cluster(part)


def vault() -> Mapping[str, str]:
    """Where its program is, built if it was not. Raises CalledProcessError, with what was said, where it cannot be."""
    told([sys.executable, "-m", "tests.cluster", "vault"], os.environ).check_returncode()
    return {VAULT: str(place().programs / "vault")}


def second_cluster(part: Part) -> Iterator[Mapping[str, str]]:
    """Raises CalledProcessError, with what was said, where it does not come up."""
    environment = {**os.environ, RUN: str(place().cache / part.name)}
    cluster = [sys.executable, "-m", "tests.cluster"]
    try:
        told([*cluster, "up"], environment).check_returncode()
        told([*cluster, "load", *(str(IMAGES / f"{name}.tar") for name in part.images)], environment).check_returncode()
        yield environment
    finally:
        told([*cluster, "down"], environment).check_returncode()


def told(command: list[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=CHECKOUT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


if __name__ == "__main__":
    sys.exit(main())
