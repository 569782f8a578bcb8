"""`tre verify`: the walls of a running workspace, tried from inside and through the guard."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING

import click

from tre.cli.client import part
from tre.cli.internal import internal_call
from tre.cli.show import as_line, show
from tre.errors import Broken
from tre.settings import Settings

if TYPE_CHECKING:
    from tre.workspaces.probes.report import Report


@click.command()
@click.argument("workspace")
@click.option("--json", "as_json", is_flag=True, help="Every attempt, machine-readable.")
def verify(workspace: str, as_json: bool) -> None:
    """Try every way out of a running workspace, and out of its neighbour's; record the result. Exit code 20 if one is
    open, or could not be tried.

    Takes a minute. Fork and memory bombs go off in the workspace: what it computes at that time may be lost.
    """
    from tre.stack.ordinary import ensure_ordinary

    ensure_ordinary(["-m", "tre.cli.main", *sys.argv[1:]])
    from rich.console import Console

    from tre.stack.verification import verify_workspace

    path = f"/internal/workspaces/{part(workspace)}/verification"
    facts = internal_call("GET", path)
    with Console(stderr=True).status("Trying every way out") as spinner:
        report = verify_workspace(Settings.load(), facts, lambda how: spinner.update(f"Trying every way out {how}"))
    found = named(report)
    record = {**found, "refused": len(found["refused"]), "ok": report.ok, "left_out": list(report.left_out)}
    internal_call("POST", path, record)
    if as_json:
        click.echo(as_line(report.to_dict()))
    else:
        for_people(report)
    if not report.ok:
        raise Broken(
            f"Not refused: {', '.join(found['reached'] + found['could_not_run'])}.",
            hint="Stop the workspaces until each of these is refused; `tre doctor` says what this machine lacks.",
        )


def named(report: Report) -> dict[str, list[str]]:
    """Verdict → names of attempts."""
    return {
        verdict: sorted({result.name for result in report.results if result.verdict == verdict})
        for verdict in ("refused", "reached", "could_not_run")
    }


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
    for words in report.left_out:
        click.echo(f"Left out, since there is none: {words}.")
    click.echo(f"{refused.total()} of {tried.total()} attempts were refused; the result is in the audit record.")
