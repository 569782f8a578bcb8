"""`tre verify`: the walls of a running workspace, tried from inside."""

from __future__ import annotations

import sys
from typing import Any

import click

from tre.cli.internal import internal_call
from tre.cli.show import shown
from tre.errors import Broken
from tre.settings import Settings


@click.command()
@click.argument("workspace")
@shown()
def verify(workspace: str) -> Any:
    """Try every way out of a running workspace, and out of its neighbour's; record the result. Exit code 20 if one is
    open.

    Takes a minute: fork and memory bombs are among the attempts.
    """
    from tre.stack.ordinary import ensure_ordinary

    ensure_ordinary(["-m", "tre.cli.main", *sys.argv[1:]])
    from tre.stack.verification import verify_workspace

    path = f"/internal/workspaces/{workspace}/verification"
    report = verify_workspace(Settings.load(), internal_call("GET", path))
    named = {
        verdict: sorted({result.name for result in report.results if result.verdict == verdict})
        for verdict in ("refused", "reached", "could_not_run")
    }
    body = {**named, "refused": len(named["refused"]), "ok": report.ok, "left_out": list(report.left_out)}
    internal_call("POST", path, body)
    if not report.ok:
        raise Broken(f"Walls are open: {', '.join(named['reached'] + named['could_not_run'])}.")
    return report.to_dict()
