"""What a test does with a cluster: namespaces of its own, pods, and asking a pod what it can reach."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .machine.contents import Kubectl
from .objects import Object

#: Something came back: also "refused" tells a sender that somebody is there.
REACHED = frozenset({"open", "refused", "no such name"})
OPEN = frozenset({"open"})
SILENT = frozenset({"silent"})
NO_SUCH_NAME = frozenset({"no such name"})
Verdicts = dict[str, str]


@dataclass(frozen=True)
class Space:
    """A namespace and what can be done in it."""

    kubectl: Kubectl
    name: str

    def __call__(self, *arguments: str, feed: str = "") -> str:
        return self.kubectl("--namespace", self.name, *arguments, feed=feed)

    def apply(self, *objects: Object) -> None:
        placed = [{**one, "metadata": {**one["metadata"], "namespace": self.name}} for one in objects]
        self.kubectl.apply(placed)

    def start(self, *pods: Object) -> dict[str, str]:
        """Returns {name: address} when all are ready."""
        self.apply(*pods)
        names = [f"pod/{pod['metadata']['name']}" for pod in pods]
        self("wait", "--for=condition=Ready", "--timeout=90s", *names)
        return self.addresses()

    def addresses(self) -> dict[str, str]:
        listed = json.loads(self("get", "pods", "--output=json"))["items"]
        return {pod["metadata"]["name"]: pod["status"].get("podIP", "") for pod in listed}

    def service_address(self, name: str) -> str:
        return self("get", "service", name, "--output=jsonpath={.spec.clusterIP}")

    def finished(self, *pods: str) -> list[Verdicts]:
        """What pods that only tried something have seen, when all of them have ended."""
        names = [f"pod/{name}" for name in pods]
        self("wait", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=90s", *names)
        return [json.loads(self("logs", name)) for name in names]

    def ends(self, pod: str, *, within: float) -> str:
        """Its last phase, as soon as it has ended."""
        until = time.monotonic() + within
        while (phase := self("get", f"pod/{pod}", "--output=jsonpath={.status.phase}")) not in ("Succeeded", "Failed"):
            assert time.monotonic() < until, phase
            time.sleep(0.5)
        return phase

    def reach(self, pod: str, targets: Collection[str]) -> Verdicts:
        found: Verdicts = json.loads(self("exec", pod, "--", "/probe", "reach", *targets))
        return found

    def settles(self, pod: str, expected: Mapping[str, Collection[str]], *, within: float = 20) -> None:
        """The pod comes to see exactly this, {target: verdicts that are right}, and still does a moment later."""
        until = time.monotonic() + within
        while wrong := self.surprises(pod, expected):
            assert time.monotonic() < until, f"{self.name}/{pod}: {wrong}"
        assert not self.surprises(pod, expected)

    def surprises(self, pod: str, expected: Mapping[str, Collection[str]]) -> Verdicts:
        seen = self.reach(pod, list(expected))
        return {target: seen[target] for target, right in expected.items() if seen[target] not in right}


def of(targets: Sequence[str], verdicts: Collection[str]) -> dict[str, Collection[str]]:
    """The same for all of them."""
    return dict.fromkeys(targets, verdicts)


@dataclass(frozen=True)
class Facts:
    """The network of our own cluster, as machine/network.py tells it."""

    whole: Mapping[str, Mapping[str, object]]

    @classmethod
    def read(cls, file: Path) -> Facts:
        return cls(json.loads(file.read_text()))

    def outside(self) -> list[str]:
        """Everything that lies beyond the cluster: a host, a foreign resolver, the metadata service."""
        there = self.whole["outside"]
        return [
            f"tcp://{there['address']}:8080",
            f"udp://{there['address']}:8080",
            f"tcp://{there['metadata']}:80",
            f"dns://example.org.@{there['resolver']}:53",
        ]

    def node(self) -> list[str]:
        """The node itself: the API server, the kubelet, etcd's port, and a closed port of a second address."""
        here = self.whole["node"]
        return [
            f"tcp://{here['address']}:{here['api_port']}",
            f"tcp://{here['address']}:10250",
            f"tcp://{here['address']}:2379",
            f"tcp://{here['second']}:1",
        ]
