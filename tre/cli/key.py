"""`tre key …`."""

from __future__ import annotations

from typing import Any

import click

from tre.cli.client import call, part
from tre.cli.show import shown


@click.group()
def key() -> None:
    """The platform's signing keys: of the audit record, of releases, of workspaces' tokens."""


@key.command("list")
@shown("key", "purpose", "version", "public_key")
def list_keys() -> Any:
    """Each key with its public key: every version of it, the oldest first, with commas between."""
    return call("GET", "/keys")


@key.command("rotate")
@click.argument("key")
@click.option("--reason", required=True)
@shown()
def rotate(key: str, reason: str) -> Any:
    """Sign with a new version from now on. What older ones signed stays good; the new public key belongs where the old
    one is kept.
    """
    return call("POST", f"/keys/{part(key)}/rotate", json={"reason": reason})
