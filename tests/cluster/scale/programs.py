"""`python -m tests.cluster.scale.programs`: puts the programs of the benchmark of size where `make bench` finds them.

Decides that a machine without them measures nothing and says why. They are built as those of the cluster are, into the
same cache, and copied below the checkout's `build`: an ordinary user, who measures, does not see root's home.
"""

from __future__ import annotations

import fcntl
import shutil
import sys
from pathlib import Path

from tests.cluster.machine import build, needs
from tests.cluster.machine.place import CHECKOUT, SOURCES, Place, place
from tre.errors import TreError, Unavailable

HERE = Place(CHECKOUT / "build" / "scale", CHECKOUT / "build" / "scale" / "run")
NAMES = ("kubernetes", "kwok", "helm")
#: The server that Debian has.
ETCD = "etcd"


def modules() -> list[build.Module]:
    return [module for module in (*build.MODULES, build.KWOK) if module.name in NAMES]


def missing(here: Place = HERE) -> str:
    """Why nothing can be measured here, in words; nothing where all is there."""
    wanted = [name for module in modules() for name in (*module.programs, *module.names)]
    lacking = sorted({name for name in wanted if not (here.programs / name).exists()})
    if lacking:
        return f"not built here: {', '.join(lacking)} (`python -m tests.cluster.scale.programs`, with Go)"
    return "" if shutil.which(ETCD) else "there is no etcd (Debian's package etcd-server)"


def ensure(cache: Place, here: Place = HERE) -> None:
    """Builds what the cache lacks. Raises `Unavailable` where that cannot be."""
    if shutil.which(needs.GO) is None:
        raise Unavailable("There is no `go` in PATH: Kubernetes and kwok are built from Go modules.")
    cache.cache.mkdir(parents=True, exist_ok=True)
    with cache.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        version = build.go("version", folder=SOURCES)
        for module in modules():
            copy(module, build.built(cache, module, version), here.programs)


def copy(module: build.Module, home: Path, target: Path) -> None:
    """Each program under its own name, its further names as links beside it; what is there already stays."""
    target.mkdir(parents=True, exist_ok=True)
    mark = target / f".{module.name}"
    if mark.exists() and mark.read_text() == home.name:
        return
    for program in module.programs:
        fresh = target / f".{program}.new"
        shutil.copy2(home / program, fresh)
        fresh.rename(target / program)
    for name in module.names:
        link = target / name
        link.unlink(missing_ok=True)
        link.symlink_to(next(iter(module.programs)))
    mark.write_text(home.name)


def main() -> int:
    try:
        ensure(place())
    except TreError as problem:
        # No failure: the benchmark's rows will say that they did not run.
        print(f"the benchmark of size will not run: {problem.message}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
