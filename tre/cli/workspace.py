"""`tre workspace …`."""

from __future__ import annotations

from typing import Any

import click

from tre.cli.amounts import amount, in_words
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


@workspace.group()
def policy() -> None:
    """The numbers that bound workspaces: memory, ages, bytes through the door."""


@policy.command("show")
@click.option("--project", default="", help="With this project's exceptions.")
@shown("name", "in_words", "of", "bounds", "meaning")
def show_policy(project: str) -> Any:
    """Every number, its bounds, and whether it is the platform's or the project's own."""
    return with_words(call("GET", "/workspace-policy", params={"project": project}))


@policy.command("set")
@click.argument("numbers", nargs=-1, required=True, metavar="NAME=VALUE…")
@click.option("--project", default="", help="For this project only; NAME= gives the number back to the platform.")
@click.option("--reason", required=True)
@shown("name", "in_words", "of")
def set_policy(numbers: tuple[str, ...], project: str, reason: str) -> Any:
    """Set numbers, for example idle_seconds=8h response_bytes=64MiB. Limits hold from a workspace's next start, byte
    budgets at once.
    """
    named = dict(number.partition("=")[::2] for number in numbers)
    body = {"numbers": {name: amount(name, text) for name, text in named.items()}}
    answer = call("POST", "/workspace-policy", json={**body, "project": project, "reason": reason})
    return [row for row in with_words(answer) if row["name"] in named]


def with_words(rows: Any) -> list[dict[str, Any]]:
    """The rows with value and bounds as people read them."""
    found = []
    for row in rows:
        value, lowest, highest = (in_words(row["name"], row[name]) for name in ("value", "lowest", "highest"))
        found.append({**row, "in_words": value, "bounds": f"{lowest} to {highest}"})
    return found
