"""The projects' policies judged by somebody else's reading of NetworkPolicy (cyclonus), against the table of the docs.

Nothing of ours decides here what a policy means, and no cluster is asked: that a network does what policies say is for
the other tests. The table is printed by `python -m tests.cluster.test_judged`.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.workspaces.kubernetes.house import CONTROL, cluster, part
from tre.workspaces.kubernetes.cluster import Cluster, Mirror, Pods
from tre.workspaces.kubernetes.names import COMPONENT, namespace_of
from tre.workspaces.kubernetes.network import default_deny, openings

from .machine.place import CHECKOUT, place

INSTALLATION = replace(
    cluster(),
    guard=part("guard", 8002),
    intake=part("intake", 8007),
    database=part("postgresql", 5432),
    mirror=Mirror(**vars(part("mirror", 3128)), url="http://mirror.example:3128/", projects=frozenset({"cost"})),
)
WORKSPACE = {COMPONENT: "workspace"}
#: Every port that anything in the table listens on, those of others, and ends of ranges.
PORTS = [
    *(("TCP", port) for port in (22, 53, 80, 443, 3128, 5432, 8002, 8006, 8007, 8888, 9999, 10000, 10250, 65535)),
    *(("UDP", port) for port in (53, 123, 443, 10000)),
]
VERDICT = re.compile(r"IS ALLOWED\?\s*\|\s*(TRUE|FALSE)", re.IGNORECASE)
BEGIN, END = "<!-- judged: begin -->", "<!-- judged: end -->"


@dataclass(frozen=True)
class Somebody:
    """A pod by its namespace and labels, or an address of nobody's pod."""

    name: str
    address: str
    namespace: str = ""
    labels: tuple[tuple[str, str], ...] = ()

    def peer(self) -> dict[str, Any]:
        if not self.namespace:
            return {"IP": self.address}
        spaces = {"kubernetes.io/metadata.name": self.namespace}
        inside = {"PodLabels": dict(self.labels), "NamespaceLabels": spaces, "Namespace": self.namespace}
        return {"Internal": inside, "IP": self.address}


def of(name: str, address: str, pods: Pods) -> Somebody:
    return Somebody(name, address, pods.namespace, pods.labels)


def everybody(installation: Cluster) -> list[Somebody]:
    """Two projects with workspaces, our own parts, those who pose as such, and the world."""
    assert isinstance(installation.database, Pods)
    assert installation.mirror
    one, two = (namespace_of(CONTROL, slug) for slug in ("cost", "benefit"))
    guard = installation.guard.labels
    return [
        Somebody("workspace", "10.1.0.1", one, tuple(WORKSPACE.items())),
        Somebody("workspace of the same project", "10.1.0.2", one, tuple(WORKSPACE.items())),
        Somebody("workspace of another project", "10.1.0.3", two, tuple(WORKSPACE.items())),
        Somebody("other pod in the project", "10.1.0.4", one),
        of("guard", "10.1.1.1", installation.guard),
        of("intake", "10.1.1.2", installation.intake),
        of("DNS of the platform", "10.1.1.3", installation.dns),
        of("database", "10.1.1.4", installation.database),
        of("mirror", "10.1.1.5", installation.mirror),
        Somebody("other pod of the platform", "10.1.1.6", CONTROL, ((COMPONENT, "hub"),)),
        Somebody("another namespace's pod with the guard's labels", "10.1.2.1", "elsewhere", guard),
        Somebody("node, API server, metadata service, internet", "203.0.113.7"),
    ]


def judged(installation: Cluster) -> dict[tuple[str, str], list[str]]:
    """{(from, to): the ports that are open}, for each pair with a workspace or another pod of a project in it."""
    people = everybody(installation)
    inside = {each.name for each in people[:4]}
    pairs = [(a, b) for a, b in product(people, people) if a != b and inside & {a.name, b.name}]
    tries = [(a, b, protocol, port) for a, b in pairs for protocol, port in PORTS]
    verdicts = ask(installation, tries)
    found: dict[tuple[str, str], list[str]] = {(a.name, b.name): [] for a, b in pairs}
    for (a, b, protocol, port), allowed in zip(tries, verdicts, strict=True):
        if allowed:
            found[a.name, b.name].append(f"{protocol} {port}")
    return found


def ask(installation: Cluster, tries: list[tuple[Somebody, Somebody, str, int]]) -> list[bool]:
    policies = [make(installation, slug) for slug in ("cost", "benefit") for make in (default_deny, openings)]
    traffic = [
        {
            "Source": a.peer(),
            "Destination": b.peer(),
            "ResolvedPort": port,
            "ResolvedPortName": "",
            "Protocol": protocol,
        }
        for a, b, protocol, port in tries
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "policies").mkdir()
        for number, policy in enumerate(policies):
            (folder / "policies" / f"{number}.yaml").write_text(json.dumps(policy))
        (folder / "traffic.json").write_text(json.dumps(traffic))
        command = [str(place().programs / "cyclonus"), "analyze", "--mode=query-traffic"]
        command += [f"--policy-path={folder / 'policies'}", f"--traffic-path={folder / 'traffic.json'}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    verdicts = [found.upper() == "TRUE" for found in VERDICT.findall(done.stdout)]
    assert len(verdicts) == len(tries)
    return verdicts


def table(found: dict[tuple[str, str], list[str]]) -> str:
    """What is open; everything else of so many attempts is closed."""
    lines = ["| from | to | open |", "|---|---|---|"]
    lines += [f"| {a} | {b} | {', '.join(ports)} |" for (a, b), ports in found.items() if ports]
    closed = sum(len(PORTS) - len(ports) for ports in found.values())
    return "\n".join([*lines, "", f"{closed} other attempts between {len(found)} pairs: closed."])


def whole_text() -> str:
    among = replace(INSTALLATION, among_workspaces=True)
    first, second = judged(INSTALLATION), judged(among)
    more = {pair: [port for port in ports if port not in first[pair]] for pair, ports in second.items()}
    assert not [pair for pair, ports in first.items() if set(ports) - set(second[pair])]
    return f"{table(first)}\n\nWith `among_workspaces`, in addition:\n\n{table(more).rsplit(chr(10), 2)[0]}"


@pytest.fixture(scope="module")
def program() -> Path:
    found = place().programs / "cyclonus"
    if not found.exists():
        pytest.skip("cyclonus is built by `make cluster`; with a cluster of somebody else's it may not be there")
    return found


def test_the_table_of_the_documentation_is_what_the_judge_says(program: Path) -> None:
    text = (CHECKOUT / "docs" / "kubernetes.md").read_text()
    printed = text.partition(BEGIN)[2].partition(END)[0].strip()
    assert printed == whole_text()


def test_without_the_default_deny_the_judge_sees_it(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod that no policy names would be open to all."""
    monkeypatch.setattr(f"{__name__}.default_deny", openings)
    found = judged(INSTALLATION)
    assert len(found["workspace of another project", "other pod in the project"]) == 0
    assert len(found["guard", "other pod in the project"]) == len(PORTS)
    assert len(found["other pod in the project", "node, API server, metadata service, internet"]) == len(PORTS)


if __name__ == "__main__":
    print(whole_text())
