"""The file system that every image begins with: Debian 12 with Python 3.11, by debootstrap.

Decides what is in it and that the same packages give the same bytes. Elsewhere its place is taken by an image such as
python:3.11-slim-bookworm; Containerfiles ask for no more than both have.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

from tre.errors import Unavailable

SUITE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
PACKAGES = ("ca-certificates", "python3", "python3-venv")
#: What differs from run to run, or tells of the machine that made it.
FLEETING = (
    "etc/.pwd.lock",
    "etc/hostname",
    "etc/machine-id",
    "etc/resolv.conf",
    "var/cache/ldconfig/aux-cache",
    "var/lib/systemd",
)
EMPTIED = ("dev", "run", "tmp", "var/cache/apt", "var/cache/debconf", "var/lib/apt/lists", "var/log")


def key() -> str:
    """The hash of what decides the base. A newer state of the mirror is seen after the cache was deleted."""
    return hashlib.sha256(repr((SUITE, PACKAGES, FLEETING, EMPTIED)).encode()).hexdigest()[:12]


def command(folder: Path) -> list[str]:
    return ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(folder), MIRROR]


def make(folder: Path) -> None:
    """The base in `folder`; whole or not at all. Raises Unavailable with debootstrap's own words."""
    half = folder.with_name(folder.name + ".half")
    shutil.rmtree(half, ignore_errors=True)
    half.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(command(half), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise Unavailable(f"debootstrap failed: {done.stdout.strip()[-800:]}", hint="Is the package mirror reachable?")
    tidy(half)
    half.rename(folder)


def tidy(folder: Path) -> None:
    for name in FLEETING:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
    for name in EMPTIED:
        for path in (folder / name).iterdir() if (folder / name).is_dir() else ():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for pattern in ("etc/*-", "var/lib/dpkg/*-old", "var/cache/debconf/*-old"):
        for path in folder.glob(pattern):
            path.unlink()
    for path in sorted(folder.glob("usr/**/__pycache__")):
        shutil.rmtree(path)
