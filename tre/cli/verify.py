"""`tre verify`: the walls of a running workspace, tried from inside and through the guard.

Decides who tries: on one machine this command itself, on a cluster the controller, which alone may make the pod for it,
and what was asked in a guard's pod before, which nothing here can reach.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TextIO

import click

from tre.cli.client import part
from tre.cli.internal import internal_call
from tre.cli.show import as_line, show
from tre.errors import Broken, InvalidInput, Unavailable
from tre.settings import Settings

if TYPE_CHECKING:
    from tre.workspaces.probes.report import Report

LOOK_SECONDS = 1.0
#: The wall that is in every whole report.
GUARD = "guard"


@click.command()
@click.argument("workspace")
@click.option("--door", type=click.File(), help="On a cluster: what a guard's pod printed of its guard; - reads stdin.")
@click.option("--json", "as_json", is_flag=True, help="Every attempt, machine-readable.")
def verify(workspace: str, door: TextIO | None, as_json: bool) -> None:
    """Try every way out of a running workspace, and out of its neighbour's; record the result. Exit code 20 if one is
    open, or could not be tried.

    Takes a minute. Fork and memory bombs go off in the workspace: what it computes at that time may be lost.

    On a cluster, in a pod of the api: the controller makes a pod of nobody beside the workspace, which tries; nothing
    goes off in the workspace itself. The guard is asked by `python -m tre.door.probes WORKSPACE` in its own pod; what
    that prints becomes part of the result by --door.
    """
    settings = Settings.load()
    if door and not settings.cluster:
        raise InvalidInput("On one machine the guard is asked by this command itself.", field="--door")
    found = read_door(door) if door else None
    report = by_the_controller(workspace, found) if settings.cluster else on_this_machine(settings, workspace)
    if as_json:
        click.echo(as_line(report.to_dict()))
    else:
        for_people(report)
    if not report.ok:
        raise Broken(
            f"Not refused: {', '.join(report.named('reached') + report.named('could_not_run'))}.",
            hint="Stop the workspaces until each of these is refused; `tre doctor` says what this machine lacks.",
        )


def on_this_machine(settings: Settings, workspace: str) -> Report:
    """As an ordinary user: root's command is run again as one."""
    from tre.stack.ordinary import ensure_ordinary

    ensure_ordinary(["-m", "tre.cli.main", *sys.argv[1:]])
    from tre.stack.verification import verify_workspace

    path = f"/internal/workspaces/{part(workspace)}/verification"
    facts = internal_call("GET", path)
    with waiting() as said:
        report = verify_workspace(settings, facts, said)
    internal_call("POST", path, report.record())
    return report


def read_door(file: TextIO) -> dict[str, Any]:
    """Raises `InvalidInput`; what it says is judged by who records it."""
    try:
        found = json.load(file)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InvalidInput(
            "It is no report: the guard was not asked, or not to the end.",
            field="--door",
            hint="`python -m tre.door.probes WORKSPACE` in a guard's pod prints it, or says why not.",
        )
    return found


def by_the_controller(workspace: str, door: dict[str, Any] | None) -> Report:
    """Asked for and waited for; it ends by itself, whatever becomes of who tries. Raises `Unavailable` with the reason
    where there is no report.
    """
    from tre.workspaces.probes.report import Report

    path = f"/internal/workspaces/{part(workspace)}/verifications"
    told = internal_call("POST", path, {"door": door})
    with waiting() as said:
        while told["state"] in ("requested", "running"):
            said(told["progress"] or "as soon as the controller takes it up")
            time.sleep(LOOK_SECONDS)
            told = internal_call("GET", f"{path}/{told['number']}")
    if told["state"] != "done":
        raise Unavailable(
            f"The walls were not tried: {told['reason']}", hint="Ask again; the controller's log says more."
        )
    return Report.from_dict(told["report"])


@contextlib.contextmanager
def waiting() -> Iterator[Callable[[str], object]]:
    """Something that turns, with words of what is done now. Whoever is no terminal hears of each step once."""
    from rich.console import Console

    console, heard = Console(stderr=True), ""

    def said(how: str) -> None:
        nonlocal heard
        spinner.update(f"Trying every way out {how}")
        if how != heard and not console.is_terminal:
            click.echo(f"Trying every way out {how}", err=True)
        heard = how

    with console.status("Trying every way out") as spinner:
        yield said


def for_people(report: Report) -> None:
    """A line per wall; each attempt that was not refused, in full."""
    tried, refused = Counter[str](), Counter[str]()
    for result in report.results:
        tried[result.wall] += 1
        refused[result.wall] += result.verdict == "refused"
    show([{"wall": wall, "tried": count, "refused": refused[wall]} for wall, count in sorted(tried.items())])
    fields = ("name", "workspace_id", "tries", "verdict", "detail")
    if failed := [row for row in report.to_dict()["probes"] if row["verdict"] != "refused"]:
        for row in failed:
            click.echo()
            show({field: row[field] for field in fields})
        click.echo()
    if not tried[GUARD]:
        click.echo("Not tried: the guard, in every spelling; on a cluster it is asked in its own pod (--door).")
    for words in report.left_out:
        click.echo(f"Left out, since there is none: {words}.")
    click.echo(f"{refused.total()} of {tried.total()} attempts were refused; the result is in the audit record.")
