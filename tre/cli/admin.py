"""`tre admin …`: what is done on the machine itself, by whoever can read the platform's own secret files."""

from __future__ import annotations

from typing import Any

import click

from tre.cli.client import part
from tre.cli.internal import internal_call
from tre.cli.passwords import new_password
from tre.cli.show import shown


@click.group()
def admin() -> None:
    """On the machine: the first administrator, and one who is locked out."""


@admin.command()
@click.argument("username")
@click.option("--name", required=True)
@click.option("--organisation", required=True, help="Short name of the organisation that runs the platform.")
@click.option("--password-file", type=click.File(), help="Read the password from a file or a descriptor, not a prompt.")
@shown()
def bootstrap(username: str, name: str, organisation: str, password_file: Any) -> Any:
    """Make the first administrator; refused once there is one."""
    body = {"name": name, "organisation": organisation, "password": new_password(password_file)}
    return internal_call("POST", "/internal/bootstrap", {"username": username, **body})


@admin.command()
@click.argument("username")
@click.option("--reason", required=True)
@click.option("--password-file", type=click.File(), help="Read the password from a file or a descriptor, not a prompt.")
@shown()
def renew(username: str, reason: str, password_file: Any) -> Any:
    """For an administrator who lost password or telephone: a new password and a new secret, printed once."""
    body = {"password": new_password(password_file), "reason": reason}
    return internal_call("POST", f"/internal/people/{part(username)}/renew", body)
