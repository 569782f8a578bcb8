"""`python -m tests.cluster up|packages|build|vault|down|load|running|possible`, for the Makefile and `.ci/run`."""

from __future__ import annotations

import argparse
import fcntl
import sys
from pathlib import Path

from tre.errors import TreError

from .machine import build, images, lifecycle, needs
from .machine.place import Place, place


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("command", choices=["up", "packages", "build", "vault", "down", "load", "running", "possible"])
    parser.add_argument("files", nargs="*", type=Path, help="archives of images, for load")
    given = parser.parse_args(arguments)
    if given.command == "running":
        return 0 if lifecycle.is_up(place()) else 1
    if given.command == "possible":
        return possible()
    try:
        run(given.command, place(), given.files)
    except TreError as problem:
        print(f"{problem.message}\n{problem.hint}".strip(), file=sys.stderr)
        return problem.exit_code
    return 0


def possible() -> int:
    """0 where a cluster can be made here; else why not is said, and is no failure of anything."""
    problems = needs.lacking()
    if problems:
        print("the tests of the cluster do not run here: " + "; ".join(problems))
    return 1 if problems else 0


def run(command: str, where: Place, files: list[Path]) -> None:
    """One at a time per cache: a second call waits."""
    where.cache.mkdir(parents=True, exist_ok=True)
    with where.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        carry_out(command, where, files)


def carry_out(command: str, where: Place, files: list[Path]) -> None:
    if command == "load":
        load(where, files)
        return
    if command == "down":
        lifecycle.down(where)
        return
    needs.ensure()
    if command == "packages":
        return
    if command == "vault":
        build.ensure_vault(where)
        return
    build.ensure(where)
    if command == "up":
        lifecycle.up(where)
        print(f"\nexport KUBECONFIG={where.kubeconfig} PATH={where.programs}:$PATH")
        print("kubectl get pods --all-namespaces     # and helm; `make test-cluster`; `make cluster-down` ends it")


def load(where: Place, files: list[Path]) -> None:
    """Onto the running cluster's node. Without a cluster there is nothing to do: it is said, and is no failure."""
    if not lifecycle.is_up(where):
        print("no cluster runs here: after `make cluster`, `make images` puts the images onto it")
        return
    for file in files:
        images.load(where, file)
        print(f"{file.stem} is on the node")


if __name__ == "__main__":
    sys.exit(main())
