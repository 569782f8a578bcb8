"""What grows with projects and with workspaces: bytes of etcd and of the databases, memory of the servers, events.

Decides only where each number is read: at the server that has it.
"""

from __future__ import annotations

from collections.abc import Mapping

import psutil

from tests.cluster.scale.house import House
from tests.cluster.scale.many_workspaces import sizes as databases

Sizes = dict[str, float]
#: Those of the control plane whose memory is told.
SERVERS = ("etcd", "apiserver", "controller-manager", "scheduler")


def sizes(house: House) -> Sizes:
    """Kilobytes and counts, now."""
    found: Sizes = {"etcd kB": etcd(house)}
    for name, size in databases(house).items():
        found[f"{name} database kB"] = size / 1e3
    for name in SERVERS:
        process = psutil.Process(house.plane.processes[name].pid)
        found[f"{name} memory kB"] = process.memory_full_info().pss / 1e3
    return found | {"audit events": float(house.events())}


def each(whole: Mapping[str, Sizes], projects: int, workspaces: int) -> dict[str, Sizes]:
    """What one project added (with its people), and then one workspace."""
    before, between, after = whole["before"], whole["projects"], whole["workspaces"]
    return {
        "project": {name: (between[name] - before[name]) / projects for name in before},
        "workspace": {name: (after[name] - between[name]) / workspaces for name in before},
    }


def metrics(house: House) -> dict[str, float]:
    """The API server's own numbers, by name and labels as it spells them."""
    found = {}
    for line in house.api().text("/metrics").splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            found[name] = float(value)
    return found


def etcd(house: House) -> float:
    """Kilobytes of etcd's file that are in use."""
    seen = metrics(house)
    return next((value / 1e3 for name, value in seen.items() if name.startswith("apiserver_storage_size_bytes")), 0.0)
