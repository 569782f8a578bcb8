"""`python -m tests.cluster up | build | down`: what the targets of the Makefile call. See docs/cluster.md."""

from __future__ import annotations

import argparse
import fcntl
import sys

from tre.errors import TreError

from .machine import build, lifecycle, needs
from .machine.place import Place, place


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("command", choices=["up", "build", "down"])
    command = parser.parse_args(arguments).command
    try:
        run(command, place())
    except TreError as problem:
        print(f"{problem.message}\n{problem.hint}".strip(), file=sys.stderr)
        return problem.exit_code
    return 0


def run(command: str, where: Place) -> None:
    """One at a time per cache: a second call waits."""
    where.cache.mkdir(parents=True, exist_ok=True)
    with where.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        carry_out(command, where)


def carry_out(command: str, where: Place) -> None:
    if command == "down":
        lifecycle.down(where)
        return
    needs.ensure()
    build.ensure(where)
    if command == "up":
        lifecycle.up(where)
        print(f"\nexport KUBECONFIG={where.kubeconfig} PATH={where.programs}:$PATH")
        print("kubectl get pods --all-namespaces     # and helm; `make test-cluster`; `make cluster-down` ends it")


if __name__ == "__main__":
    sys.exit(main())
