"""`tre project …`."""

from __future__ import annotations

import json
from typing import Any

import click

from tre.cli.client import call, part
from tre.cli.show import shown, text
from tre.people.words import REFUSAL_CODES


@click.group()
def project() -> None:
    """Projects: from proposal to closing."""


@project.command("list")
@click.option("--state", default="")
@shown("slug", "title", "state", "since", "proposed_by", "end_date")
def list_projects(state: str) -> Any:
    """The projects that you may see."""
    return call("GET", "/projects", params={"state": state})


@project.command("show")
@click.argument("slug")
@shown()
def show_project(slug: str) -> Any:
    """A proposal in full, its team and its decisions."""
    return call("GET", f"/projects/{part(slug)}")


@project.command("propose")
@click.argument("file", type=click.File())
@shown()
def propose(file: Any) -> Any:
    """Propose a project from a JSON file with the fields of the proposal form."""
    try:
        body = json.load(file)
    except ValueError as error:
        raise click.BadParameter(f"not JSON: {error}", param_hint="FILE") from error
    return call("POST", "/projects", json=body)


@project.command("approve")
@click.argument("slug")
@click.option("--reason", required=True, help="Why the benefit outweighs the risk.")
@shown()
def approve(slug: str, reason: str) -> Any:
    """Approve a proposed project, or resume a suspended one."""
    return call("POST", f"/projects/{part(slug)}/approve", json={"reason": reason})


@project.command("refuse")
@click.argument("slug")
@click.option("--code", type=click.Choice(REFUSAL_CODES), required=True)
@click.option("--reason", required=True)
@click.option("--would-change", required=True, help="What would change the decision.")
@shown()
def refuse(slug: str, code: str, reason: str, would_change: str) -> Any:
    """Refuse a proposal, with what would change the decision."""
    return call(
        "POST", f"/projects/{part(slug)}/refuse", json={"code": code, "reason": reason, "would_change": would_change}
    )


@project.command("suspend")
@click.argument("slug")
@click.option("--reason", required=True)
@shown()
def suspend(slug: str, reason: str) -> Any:
    """Suspend a project; its running workspaces end within seconds."""
    return call("POST", f"/projects/{part(slug)}/suspend", json={"reason": reason})


@project.command("close")
@click.argument("slug")
@click.option("--reason", required=True)
@shown()
def close(slug: str, reason: str) -> Any:
    """Close a project for ever."""
    return call("POST", f"/projects/{part(slug)}/close", json={"reason": reason})


@project.command("gate")
@click.argument("slug")
@click.option("--username", default="", help="Somebody else than yourself.")
@shown("code", "message", "remedy")
def gate(slug: str, username: str) -> Any:
    """What stands between a person and a workspace of the project."""
    return call("GET", f"/projects/{part(slug)}/gate", params={"username": username})


@project.command("agree")
@click.argument("slug")
@click.option("--yes", is_flag=True, help="Accept without being asked.")
@shown()
def agree(slug: str, yes: bool) -> Any:
    """Read and accept the agreement."""
    agreement = call("GET", "/agreement")
    if not yes:
        click.echo(text(agreement["text"]))
        click.confirm(f"Accept agreement {text(agreement['version'])}?", abort=True)
    return call("POST", f"/projects/{part(slug)}/agreement", json={"digest": agreement["digest"]})


@project.command("add-member")
@click.argument("slug")
@click.argument("username")
@shown()
def add_member(slug: str, username: str) -> Any:
    """Add a member to the team; they accept the agreement themselves."""
    return call("POST", f"/projects/{part(slug)}/members", json={"username": username})


@project.command("remove-member")
@click.argument("slug")
@click.argument("username")
@click.option("--reason", required=True)
@shown()
def remove_member(slug: str, username: str, reason: str) -> Any:
    """Remove a member; their running workspace ends within seconds."""
    return call("POST", f"/projects/{part(slug)}/members/{part(username)}/remove", json={"reason": reason})
