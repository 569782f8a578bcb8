"""A thousand projects and five hundred workspaces on a real API server, without nodes: `make bench`.

`python -m tests.cluster.bench_scale` prints JSON. Needs Kubernetes' own programs, kwok, helm and etcd: `make bench`
builds what it can, and a row says what is missing. It runs as an ordinary user: no kernel namespace, no pod is made.
docs/scale.md is written from these rows.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from tests.cluster.scale import growth, many_projects, many_workspaces, programs, town
from tests.cluster.scale.house import running_house

PROJECTS, PEOPLE, WORKSPACES = 1000, 500, 500
NOT_THERE = "the platform at size"
Row = dict[str, Any]


def run() -> list[Row]:
    """Rows of the benchmark page."""
    if reason := programs.missing():
        return [{"what": NOT_THERE, "ours": f"did not run: {reason}", "goal": "", "met": None}]
    found = measure(PROJECTS, PEOPLE, WORKSPACES)
    return [*project_rows(found["projects"]), *workspace_rows(found["workspaces"]), growth_row(found), load_row(found)]


def measure(projects: int, people: int, workspaces: int) -> dict[str, Any]:
    begun = time.perf_counter()

    def told(what: str) -> None:
        print(f"{time.perf_counter() - begun:.0f} s: {what}", file=sys.stderr, flush=True)

    with running_house() as house:
        told("servers")
        before = growth.sizes(house)
        place = town.found(house.db, house.secrets)
        place.settle(projects, people, told)
        found = {"projects": many_projects.measure(house, place)}
        told("projects are measured")
        between = growth.sizes(house)
        found["workspaces"] = many_workspaces.measure(house, place, workspaces)
        told("workspaces are measured")
        return found | {"growth": {"before": before, "projects": between, "workspaces": growth.sizes(house)}}


def row(what: str, ours: str, goal: str, met: bool | None = None, detail: Any = None) -> Row:
    return {"what": what, "ours": ours, "goal": goal, "met": met} | ({"detail": detail} if detail else {})


def project_rows(found: dict[str, Any]) -> list[Row]:
    count, quiet, passes = found["projects"], found["quiet"], found["passes"]
    other = {name: number for name, number in quiet["writes"].items() if name != "leases"}
    changed, anew = found["changes"], passes["listed"] + passes["first"]
    return [
        row(
            f"{count:,} projects: first convergence, from the controller's start",
            f"{found['converged']:.0f} s ({seconds(found['spent'])})",
            "≤ 120 s",
            found["converged"] <= 120,
            found,
        ),
        row(
            f"{count:,} projects: a pass with nothing to do",
            f"{passes['later']:.2f} s (a new leader's first, with all listed: {anew:.1f} s)",
            "≤ 3 s",
            max(passes["later"], anew) <= 3,
        ),
        row(
            f"{count:,} projects: writes in {quiet['seconds']:.0f} s with nothing to do, by the API server's audit log",
            f"{sum(other.values())} (and {quiet['writes'].get('leases', 0)} renewals of its Lease)",
            "0",
            not other,
        ),
        row(
            f"{count:,} projects: one change, from its commit to the cluster, the slowest of {len(changed)}",
            f"{max(changed):.2f} s",
            "≤ 2 s",
            max(changed) <= 2,
        ),
        row(
            f"{count:,} projects: the controller's memory (PSS), and its share of a processor with nothing to do",
            f"{found['memory']:.0f} MB, {quiet['processor']:.0%}",
            "≤ 200 MB",
            found["memory"] <= 200,
        ),
    ]


def workspace_rows(found: dict[str, Any]) -> list[Row]:
    count, pages, start = found["workspaces"], found["pages"], found["start"]
    parts = found["idle"]["parts"]
    used, middle = seconds(found["start_spent"]), pages["all"]["p50"]
    spent = (found["pages_spent"]["hub"] + found["pages_spent"]["api"]) / pages["all"]["count"] * 1000
    return [
        row(
            f"{count} workspaces (nodes and pods simulated by kwok, so nothing answers behind the guard): "
            f"a page of hub or platform, p95 of {pages['all']['count']}",
            f"{pages['all']['p95'] * 1000:.0f} ms (p50 {middle * 1000:.0f} ms; {spent:.0f} ms of a processor each)",
            "≤ 300 ms",
            pages["all"]["p95"] <= 0.3,
            found,
        ),
        row(
            f"{count} workspaces: one change of a project, the slowest of {len(found['changes'])}",
            f"{max(found['changes']):.2f} s",
            "≤ 2 s",
            max(found["changes"]) <= 2,
        ),
        row(
            f"{count} workspaces started by {many_workspaces.AT_ONCE} people at a time, through the hub; "
            f"{found['started_again']} starts failed and were asked for again",
            f"{found['start_all']:.0f} s, each {start['p50']:.1f} s (p95 {start['p95']:.1f} s); with signing in {used}",
            "stated",
        ),
        row(
            f"{count} workspaces idle: " + ", ".join(f"{name} {part['memory']:.0f} MB" for name, part in parts.items()),
            ", ".join(f"{name} {part['processor']:.0%}" for name, part in parts.items()) + " of a processor",
            "stated",
        ),
    ]


def load_row(found: dict[str, Any]) -> Row:
    """Where it is much above the processors, seconds are those of a busy machine."""
    projects, workspaces = found["projects"], found["workspaces"]
    loads = (projects["load"], workspaces["start_load"], workspaces["pages_load"])
    told = ", ".join(f"{load:.0f}" for load in loads)
    return row(
        f"the machine's load at the convergence, the starts and the pages, on {os.cpu_count()} processors", told, ""
    )


def seconds(spent: dict[str, float]) -> str:
    """Of a processor."""
    each = ", ".join(f"{name} {value:.0f}" for name, value in spent.items() if value >= 1)
    return f"{sum(spent.values()):.0f} processor seconds: {each}"


def growth_row(found: dict[str, Any]) -> Row:
    each = growth.each(found["growth"], found["projects"]["projects"], found["workspaces"]["workspaces"])
    told = ", ".join(f"{name} {value:,.1f}" for name, value in each["project"].items())
    more = ", ".join(f"{name} {value:,.1f}" for name, value in each["workspace"].items())
    return row("what a project adds, and a workspace (kB and counts)", f"{told}; {more}", "stated", detail=each)


def main(print_: Callable[[str], None] = print) -> None:
    print_(json.dumps(run(), indent=1, default=str))


if __name__ == "__main__":
    main()
