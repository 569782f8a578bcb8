"""A release beside a town: the desk of its administrator, the names that the cluster knows, and what ends it all.

Decides what the installation of the document needs on this node: images that are there already, requests that two
processors can hold, volumes. The town's names come into the cluster's DNS as an institution's would.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import certifi
import yaml

from tests.cluster.chart.release import VALUES, Release
from tests.cluster.chart.rendering import CHART
from tests.cluster.house import Space
from tests.cluster.machine import contents, network
from tests.cluster.machine.contents import Kubectl
from tests.cluster.machine.place import CHECKOUT, Place
from tre.errors import Unavailable
from tre.stack.examination.installation import merged

from . import document
from .desk import standing
from .town import ADDRESSES, CLIENT_SECRET, ZONE, Town, settled

SPACE = "tre-system"
REVIEWER = "clusterrolebinding/tre-reviewer"
#: What the machine of whoever sits there believes and knows.
BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
REFRESH = 60


def node_values() -> dict[str, Any]:
    """What this node needs beside the document's values."""
    small = yaml.safe_load((CHART / "values-small.yaml").read_text())
    del small["small"]
    own = {"images": VALUES["images"], "dns": {"image": VALUES["dns"]["image"]}, "oidc": {"refreshSeconds": REFRESH}}
    return merged(small, own)


@dataclass
class Beside:
    """`desk` is the administrator's folder, in which the document's commands are given; `said` what the last block of
    them printed.
    """

    town: Town
    release: Release
    desk: Path
    said: str = ""

    @property
    def kubectl(self) -> Kubectl:
        return self.release.kubectl

    def environment(self) -> dict[str, str]:
        programs = f"{self.release.place.programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        known = {"PGSERVICEFILE": str(self.town.folder / "services"), "PATH": programs}
        return {**self.kubectl.environment, **known}

    def lay_out(self) -> None:
        """What lies on the desk before the first command."""
        self.desk.mkdir()
        self.write_values({})
        (self.desk / "helm").symlink_to(CHECKOUT / "helm")
        (self.desk / "ca.pem").write_bytes(self.town.ca.read_bytes())
        (self.desk / "oidc-client.secret").write_text(CLIENT_SECRET)
        (self.desk / "openbao.token").write_text(self.town.token)

    def write_values(self, more: dict[str, Any]) -> None:
        found = merged(merged(node_values(), document.values()), more)
        (self.desk / "values.yaml").write_text(yaml.safe_dump(found))

    def run(self, commands: str) -> str:
        """What they printed. Raises `Unavailable` with that, and what they complained about, where one fails."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=self.desk,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise Unavailable(f"{commands}\nended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def bring_front(self) -> None:
        """People reach the release by their own name for it."""
        port = self.release.space("get", "service/tre-proxy", "--output=jsonpath={.spec.ports[0].nodePort}")
        self.town.bring_front(f"http://{network.NODE_ADDRESS}:{port}")


def zone() -> str:
    lines = "".join(f"    {address} {name}\n" for name, address in ADDRESSES.items())
    return f"{ZONE}:53 {{\n  errors\n  hosts {{\n{lines}  }}\n}}\n"


@contextlib.contextmanager
def known_names(kubectl: Kubectl) -> Iterator[None]:
    """The cluster's DNS knows the institution's zone, until the block ends."""
    _tell_dns(kubectl, contents.COREFILE + zone())
    try:
        yield
    finally:
        _tell_dns(kubectl, contents.COREFILE)


def _tell_dns(kubectl: Kubectl, text: str) -> None:
    kubectl.apply([contents.corefile("coredns", contents.SYSTEM, text)])
    kubectl("-n", contents.SYSTEM, "rollout", "restart", "deployment/coredns")
    kubectl("-n", contents.SYSTEM, "rollout", "status", "deployment/coredns", "--timeout=60s")


@contextlib.contextmanager
def addresses() -> Iterator[None]:
    """The outside holds the town's addresses, until the block ends."""
    made = []
    try:
        for address in ADDRESSES.values():
            subprocess.run(["ip", "address", "replace", f"{address}/32", "dev", "eth0"], check=True)
            made.append(address)
        yield
    finally:
        for address in made:
            subprocess.run(["ip", "address", "del", f"{address}/32", "dev", "eth0"], check=True)


@contextlib.contextmanager
def moved_in(place: Place, programs: Kubectl, helm: Path, folder: Path) -> Iterator[Beside]:
    """This thread stands in the town, its servers run and know nothing of tre; the desk is laid out."""
    with settled(folder) as town:
        shown = {Path("/etc/hosts"): town.hosts, Path(certifi.where()): town.ca, BUNDLE: town.ca}
        with standing(place, shown), addresses():
            kubeconfig = {"KUBECONFIG": str(place.keys / "admin.kubeconfig")}
            kubectl = Kubectl(Path(programs.command[0]), {**programs.environment, **kubeconfig})
            found = Beside(town, Release(Space(kubectl, SPACE), place, helm), folder / "desk")
            with known_names(kubectl):
                town.bring_postgres()
                town.bring_secrets_server()
                town.bring_provider()
                found.lay_out()
                found.release.provide(SPACE, "tre-content")
                try:
                    yield found
                finally:
                    found.release.remove()
                    kubectl("delete", "--ignore-not-found", REVIEWER)
