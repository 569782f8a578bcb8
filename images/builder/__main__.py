"""`python -m images.builder [NAME...]`: builds images (all of them where none is named) into build/images.

Decides the order and that a build leaves nothing behind but what it was asked for. See docs/images.md.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path

from images.builder import archive, base, engine, pip, sources
from images.builder.place import CHECKOUT, NAMES, Place, place, reference
from tre.errors import TreError, Unavailable

AT_ONCE = 2
TOOLS = ("buildah", "debootstrap")
ELSEWHERE = "Or build with docker or podman: each Containerfile's first lines say how."


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m images.builder", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--anew", action="store_true", help="take no step from an earlier build")
    given = parser.parse_args(arguments)
    names = given.names or list(NAMES)
    where = place()
    try:
        check(names)
        where.store.mkdir(parents=True, exist_ok=True)
        with (where.cache / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            build_all(where, names, anew=given.anew)
    except TreError as problem:
        print(f"{problem.message}\n{problem.hint}".strip(), file=sys.stderr)
        return problem.exit_code
    return 0


def check(names: list[str]) -> None:
    """Raises Unavailable where this machine cannot build, NotFound for an unknown name."""
    for name in names:
        reference(name)
    if os.geteuid() != 0:
        raise Unavailable("not root: images are built with buildah without namespaces", hint=ELSEWHERE)
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        raise Unavailable(
            f"not installed: {', '.join(missing)}", hint=f"apt-get install {' '.join(missing)}. {ELSEWHERE}"
        )


def build_all(where: Place, names: list[str], *, anew: bool) -> None:
    """Two at a time: each of them waits for its registry and for the disk, and most steps take one processor."""
    began = time.monotonic()
    tag, shown = ensure_base(where), pip.shown(where.cache / "pip")
    tidy(where)
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for name, built in zip(names, pool.map(partial(ensure, where, tag, shown, anew), names), strict=True):
                if built:
                    keep(where.report, name, built)
                print(f"{time.monotonic() - began:7.1f}s  {reference(name)} {told(built)}", flush=True)
    finally:
        tidy(where)


def ensure(where: Place, tag: str, shown: Mapping[Path, Path], anew: bool, name: str) -> archive.Built | None:
    """None where it is there already."""
    if not anew and sources.unchanged(where.report, where.archive(name), name, made_from(where, name, tag)):
        return None
    return build(where, name, tag, shown, anew=anew)


def told(built: archive.Built | None) -> str:
    if built is None:
        return "is there already"
    return f"{built.digest[:19]} {built.archive_bytes >> 20} MiB, unpacked {built.unpacked_bytes >> 20} MiB"


def ensure_base(where: Place) -> str:
    """The base's tag in the store; made where it is not there."""
    tag = f"localhost/tre-base:{base.key()}"
    if run(engine.found(where.store, tag)).strip():
        return tag
    folder = where.cache / f"base-{base.key()}"
    if not folder.exists():
        base.make(folder)
    for command in engine.wrap(where.store, folder, tag):
        run(command)
    return tag


def containerfile(name: str) -> Path:
    return CHECKOUT / "images" / name / "Containerfile"


def made_from(where: Place, name: str, tag: str) -> str:
    """The hash of the image's sources, the base's content among them."""
    return sources.key(CHECKOUT, containerfile(name), run(engine.found(where.store, tag)).strip())


def build(where: Place, name: str, tag: str, shown: Mapping[Path, Path], *, anew: bool) -> archive.Built:
    """Raises Unavailable where its sources are not what they were: nobody could say what is in it."""
    own, made = reference(name), made_from(where, name, tag)
    file = containerfile(name)
    run(engine.build(where.store, tag=own, base=tag, file=file, context=CHECKOUT, shown=shown, anew=anew))
    if made_from(where, name, tag) != made:
        raise Unavailable(f"what {own} is made from changed meanwhile", hint="`make images` again.")
    with tempfile.TemporaryDirectory(dir=where.cache) as folder:
        layout = Path(folder) / "layout"
        run(engine.export(where.store, own, layout))
        return archive.write(layout, own, where.archive(name), made)


def tidy(where: Place) -> None:
    """Archives and the base are all that stays: what the engine keeps of builds is many times as large."""
    built = [tag for tag in map(reference, NAMES) if run(engine.found(where.store, tag)).strip()]
    for command in (*engine.tidy(where.store), *(engine.forget(where.store, tag) for tag in built)):
        run(command)


def keep(report: Path, name: str, built: archive.Built) -> None:
    known = json.loads(report.read_text()) if report.exists() else {}
    report.write_text(json.dumps({**known, name: asdict(built)}, indent=1, sort_keys=True) + "\n")


def run(command: list[str]) -> str:
    """What it printed. Raises Unavailable with the end of what it complained about."""
    done = subprocess.run(["nice", "-n", "5", *command], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()[-1500:]
        raise Unavailable(f"{' '.join(command[:1] + command[5:6])} failed: {said}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
