"""`tre workspace …`."""

from __future__ import annotations

from typing import Any

import click

from tre.cli.client import call, part
from tre.cli.show import shown


@click.group()
def workspace() -> None:
    """Workspaces: one run of a person's workspace in a project."""


@workspace.command("list")
@click.option("--project", default="")
@click.option("--live", is_flag=True, help="Only those that run now.")
@shown("id", "project", "username", "state", "since", "credential", "reason")
def list_workspaces(project: str, live: bool) -> Any:
    """Your workspaces; everybody's for administrators and auditors."""
    return call("GET", "/workspaces", params={"project": project, "live": live})


@workspace.command("show")
@click.argument("id")
@shown()
def show_workspace(id: str) -> Any:
    """One workspace: its state, its reason, its credential."""
    return call("GET", f"/workspaces/{part(id)}")


@workspace.command("stop")
@click.argument("id")
@click.option("--reason", default="Stopped by command.")
@shown()
def stop(id: str, reason: str) -> Any:
    """Revoke its credential now and end it within seconds."""
    return call("POST", f"/workspaces/{part(id)}/stop", json={"reason": reason})
