"""`tre admin …`: what is done on the machine itself, by whoever can read the platform's own secret files."""

from __future__ import annotations

from typing import Any

import click

from tre.cli.client import error_of
from tre.cli.show import shown
from tre.errors import Unavailable
from tre.settings import Settings


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
    return _internal("POST", "/internal/bootstrap", body)


def _internal(method: str, path: str, body: dict[str, Any]) -> Any:
    import httpx

    settings = Settings.load()
    try:
        token = settings.secret_file("internal-machine.token").read_text().strip()
        transport = httpx.HTTPTransport(uds=str(settings.internal_socket))
        with httpx.Client(transport=transport, base_url="http://internal", timeout=60) as client:
            response = client.request(method, path, json=body, headers={"Authorization": f"Bearer {token}"})
    except (OSError, httpx.HTTPError) as error:
        raise Unavailable(
            "The control plane on this machine cannot be reached.", hint="Run this as the user who runs `tre up`."
        ) from error
    if response.is_success:
        return response.json()
    raise error_of(response.status_code, response.json())
