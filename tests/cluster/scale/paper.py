"""The tables of docs/scale.md, from docs/benchmarks.json: `python -m tests.cluster.scale.paper` writes them anew.

Decides how a measured number becomes one of a federation: in proportion, against limits that are named. A test holds
the page against the benchmark, so that neither tells what the other does not.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.cluster.machine.place import CHECKOUT

PAGE, FOUND = CHECKOUT / "docs" / "scale.md", CHECKOUT / "docs" / "benchmarks.json"
MODULE, GUARD = "tests.cluster.bench_scale", "tests.door.bench_guard"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
#: The federation that is asked for. Two workspaces run in a project, as was measured.
WORKSPACES, PROJECTS = 100_000, 50_000
#: A login of an hour is prolonged in its second half, and so is an intake token.
PER_HOUR = 2
#: What a single thread may be busy with before people wait.
BUSY = 0.5


@dataclass(frozen=True)
class Limit:
    """How much of something one cell carries, and who says so."""

    most: float
    source: str


def details(found: Mapping[str, Any], module: str) -> list[dict[str, Any]]:
    return [row["detail"] for row in found[module]["rows"] if isinstance(row.get("detail"), dict)]


def having(found: Mapping[str, Any], module: str, key: str) -> dict[str, Any]:
    """The detail that has a key. Raises `StopIteration` where nothing of the kind was measured."""
    return next(detail for detail in details(found, module) if key in detail)


def text(found: Mapping[str, Any]) -> str:
    """Both tables."""
    projects, workspaces = having(found, MODULE, "converged"), having(found, MODULE, "start_all")
    growth, guard = having(found, MODULE, "project"), having(found, GUARD, "kb_per_used_workspace")
    return "\n".join(
        [
            *measured(projects, workspaces, growth, guard),
            "",
            *scaled(projects, workspaces, growth, guard),
        ]
    )


def measured(
    projects: Mapping[str, Any], workspaces: Mapping[str, Any], growth: Mapping[str, Any], guard: Mapping[str, Any]
) -> list[str]:
    project, workspace = growth["project"], growth["workspace"]
    parts, counts = workspaces["idle"]["parts"], (projects["projects"], workspaces["workspaces"])
    rows = [
        ("etcd", kb(project["etcd kB"]), kb(workspace["etcd kB"])),
        ("memory of etcd and API server", kb(servers(project)), kb(servers(workspace))),
        ("state database", kb(project["tre database kB"]), kb(workspace["tre database kB"])),
        ("hub's database", "", kb(workspace["tre_hub database kB"])),
        ("guard's memory, each replica", "", kb(guard["kb_per_used_workspace"])),
        ("events of the audit record", f"{project['audit events']:.1f}", f"{workspace['audit events']:.1f}"),
        ("pass of the controller with nothing to do", ms(projects["passes"]["later"] / counts[0]), ""),
        ("hub with nothing to do, of a processor", "", f"{parts['hub']['processor'] / counts[1]:.3%}"),
        ("controller with nothing to do, of a processor", f"{projects['quiet']['processor'] / counts[0]:.4%}", ""),
    ]
    return table(("what one adds", "project, its people included", "workspace"), rows)


def scaled(
    projects: Mapping[str, Any], workspaces: Mapping[str, Any], growth: Mapping[str, Any], guard: Mapping[str, Any]
) -> list[str]:
    """What the federation needs of each thing, how much one cell carries, and so how many cells."""
    project, workspace = growth["project"], growth["workspace"]
    count, running = projects["projects"], workspaces["workspaces"]
    hub = workspaces["idle"]["parts"]["hub"]["processor"] / running
    stored = (project["etcd kB"] * PROJECTS + workspace["etcd kB"] * WORKSPACES) / 1e6
    renewals = WORKSPACES * PER_HOUR / 3600
    needs = [
        ("hub: one thread", f"{hub * WORKSPACES:.0f} processors", Limit(BUSY, "half a processor"), hub * WORKSPACES),
        ("namespaces", f"{PROJECTS:,}", Limit(10_000, "10,000 a cluster (SIG Scalability)"), PROJECTS),
        (
            "controller: a pass",
            f"{projects['passes']['later'] / count * PROJECTS:.0f} s",
            Limit(3, "3 s (our goal)"),
            projects["passes"]["later"] / count * PROJECTS,
        ),
        ("etcd", f"{stored:.1f} GB", Limit(8, "8 GB (etcd)"), stored),
        ("pods", f"{WORKSPACES:,}", Limit(150_000, "150,000 a cluster (SIG Scalability)"), WORKSPACES),
        (
            "guard: memory of each replica",
            f"{guard['kb_per_used_workspace'] * WORKSPACES / 1e6:.1f} GB",
            Limit(1, "1 GB (the chart's limit)"),
            guard["kb_per_used_workspace"] * WORKSPACES / 1e6,
        ),
        (
            "logins prolonged and tokens signed",
            f"{2 * renewals:.0f} a second",
            Limit(50, "50 a second (20 ms each, one after the other)"),
            2 * renewals,
        ),
        (
            "audit events, each workspace once a day",
            f"{workspace['audit events'] * WORKSPACES / 1e6:.1f} million a day",
            Limit(events_a_day(workspaces), "the record's writers follow each other"),
            workspace["audit events"] * WORKSPACES,
        ),
    ]
    ordered = sorted(needs, key=lambda need: -need[3] / need[2].most)
    rows = [(what, need, limit.source, f"{math.ceil(value / limit.most):,}") for what, need, limit, value in ordered]
    return table(("what", f"{WORKSPACES:,} workspaces, {PROJECTS:,} projects", "one cell carries", "cells"), rows)


def events_a_day(workspaces: Mapping[str, Any]) -> float:
    """As fast as they were written here while everybody started, in an eight-hour day."""
    return float(workspaces["events_per_second"]) * 8 * 3600


def servers(grown: Mapping[str, float]) -> float:
    return grown["etcd memory kB"] + grown["apiserver memory kB"]


def kb(value: float) -> str:
    return f"{value:.0f} kB"


def ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    return [line(head), line(("---",) * len(head)).replace(" ", ""), *(line(row) for row in rows)]


def line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"


def with_tables(page: str, tables: str) -> str:
    """The page with what is between the marks replaced."""
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{tables}\n{END}{after}"


def main() -> None:
    PAGE.write_text(with_tables(PAGE.read_text(), text(json.loads(FOUND.read_text()))))


if __name__ == "__main__":
    main()
