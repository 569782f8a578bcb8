"""What is seen from outside of what our processes do: the API server's own audit log and stream of changes, and the
kernel's account of a process.

Decides what counts as a write: every request of a user that is not get, list or watch, whatever came of it.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.cluster.chart.rendering import SPACE
from tre.errors import TreError
from tre.workspaces.kubernetes.api import Api
from tre.workspaces.kubernetes.content import Kind

READS = frozenset({"get", "list", "watch"})
CONTROLLER = f"system:serviceaccount:{SPACE}:tre-controller"
HUB = f"system:serviceaccount:{SPACE}:tre-hub"


@dataclass(frozen=True)
class Request:
    user: str
    verb: str
    resource: str
    space: str


def requests(log: Path, since: int = 0) -> Iterator[Request]:
    """From a byte of the audit log on. A line that is being written is not read."""
    with log.open("rb") as file:
        file.seek(since)
        for line in file:
            if line.endswith(b"\n"):
                yield _request(json.loads(line))


def _request(event: dict[str, Any]) -> Request:
    place = event.get("objectRef") or {}
    resource = "/".join(filter(None, (place.get("resource", ""), place.get("subresource", ""))))
    return Request(event["user"]["username"], event["verb"], resource, place.get("namespace", ""))


def writes(log: Path, user: str, since: int = 0) -> Counter[str]:
    """Writes of one user, by resource."""
    return Counter(each.resource for each in requests(log, since) if each.user == user and each.verb not in READS)


def ended_by(log: Path, since: int = 0) -> Counter[str]:
    """Who deleted pods, and how many."""
    return Counter(each.user for each in requests(log, since) if (each.verb, each.resource) == ("delete", "pods"))


class Watch:
    """When each object of a kind was first seen, in this process's steady time, in a thread of its own."""

    def __init__(self, api: Api, kind: Kind) -> None:
        self.first: dict[tuple[str, str], float] = {}
        self._api, self._kind, self._leave = api, kind, threading.Event()
        version = "0"
        for version, page in api.pages(kind, {}):  # noqa: B007
            for each in page:
                self._saw(each)
        self._thread = threading.Thread(target=self._follow, args=(version,), daemon=True)
        self._thread.start()

    def _saw(self, found: dict[str, Any]) -> None:
        metadata = found["metadata"]
        self.first.setdefault((metadata.get("namespace", ""), metadata["name"]), time.perf_counter())

    def _follow(self, version: str) -> None:
        while not self._leave.is_set():
            try:
                for change, found in self._api.watch(self._kind, {}, version, 30):
                    version = found["metadata"]["resourceVersion"]
                    if change == "ADDED":
                        self._saw(found)
                    if self._leave.is_set():
                        return
            except TreError:
                time.sleep(0.1)

    def wait(self, holds: Callable[[dict[tuple[str, str], float]], bool], seconds: float) -> bool:
        until = time.monotonic() + seconds
        while not holds(self.first):
            if time.monotonic() > until:
                return False
            time.sleep(0.01)
        return True

    def stop(self) -> None:
        self._leave.set()


def load() -> float:
    """How many processes of the whole machine want a processor, over the last minute."""
    return os.getloadavg()[0]


@dataclass
class Account:
    """Processor time of a process since this was made; its memory now."""

    process: psutil.Process
    begun: float = field(init=False)
    used: float = field(init=False)

    def __post_init__(self) -> None:
        self.begun, self.used = time.perf_counter(), self._used()

    def _used(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def seconds(self) -> float:
        return self._used() - self.used

    def share(self) -> float:
        """Of one processor."""
        return self.seconds() / (time.perf_counter() - self.begun)

    def memory(self) -> float:
        """Megabytes (PSS): what is its own, and its part of what it shares."""
        return float(self.process.memory_full_info().pss) / 1e6
