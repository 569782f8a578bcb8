"""What the machine must have. Decides what is missing and says it in words; installs Debian's packages.

Everything that Debian has in a good version comes from Debian; the rest is built from Go modules (see build).
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tre.errors import Unavailable

from .place import SOURCES
from .progress import say

Version = tuple[int, ...]
#: {command: the package of Debian 12 that has it}
PACKAGES = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "etcd": "etcd-server",
    "nft": "nftables",
    "iptables": "iptables",
    "ipset": "ipset",
    "conntrack": "conntrack",
    "clang-19": "clang-19",
    "llc-19": "llvm-19",
    "ip": "iproute2",
    "unshare": "util-linux",
    "mount": "mount",
    "/usr/lib/cni/loopback": "containernetworking-plugins",
    # What the superuser of an institution's database uses.
    "psql": "postgresql-client",
    # What builds the images of the platform.
    "buildah": "buildah",
    "debootstrap": "debootstrap",
}
GO = "go"
EXISTING = "Or name an existing cluster in KUBECONFIG; `make test-cluster` then runs on that."
#: Debian's packages start their services; with this file (invoke-rc.d(8)) they do not.
POLICY = Path("/usr/sbin/policy-rc.d")


def lacking() -> list[str]:
    """What cannot be mended by installing packages, each in words. Empty: a cluster can be made here."""
    found = []
    if os.geteuid() != 0:
        found.append("not root: the cluster makes kernel namespaces, mounts and control groups")
    if os.uname().machine != "x86_64":
        found.append(f"the machine is {os.uname().machine}: only x86_64 was ever tried")
    if shutil.which("apt-get") is None and missing_packages():
        found.append("no apt-get: " + ", ".join(missing_packages()) + " come from Debian's packages")
    if shutil.which(GO) is None:
        found.append("no `go` in PATH: Kubernetes and Cilium are built from Go modules (https://go.dev/dl)")
    elif (have := go_version()) < (least := least_go()):
        found.append(f"`go` is {dotted(have)}: what is built needs {dotted(least)} (https://go.dev/dl)")
    return found


def go_version() -> Version:
    """Of the one in PATH; nothing else is fetched in its place."""
    asked = {**os.environ, "GOTOOLCHAIN": "local"}
    return version_in(subprocess.run([GO, "version"], env=asked, capture_output=True, text=True).stdout)


def least_go() -> Version:
    """What the pinned modules ask for."""
    lines = [line for file in SOURCES.glob("go/*/go.mod") for line in file.read_text().splitlines()]
    return max(version_in(line) for line in lines if line.startswith("go "))


def version_in(text: str) -> Version:
    """The first number with dots; (0,) where there is none."""
    found = re.search(r"\d+(\.\d+)+", text)
    return tuple(int(part) for part in found[0].split(".")) if found else (0,)


def dotted(version: Version) -> str:
    return ".".join(map(str, version))


def missing_packages() -> list[str]:
    """The packages whose commands are not there."""
    return sorted({package for command, package in PACKAGES.items() if shutil.which(command) is None})


def ensure() -> None:
    """Install what is missing. Raises Unavailable, naming everything that a person must mend."""
    problems = lacking()
    if problems:
        raise Unavailable("this machine cannot run the cluster: " + "; ".join(problems), hint=EXISTING)
    packages = missing_packages()
    if not packages:
        return
    say("installing Debian packages: " + " ".join(packages))
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with services_stay_off():
        for step in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *packages]):
            done = subprocess.run(["apt-get", *step], env=environment, capture_output=True, text=True)
            if done.returncode != 0:
                raise Unavailable(f"apt-get {step[0]} failed: {done.stderr.strip()[-500:]}", hint=EXISTING)
    if missing_packages():
        raise Unavailable("apt-get did not bring " + ", ".join(missing_packages()), hint=EXISTING)


@contextlib.contextmanager
def services_stay_off() -> Iterator[None]:
    """While packages are installed: their services do not start, unless the machine has a rule of its own."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()
