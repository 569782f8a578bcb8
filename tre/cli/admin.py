"""`tre admin …`: what is done on the machine itself, by whoever can read the platform's own secret files."""

from __future__ import annotations

from typing import Any

import click

from tre.cli.internal import internal_call
from tre.cli.show import shown


@click.group()
def admin() -> None:
    """On the machine: the first administrator."""


@admin.command()
@click.argument("username")
@click.option("--name", required=True)
@click.option("--organisation", required=True, help="Short name of the organisation that runs the platform.")
@click.option("--password-file", type=click.File(), help="Read the password from a file or a descriptor, not a prompt.")
@shown()
def bootstrap(username: str, name: str, organisation: str, password_file: Any) -> Any:
    """Make the first administrator; refused once there is one."""
    if password_file:
        password = password_file.read().rstrip("\n")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    body = {"username": username, "name": name, "organisation": organisation, "password": password}
    return internal_call("POST", "/internal/bootstrap", body)
