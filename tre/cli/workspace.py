"""`tre workspace …`."""

from __future__ import annotations

from typing import Any

import click

from tre.cli.client import call
from tre.cli.show import shown


@click.group()
def workspace() -> None:
    """Workspaces: one run of a person's workspace in a project."""


@workspace.command("list")
@click.option("--project", default="")
@click.option("--live", is_flag=True, help="Only those that run now.")
@shown("id", "project", "username", "state", "since", "credential", "reason")
def list_workspaces(project: str, live: bool) -> Any:
    return call("GET", "/workspaces", params={"project": project, "live": live})


@workspace.command("show")
@click.argument("id")
@shown()
def show_workspace(id: str) -> Any:
    return call("GET", f"/workspaces/{id}")


@workspace.command("stop")
@click.argument("id")
@click.option("--reason", default="Stopped by command.")
@shown()
def stop(id: str, reason: str) -> Any:
    """Revoke its credential now and end it within seconds."""
    return call("POST", f"/workspaces/{id}/stop", json={"reason": reason})
